"""Losses of margins y f(x): hinge, squared hinge, logistic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy
from array_api_compat import array_namespace
from numpy.typing import NDArray

from .losses import MarginLoss, positive, xlogx
from .roots import all_converged
from .rows import EXPONENTIAL, NONNEGATIVE, ConicRows, Rows, diagonal, empty

Vector = NDArray[np.float64]


def _hinge_pieces(n: int) -> tuple[Rows, ...]:
    """t >= 0 and t >= 1 - s."""
    below = -diagonal(np.ones(n))
    return Rows(NONNEGATIVE, [n], -1.0, below, -np.ones(n)), Rows(NONNEGATIVE, [n], empty(n, n), below, np.zeros(n))


@dataclass(frozen=True)
class Hinge(MarginLoss):
    """The hinge loss max(0, 1 - y f(x))."""

    formula: ClassVar[str] = "max(0, 1 - {s})"

    def value(self, s: Any) -> Any:
        return positive(1 - s)

    def slope(self, s: Any) -> Any:
        return array_namespace(s).where(s < 1, -1.0 + 0 * s, 0 * s)

    def prox(self, s: Any, t: Any) -> Any:
        xp = array_namespace(s)
        return xp.where(s >= 1, s, xp.where(s <= 1 - t, s + t, 1.0 + 0 * s))

    def conjugate(self, m: Any) -> Any:
        return m

    def clip(self, m: Any) -> Any:
        return array_namespace(m).clip(m, -1.0, 0.0)

    def conjugate_slopes(self, m: Any) -> tuple[Any, Any]:
        return 1.0 + 0 * m, 0 * m

    def rows(self, weights: Vector) -> ConicRows:
        return ConicRows(weights, np.zeros(len(weights)), _hinge_pieces(len(weights)))


@dataclass(frozen=True)
class SquaredHinge(MarginLoss):
    """The squared hinge loss max(0, 1 - y f(x))^2 (no factor 1/2)."""

    formula: ClassVar[str] = "max(0, 1 - {s})^2"

    def value(self, s: Any) -> Any:
        return positive(1 - s) ** 2

    def slope(self, s: Any) -> Any:
        return -2 * positive(1 - s)

    def prox(self, s: Any, t: Any) -> Any:
        return array_namespace(s).where(s >= 1, s, (s + 2 * t) / (1 + 2 * t))

    def conjugate(self, m: Any) -> Any:
        return m + 0.25 * m * m

    def clip(self, m: Any) -> Any:
        return -positive(-m)

    def conjugate_slopes(self, m: Any) -> tuple[Any, Any]:
        return 1 + 0.5 * m, 0.5 + 0 * m

    def rows(self, weights: Vector) -> ConicRows:
        return ConicRows(np.zeros(len(weights)), 2 * weights, _hinge_pieces(len(weights)))


@dataclass(frozen=True)
class Logistic(MarginLoss):
    """The logistic loss log(1 + exp(-y f(x))), natural logarithm.

    Bai et al. (2023) scale the margin by 2 (their tanh form); train on 2 f to compare with their figures.
    """

    formula: ClassVar[str] = "log(1 + exp(-{s}))"
    likelihood: ClassVar[bool] = True

    def value(self, s: Any) -> Any:
        xp = array_namespace(s)
        return xp.log1p(xp.exp(-abs(s))) + positive(-s)

    def slope(self, s: Any) -> Any:
        xp = array_namespace(s)
        small = xp.exp(-abs(s))
        return -xp.where(s >= 0, small, 1.0 + 0 * s) / (1 + small)

    def prox(self, s: Any, t: Any) -> Any:
        """Newton's method on g(p) = p + t phi'(p) - s, whose root lies in [s, s + t] as phi' does in [-1, 0].

        g rises, convex below 0 and concave above: from the point of that interval nearest to 0 the steps are monotone.
        """
        xp = array_namespace(s)
        p = xp.clip(0.0 * s, s, s + t)
        for k in range(100):
            slope = self.slope(p)
            step = (p + t * slope - s) / (1 - t * slope * (1 + slope))
            p = p - step
            if all_converged(abs(step) <= 4 * xp.finfo(p.dtype).eps * (1 + abs(p)), k):
                break
        return p

    def conjugate(self, m: Any) -> Any:
        return xlogx(-m) + xlogx(1 + m)

    def clip(self, m: Any) -> Any:
        return array_namespace(m).clip(m, -1.0, 0.0)

    def conjugate_slopes(self, m: Any) -> tuple[Any, Any]:
        xp = array_namespace(m)
        return xp.log1p(m) - xp.log(-m), 1 / (1 + m) - 1 / m

    def rows(self, weights: Vector) -> ConicRows:
        """t >= log(1 + exp(-s)) as u >= exp(-t), v >= exp(-s - t), u + v <= 1; auxiliaries are (t, u, v)."""
        n = len(weights)
        k = np.arange(n)
        one = np.ones(n)
        # cone rows 3k, 3k+1, 3k+2 hold (exponent, 1, bound)
        on_s = scipy.sparse.csr_array((one, (3 * k, k)), shape=(3 * n, n))
        b = np.tile([0.0, 1.0, 0.0], n)

        def bounded_by(column: int) -> scipy.sparse.csr_array:
            rows, cols = np.concatenate([3 * k, 3 * k + 2]), np.concatenate([k, column * n + k])
            return scipy.sparse.csr_array((np.concatenate([one, -one]), (rows, cols)), shape=(3 * n, 3 * n))

        budget = scipy.sparse.hstack([empty(n, n), diagonal(one), diagonal(one)], format="csr")
        pieces = (
            Rows(EXPONENTIAL, [3] * n, empty(3 * n, n), bounded_by(1), b),
            Rows(EXPONENTIAL, [3] * n, on_s, bounded_by(2), b),
            Rows(NONNEGATIVE, [n], empty(n, n), budget, one),
        )
        return ConicRows(np.concatenate([weights, np.zeros(2 * n)]), np.zeros(3 * n), pieces)
