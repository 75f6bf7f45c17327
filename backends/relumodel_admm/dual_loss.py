"""A loss through its conjugate: what interior points need of it, sample by sample.

Every loss of relumodel is  phi(s) = max over m in [low, high] of  m s - phi*(m)  with phi* smooth inside. An interior point
that moves m strictly inside [low, high] sees only phi*' and phi*'', and two multipliers per sample for the ends:

    s = phi*'(m) + h - l,    h (high - m) = mu,    l (m - low) = mu.

That is the interior point of the epigraph form with its auxiliary variables eliminated, one scalar equation a sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relumodel.functions.base import SampleLoss

Vector = NDArray[np.float64]
Pair = tuple[Vector, Vector]

#: Beyond this an end of the dual interval counts as infinite.
FAR = 1e100

#: Where phi*' is infinite at an end (the logistic loss), the interval is taken this much shorter: samples classified beyond
#: a margin of 30 then have a multiplier like those of the hinge, instead of a q of 1e-30.
EDGE = 1e-13


@dataclass(frozen=True, eq=False)
class DualLoss:
    """sum_k weights_k phi(p_k + tau_k) in the signed predictions p = sigma z, and its conjugate variable q.

    low, high : (n,) the ends of the interval of q, infinite where there is none.
    """

    loss: Any
    tau: Vector
    weights: Vector
    low: Vector
    high: Vector

    @classmethod
    def of(cls, function: SampleLoss, live: NDArray[np.bool_], scale: float) -> DualLoss:
        """The samples `live` of a bound loss, divided by `scale`."""
        weights = function.weights[live] / scale
        far = np.array([-2 * FAR, 2 * FAR])
        ends = np.asarray(function.loss.clip(far), dtype=np.float64)
        ends = np.where(np.abs(ends) < FAR, ends, np.sign(far) * np.inf)
        finite = ends[np.isfinite(ends)]
        with np.errstate(divide="ignore"):
            steep = bool(len(finite)) and not np.isfinite(function.loss.conjugate_slopes(finite)[0]).any()
        if steep:
            ends = ends + EDGE * np.array([1, -1])
        return cls(function.loss, function.tau[live], weights, ends[0] * weights, ends[1] * weights)

    def value(self, p: Vector) -> float:
        """The loss at the signed predictions."""
        return float((self.weights * self.loss.value(p + self.tau)).sum())

    def slope(self, p: Vector) -> Vector:
        """A subgradient."""
        return self.weights * self.loss.slope(p + self.tau)

    def conjugate(self, q: Vector) -> float:
        """sup over p of q.p - value(p)."""
        return float((self.weights * self.loss.conjugate(q / self.weights) - self.tau * q).sum())

    def conjugate_slopes(self, q: Vector) -> Pair:
        """The gradient of the conjugate and its second derivatives, for q inside its interval."""
        first, second = self.loss.conjugate_slopes(q / self.weights)
        return first - self.tau, second / self.weights

    def inside(self, q: Vector, share: float) -> Vector:
        """q moved at least `share` of the interval (or of the weight, where it is infinite) away from its ends."""
        width = np.where(np.isfinite(self.high - self.low), self.high - self.low, self.weights)
        return np.clip(q, self.low + share * width, self.high - share * width)
