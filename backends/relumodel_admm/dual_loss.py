"""A sum of losses and indicators of single readings through its conjugate: what interior points need of it, row by row.

Every loss of relumodel is  phi(s) = max over m in [low, high] of  m s - phi*(m)  with phi* smooth inside. An interior point
that moves m strictly inside [low, high] sees only phi*' and phi*'', and two multipliers per row for the ends:

    s = phi*'(m) + h - l,    h (high - m) = mu,    l (m - low) = mu.

That is the interior point of the epigraph form with its auxiliary variables eliminated, one scalar equation a row. An indicator is a
loss whose phi* is zero: of s >= 0 on m <= 0, where h is the slack of the bound, of s = 0 everywhere, where no end is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Pair = tuple[Vector, Vector]


@dataclass(frozen=True, eq=False)
class DualLoss:
    """sum_k weights_k phi_k(r_k + tau_k) in the signed readings r, and its conjugate variable q.

    parts : the loss of each stretch of rows.  low, high : (m,) the ends of the interval of q, infinite where there is none.
    hard : (m,) the rows of indicators; their weights are a typical multiplier, and nothing but a scale.
    """

    parts: tuple[tuple[slice, Any], ...]
    tau: Vector
    weights: Vector
    low: Vector
    high: Vector
    hard: NDArray[np.bool_]

    def _each(self, of: Callable[[Any], Callable[[Vector], Vector]], s: Vector) -> Vector:
        if len(self.parts) == 1:
            return of(self.parts[0][1])(s)
        if not self.parts:
            return s
        return np.concatenate([of(loss)(s[rows]) for rows, loss in self.parts])

    @property
    def size(self) -> int:
        """m."""
        return len(self.tau)

    def value(self, r: Vector) -> float:
        """The losses at the signed readings; indicators count for nothing, see `outside`."""
        return float((self.weights * self._each(lambda loss: loss.value, r + self.tau)).sum())

    def outside(self, r: Vector) -> Vector:
        """(m,) by how much readings leave the domains of indicators."""
        s = (r + self.tau)[self.hard]
        out = np.zeros(self.size)
        out[self.hard] = np.where(np.isinf(self.high[self.hard]), np.abs(s), np.maximum(-s, 0.0))
        return out

    def slope(self, r: Vector) -> Vector:
        """A subgradient, with every indicator replaced by its weight times the distance from its domain."""
        return self.weights * self._each(lambda loss: loss.slope, r + self.tau)

    def conjugate(self, q: Vector) -> float:
        """sup over r of q.r - value(r)."""
        return float((self.weights * self._each(lambda loss: loss.conjugate, q / self.weights) - self.tau * q).sum())

    def conjugate_slopes(self, q: Vector) -> Pair:
        """The gradient of the conjugate and its second derivatives, for q inside its interval."""
        m = q / self.weights
        if len(self.parts) == 1:
            first, second = self.parts[0][1].conjugate_slopes(m)
        else:
            found = [loss.conjugate_slopes(m[rows]) for rows, loss in self.parts]
            first, second = (np.concatenate(column) for column in zip(*found, strict=True))
        return first - self.tau, second / self.weights

    def inside(self, q: Vector, share: float) -> Vector:
        """q moved at least `share` of the interval (or of the weight, where it is infinite) away from its ends."""
        width = np.where(np.isfinite(self.high - self.low), self.high - self.low, self.weights)
        return np.clip(q, self.low + share * width, self.high - share * width)


class Domain:
    """The loss that the indicator of s >= 0, or of s = 0, is to an interior point."""

    def value(self, s: Vector) -> Vector:
        return 0 * s

    def slope(self, s: Vector) -> Vector:
        """That of the distance from the domain."""
        raise NotImplementedError

    def conjugate(self, m: Vector) -> Vector:
        return 0 * m

    def conjugate_slopes(self, m: Vector) -> Pair:
        return 0 * m, 0 * m


class AtLeastZero(Domain):
    """s >= 0."""

    def slope(self, s: Vector) -> Vector:
        return np.where(s < 0, -1.0, 0.0)


class Zero(Domain):
    """s = 0."""

    def slope(self, s: Vector) -> Vector:
        return np.sign(s)
