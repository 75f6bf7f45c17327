"""Functions of readings taken apart into rows: losses, bounds and equations of single readings with signs, offsets and weights.

What the interior point takes is any sum of such rows; a function that is no such sum (a 2-norm, a loss of several classes) is not known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relumodel.functions.base import Nonnegative, SampleLoss, ZeroIndicator
from relumodel.functions.losses import Absolute
from relumodel.functions.norms import NormExcess
from relumodel.functions.several import Mirrored, Several, Shifted

from .dual_loss import AtLeastZero, Domain, Zero

Vector = NDArray[np.float64]

#: Beyond this an end of the dual interval counts as infinite.
FAR = 1e100

#: Where phi*' is infinite at an end (the logistic loss), the interval is taken this much shorter: samples classified beyond
#: a margin of 30 then have a multiplier like those of the hinge, instead of a q of 1e-30.
EDGE = 1e-13


@dataclass(frozen=True, eq=False)
class Rows:
    """sum_k weights_k phi(sigma_k z_at_k + tau_k) over some entries `at` of a reading z."""

    loss: Any
    at: NDArray[np.intp]
    sigma: Vector
    tau: Vector
    weights: Vector

    @property
    def hard(self) -> bool:
        """Whether phi is an indicator."""
        return isinstance(self.loss, Domain)

    @property
    def ends(self) -> tuple[float, float]:
        """The interval of phi*."""
        if self.hard:
            return -np.inf, 0.0 if isinstance(self.loss, AtLeastZero) else np.inf
        far = np.array([-2 * FAR, 2 * FAR])
        ends = np.asarray(self.loss.clip(far), dtype=np.float64)
        ends = np.where(np.abs(ends) < FAR, ends, np.sign(far) * np.inf)
        finite = ends[np.isfinite(ends)]
        with np.errstate(divide="ignore"):
            steep = bool(len(finite)) and not np.isfinite(self.loss.conjugate_slopes(finite)[0]).any()
        if steep:
            ends = ends + EDGE * np.array([1, -1])
        return float(ends[0]), float(ends[1])

    def take(self, kept: NDArray[Any]) -> Rows:
        """Some of the rows."""
        return Rows(self.loss, self.at[kept], self.sigma[kept], self.tau[kept], self.weights[kept])


def rows_of(function: Any, at: NDArray[np.intp]) -> list[Rows] | None:
    """The rows of a function of the entries `at` of a reading, those of weight 0 left out; None where it is no such sum."""
    m, one = len(at), np.ones(len(at))
    if isinstance(function, Several):
        ends = np.cumsum(function.sizes)
        found = [
            rows_of(f, at[int(end) - size : int(end)])
            for f, end, size in zip(function.functions, ends, function.sizes, strict=True)
        ]
        return None if any(part is None for part in found) else [rows for part in found for rows in part or ()]
    if isinstance(function, Shifted):
        inner = rows_of(function.inner, np.arange(m))
        return inner and [replace(r, at=at[r.at], tau=r.tau + r.sigma * function.offset[r.at]) for r in inner]
    if isinstance(function, Mirrored):
        inner = rows_of(function.inner, at)
        return inner and [replace(r, sigma=-r.sigma) for r in inner]
    if isinstance(function, SampleLoss):
        if not function.loss.smooth_conjugate or len(function.tau) != m or function.outputs != 1:
            return None
        rows = Rows(function.loss, at, function.sigma, function.tau, function.weights)
        return [rows if (function.weights > 0).all() else rows.take(function.weights > 0)]
    if isinstance(function, Nonnegative):
        return [Rows(AtLeastZero(), at, one, 0 * one, one)]
    if isinstance(function, ZeroIndicator):
        return [Rows(Zero(), at, one, 0 * one, one)]
    if isinstance(function, NormExcess):
        return _of_norm(function, at, one)
    return None


def _of_norm(function: NormExcess, at: NDArray[np.intp], one: Vector) -> list[Rows] | None:
    """Norms that are sums of rows: |z|_inf <= r, the 1-norm, the largest entry of one row alone, and any norm that counts for nothing."""
    if function.weight == 0:
        return []
    if function.indicator and (function.p == np.inf or len(at) == 1):
        return [Rows(AtLeastZero(), at, side * one, function.radius * one, one) for side in (-1.0, 1.0)]
    if not function.indicator and function.radius == 0 and (function.p == 1 or len(at) == 1):
        return [Rows(Absolute(), at, one, 0 * one, function.weight * one)]
    return None
