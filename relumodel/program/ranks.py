"""Who else holds rows of a program's data: what processes with rows of their own have to tell each other.

Every process runs the same program on its own rows. What all of them compute alike (points, bounds, decisions) rests on these
operations alone, so that it is the same on every one of them.
"""

from __future__ import annotations

from typing import Any


class Alone:
    """One process that holds all rows: it has nobody to ask."""

    size = 1
    rank = 0

    def sum(self, values: Any) -> Any:
        """The sum over all ranks of a number or an array, which may be overwritten."""
        return values


ALONE = Alone()
