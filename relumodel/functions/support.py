"""The support function h of a perturbation set, as functions see it, and its epigraph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from .base import Function
from .losses import positive
from .roots import monotone_root
from .rows import NONNEGATIVE, ConicRows, Rows, diagonal, shifted

Vector = NDArray[np.float64]


class SupportFunction(Protocol):
    """h(q) = max of q.delta over a set that holds 0, on rows: `relumodel.declare.perturbations.Ball`."""

    @property
    def radii(self) -> Vector:
        """(d,), 0 for columns that nothing perturbs."""
        ...

    def support(self, Q: Any) -> Any:
        """h of every row of Q (m, d): (m,)."""
        ...

    def worst(self, Q: Any) -> Any:
        """A delta of the set with q.delta = h(q), row by row (m, d)."""
        ...

    def gauge(self, G: Any) -> Any:
        """The least s >= 0 with g in s times the set, row by row (m,)."""
        ...

    def prox(self, Q: Any, t: Any) -> Any:
        """The proximal map of t h, t (m,) one a row."""
        ...

    def rows(self, n: int) -> tuple[int, tuple[Rows, ...]]:
        """How many auxiliaries the n bounds h(q_k) <= p_k take, the p first, and their rows."""
        ...


@dataclass(frozen=True, eq=False)
class SupportEpigraph(Function):
    """The indicator of h(u_b) <= p_b on x = (U (B, d), p (B,))."""

    ball: SupportFunction
    B: int
    indicator: ClassVar[bool] = True
    cone: ClassVar[bool] = True

    def split(self, z: Any) -> tuple[Any, Any]:
        d = len(self.ball.radii)
        return array_namespace(z).reshape(z[: self.B * d], (self.B, d)), z[self.B * d :]

    def value(self, z: Any) -> Any:
        return 0.0

    def violation(self, z: Any) -> float:
        U, p = self.split(z)
        return max(0.0, float((self.ball.support(U) - p).max()))

    def conjugate(self, q: Any) -> Any:
        return 0.0

    def project_dual(self, q: Any) -> Any:
        """(g, -theta) with theta >= 0 and g in theta Delta."""
        return self.absorb(q, -positive(-self.split(q)[1]))

    def absorb(self, q: Any, on_p: Any) -> Any:
        """The multiplier nearest to q whose part on p is `on_p` <= 0."""
        xp = array_namespace(q)
        G, _ = self.split(q)
        gauge = self.ball.gauge(G)
        scale = xp.where(gauge > -on_p, -on_p / xp.where(gauge > 0, gauge, 1.0 + 0 * gauge), 1.0 + 0 * gauge)
        G = xp.where(self.ball.radii > 0, scale[:, None] * G, 0 * G)
        return xp.concat([xp.reshape(G, (-1,)), on_p])

    def prox(self, z: Any, t: Any) -> Any:
        """Projection: u = prox of theta h at u0, p = p0 + theta, with theta the scalar root of h(u) = p where u0 is outside."""
        xp = array_namespace(z)
        U, p = self.split(z)

        def h(theta: Any) -> Any:
            return self.ball.support(self.ball.prox(U, theta))

        theta = monotone_root(lambda theta: p + theta - h(theta), positive(self.ball.support(U) - p))
        return xp.concat([xp.reshape(self.ball.prox(U, theta), (-1,)), p + theta])

    def rows(self, m: int) -> ConicRows:
        """h(u_b) <= t_b and t_b <= p_b."""
        k, pieces = self.ball.rows(self.B)
        one = np.ones(self.B)
        on_p = diagonal(-one, column=m - self.B, columns=m)
        below = Rows(NONNEGATIVE, [self.B], on_p, diagonal(one, columns=k), np.zeros(self.B))
        return ConicRows(np.zeros(k), np.zeros(k), (below, *(shifted(piece, 0, m, 0, k) for piece in pieces)))
