"""Norms of one vector, and how far a norm exceeds a radius: w |z|_p, and the indicator of |z|_p <= r, p in {1, 2, inf}."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from array_api_compat import array_namespace

from ..errors import InputError
from .base import Function
from .losses import soft
from .rows import NONNEGATIVE, SECOND_ORDER, ConicRows, Rows, diagonal

#: The norms, by p, each with the p of its dual.
DUALS = {1: np.inf, 2: 2, np.inf: 1}


def norm_order(p: Any) -> float:
    """p as one of 1, 2, inf, or an `InputError`."""
    if p in ("inf", np.inf):
        return float(np.inf)
    if isinstance(p, bool) or p not in (1, 2):
        raise InputError(f"p must be 1, 2 or numpy.inf; got {p!r}.")
    return int(p)


def norm(z: Any, p: float) -> Any:
    """|z|_p of a vector."""
    if p == 1:
        return abs(z).sum()
    return abs(z).max() if p == np.inf and z.shape[0] else (z * z).sum() ** 0.5


def onto_ball(z: Any, p: float, radius: float) -> Any:
    """The nearest point with |z|_p <= radius (Duchi et al. 2008 for the 1-norm)."""
    size = float(norm(z, p))
    if size <= radius:
        return z
    if radius == 0:
        return 0 * z
    if p == 2:
        return z * (radius / size)
    if p == np.inf:
        return array_namespace(z).clip(z, -radius, radius)
    xp = array_namespace(z)
    falling = xp.flip(xp.sort(abs(z)))
    over = (xp.cumulative_sum(falling) - radius) / xp.arange(1, z.shape[0] + 1)
    last = int((falling > over).sum()) - 1
    return soft(z, over[last])


@dataclass(frozen=True, eq=False)
class NormExcess(Function):
    """weight max(0, |z|_p - radius): weight |z|_p at radius 0, the indicator of |z|_p <= radius at an infinite weight."""

    p: float
    radius: float
    weight: float

    @property
    def indicator(self) -> bool:  # type: ignore[override]
        """Whether the weight is infinite."""
        return bool(np.isinf(self.weight))

    @property
    def has_kink(self) -> bool:
        return True

    def value(self, z: Any) -> Any:
        return 0.0 if self.indicator else self.weight * max(float(norm(z, self.p)) - self.radius, 0.0)

    def violation(self, z: Any) -> float:
        return max(float(norm(z, self.p)) - self.radius, 0.0) if self.indicator else 0.0

    def gradient(self, z: Any) -> Any:
        """A subgradient; 0 for an indicator."""
        size = float(norm(z, self.p))
        if self.indicator or size <= self.radius or size == 0:
            return 0 * z
        xp = array_namespace(z)
        if self.p == 2:
            return z * (self.weight / size)
        if self.p == 1:
            return self.weight * xp.sign(z)
        out = 0 * z
        k = int(abs(z).argmax())
        out[k] = self.weight * xp.sign(z[k])
        return out

    def prox(self, z: Any, t: Any) -> Any:
        """By Moreau's identity where the weight ends the move before the ball is reached."""
        if self.indicator:
            return onto_ball(z, self.p, self.radius)
        reach = float(t) * self.weight
        ball = onto_ball(z, self.p, self.radius)
        if float(norm(z - ball, float(DUALS[self.p]))) <= reach:  # the multiplier of the ball is within the weight
            return ball
        return z - onto_ball(z, float(DUALS[self.p]), reach)

    def conjugate(self, q: Any) -> Any:
        return self.radius * norm(q, float(DUALS[self.p]))

    def project_dual(self, q: Any) -> Any:
        return q if self.indicator else onto_ball(q, float(DUALS[self.p]), self.weight)

    def rows(self, m: int) -> ConicRows:
        """One auxiliary t >= 0 of cost weight, |z|_p <= radius + t; none for an indicator. The 1-norm has m more, |z_k| <= s_k."""
        soft_side = not self.indicator
        k = int(soft_side) + (m if self.p == 1 else 0)
        cost = np.concatenate([np.full(int(soft_side), self.weight), np.zeros(m if self.p == 1 else 0)])
        t = scipy.sparse.csr_array((1, k)) if not soft_side else scipy.sparse.csr_array(([1.0], ([0], [0])), shape=(1, k))
        eye, nothing = diagonal(np.ones(m)), scipy.sparse.csr_array((1, m))
        pieces = [Rows(NONNEGATIVE, [1], nothing, -t, np.zeros(1))] if soft_side else []
        if self.p == 2:
            on_t = scipy.sparse.vstack([-t, scipy.sparse.csr_array((m, k))], format="csr")
            on_z = scipy.sparse.vstack([nothing, -eye], format="csr")
            pieces.append(Rows(SECOND_ORDER, [m + 1], on_z, on_t, np.append(self.radius, np.zeros(m))))
        elif self.p == np.inf:
            each = scipy.sparse.csr_array(np.ones((m, 1))) @ t
            pieces += [Rows(NONNEGATIVE, [m], sign * eye, -each, np.full(m, self.radius)) for sign in (1.0, -1.0)]
        else:
            own = diagonal(np.ones(m), column=int(soft_side), columns=k)
            pieces += [Rows(NONNEGATIVE, [m], sign * eye, -own, np.zeros(m)) for sign in (1.0, -1.0)]
            total = scipy.sparse.csr_array(np.ones((1, m))) @ own - t
            pieces.append(Rows(NONNEGATIVE, [1], nothing, total.tocsr(), np.full(1, self.radius)))
        return ConicRows(cost, np.zeros(k), tuple(Rows(p.kind, p.sizes, p.on_z.tocsr(), p.on_t.tocsr(), p.b) for p in pieces))  # type: ignore[union-attr]
