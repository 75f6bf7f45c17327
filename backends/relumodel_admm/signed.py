"""Functions of the rows of sign cones as they come from the product X u, not yet multiplied by the signs of the cones.

So one product serves all terms as it is, and signs are applied where a function needs them and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace


def turned(z: Any, side: Any, end: int) -> Any:
    """z with its first `end` entries, rows of products for all blocks, multiplied by side (P, n)."""
    xp = array_namespace(z)
    rows = xp.reshape(xp.reshape(z[:end], (-1, *side.shape)) * side, (-1,))
    return rows if end == z.shape[0] else xp.concat([rows, z[end:]])


@dataclass(eq=False)
class SignedNonnegative:
    """The indicator of side * z >= 0."""

    side: Any

    def reflect(self, z: Any) -> Any:
        """2 prox(z) - z = side |z|."""
        xp = array_namespace(z)
        out = xp.reshape(abs(z), (-1, *self.side.shape))
        out *= self.side
        return xp.reshape(out, (-1,))

    def prox(self, z: Any, t: Any) -> Any:
        return 0.5 * (z + self.reflect(z))


@dataclass(eq=False)
class Signed:
    """A function of rows with their signs, and of whatever comes after the first `end` entries."""

    function: Any
    side: Any
    end: int

    def prox(self, z: Any, t: Any) -> Any:
        return turned(self.function.prox(turned(z, self.side, self.end), t), self.side, self.end)
