"""Convex losses: what the user declares, and the mathematics every backend needs of it.

A loss is one convex function phi of one number s per sample. Classification losses read the margin s = y z and are
non-increasing; regression losses read the residual s = z - y, and say whether they are even. Both are s = sigma z + tau with sigma = +-1, so
one binding (`relumodel.functions.base.SampleLoss`) serves all of them. A new loss is one new class with these faces:

    value(s), slope(s)           phi and a subgradient
    prox(s, t)                   argmin over p of  t phi(p) + (p - s)^2 / 2
    conjugate(m), clip(m)        phi*(m) on its domain, and the nearest point of that domain
    conjugate_slopes(m)          phi*'(m) and phi*''(m) inside that domain, for `smooth_conjugate` losses everywhere
    rows(weights)                the conic rows of  sum_k weights_k phi(s_k)

All but `rows` are elementwise on array-API arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import scipy
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ..declared import Declared, number
from ..errors import InputError, InputTypeError
from .rows import NONNEGATIVE, ZERO, ConicRows, Rows, diagonal, empty

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Loss(Declared, abstract=True):
    """Base of the losses. `reduction` is "mean" (1/n sum over samples) or "sum"."""

    reduction: str = field(default="mean", kw_only=True)

    #: "margin" (labels -1/+1, s = y z), "residual" (real targets, s = z - y) or "classes" (one output a class, see class_losses.py)
    reads: ClassVar[str]
    #: phi in readable mathematics, with {s} for its argument
    formula: ClassVar[str]
    #: True where phi(-s) = phi(s), which a worst case over a perturbation needs of losses of residuals; checked when one is asked for
    even: ClassVar[bool] = False
    #: False where phi* has a kink inside of its domain, which interior points cannot pass
    smooth_conjugate: ClassVar[bool] = True
    #: True where exp(-phi(y f(x))) is the probability that a network f gives to the label y
    likelihood: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.reduction not in ("mean", "sum"):
            raise InputError(f"reduction must be 'mean' or 'sum'; got {self.reduction!r}.")

    def __call__(self, reading: Any, y: Any = None, *, weight: Any = None) -> Any:
        """The term of an objective that this loss makes of a reading f(X), its targets y, 0 where they are left out, and sample weights."""
        if not hasattr(reading, "under"):
            raise InputTypeError(
                f"A loss is applied to a reading of a network, {type(self).__name__}(...)(f(X), y); got {type(reading).__name__}. "
                "The mathematics are in value, prox, conjugate and rows."
            )
        return reading.under(self, y, weight)

    def value(self, s: Any) -> Any:
        """phi(s), elementwise."""
        raise NotImplementedError

    def slope(self, s: Any) -> Any:
        """A subgradient of phi at s, elementwise."""
        raise NotImplementedError

    def prox(self, s: Any, t: Any) -> Any:
        """argmin over p of t phi(p) + (p - s)^2 / 2, elementwise; t > 0 is a number or an array."""
        raise NotImplementedError

    def conjugate(self, m: Any) -> Any:
        """phi*(m) = sup over s of m s - phi(s), elementwise, for m in its domain."""
        raise NotImplementedError

    def clip(self, m: Any) -> Any:
        """The nearest point of the domain of phi*."""
        raise NotImplementedError

    def conjugate_slopes(self, m: Any) -> tuple[Any, Any]:
        """phi*'(m) and phi*''(m), elementwise, for m inside the domain of phi*."""
        raise NotImplementedError

    def rows(self, weights: Vector) -> ConicRows:
        """The epigraph of sum_k weights_k phi(s_k) in conic form, as rows on s."""
        raise NotImplementedError


@dataclass(frozen=True)
class MarginLoss(Loss, abstract=True):
    """A non-increasing loss of the margin y f(x), labels -1/+1."""

    reads: ClassVar[str] = "margin"


@dataclass(frozen=True)
class ResidualLoss(Loss, abstract=True):
    """A loss of the residual f(x) - y. Declare `even = True` where phi(-s) = phi(s): worst cases are then solved faster, by more engines."""

    reads: ClassVar[str] = "residual"


@dataclass(frozen=True)
class Squared(ResidualLoss):
    """Half the squared residual, 1/2 (f(x) - y)^2."""

    formula: ClassVar[str] = "1/2 ({s})^2"
    even: ClassVar[bool] = True

    def value(self, s: Any) -> Any:
        return 0.5 * s * s

    def slope(self, s: Any) -> Any:
        return s

    def prox(self, s: Any, t: Any) -> Any:
        return s / (1 + t)

    def conjugate(self, m: Any) -> Any:
        return 0.5 * m * m

    def clip(self, m: Any) -> Any:
        return m

    def conjugate_slopes(self, m: Any) -> tuple[Any, Any]:
        return m, 1.0 + 0 * m

    def rows(self, weights: Vector) -> ConicRows:
        n = len(weights)
        return ConicRows(np.zeros(n), weights, (Rows(ZERO, [n], -1.0, diagonal(np.ones(n)), np.zeros(n)),))


@dataclass(frozen=True)
class Absolute(ResidualLoss):
    """The absolute residual |f(x) - y|."""

    formula: ClassVar[str] = "|{s}|"
    even: ClassVar[bool] = True

    def value(self, s: Any) -> Any:
        return abs(s)

    def slope(self, s: Any) -> Any:
        return array_namespace(s).sign(s)

    def prox(self, s: Any, t: Any) -> Any:
        return soft(s, t)

    def conjugate(self, m: Any) -> Any:
        return 0.0 * m

    def clip(self, m: Any) -> Any:
        return array_namespace(m).clip(m, -1.0, 1.0)

    def conjugate_slopes(self, m: Any) -> tuple[Any, Any]:
        return 0 * m, 0 * m

    def rows(self, weights: Vector) -> ConicRows:
        """Auxiliaries (q, t): s = q, -t <= q <= t."""
        n = len(weights)
        return ConicRows(np.concatenate([np.zeros(n), weights]), np.zeros(2 * n), (_equals(n, 2, 0), *_within(n, 2, 0)))


@dataclass(frozen=True)
class Huber(ResidualLoss):
    """Huber's loss: 1/2 r^2 where |r| <= delta, delta (|r| - delta / 2) beyond."""

    delta: float
    formula: ClassVar[str] = "huber({s})"
    even: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "delta", number(self.delta, "delta", above=0))

    def value(self, s: Any) -> Any:
        xp = array_namespace(s)
        inner = xp.clip(s, -self.delta, self.delta)
        return 0.5 * inner * inner + self.delta * (abs(s) - abs(inner))

    def slope(self, s: Any) -> Any:
        return array_namespace(s).clip(s, -self.delta, self.delta)

    def prox(self, s: Any, t: Any) -> Any:
        xp = array_namespace(s)
        return xp.where(abs(s) <= self.delta * (1 + t), s / (1 + t), soft(s, t * self.delta))

    def conjugate(self, m: Any) -> Any:
        return 0.5 * m * m

    def clip(self, m: Any) -> Any:
        return array_namespace(m).clip(m, -self.delta, self.delta)

    def conjugate_slopes(self, m: Any) -> tuple[Any, Any]:
        return m, 1.0 + 0 * m

    def rows(self, weights: Vector) -> ConicRows:
        """Auxiliaries (q, t, p): s = q + p at cost delta |q| + 1/2 p^2, -t <= q <= t."""
        n = len(weights)
        zero = np.zeros(n)
        cost, quadratic = np.concatenate([zero, self.delta * weights, zero]), np.concatenate([zero, zero, weights])
        return ConicRows(cost, quadratic, (_equals(n, 3, 0, 2), *_within(n, 3, 0)))


def _equals(n: int, groups: int, *summed: int) -> Rows:
    """s = the sum of some groups of n auxiliaries."""
    on_t = scipy.sparse.hstack([diagonal(np.full(n, float(g in summed))) for g in range(groups)], format="csr")
    on_t.eliminate_zeros()
    return Rows(ZERO, [n], -1.0, on_t, np.zeros(n))


def _within(n: int, groups: int, group: int) -> tuple[Rows, Rows]:
    """-t <= q <= t, where q is one group of n auxiliaries and t the next."""
    one = np.ones(n)

    def side(sign: float) -> Rows:
        at = np.arange(n)
        rows, cols = np.concatenate([at, at]), np.concatenate([group * n + at, (group + 1) * n + at])
        on_t = scipy.sparse.csr_array((np.concatenate([sign * one, -one]), (rows, cols)), shape=(n, groups * n))
        return Rows(NONNEGATIVE, [n], empty(n, n), on_t, np.zeros(n))

    return side(1.0), side(-1.0)


def positive(s: Any) -> Any:
    """max(0, s), elementwise on an array of any library, or a number."""
    return s.clip(0.0) if hasattr(s, "clip") else max(s, 0.0)


def soft(s: Any, t: Any) -> Any:
    """Soft threshold: the proximal map of t |.|, elementwise."""
    return array_namespace(s).sign(s) * positive(abs(s) - t)


def xlogx(p: Any) -> Any:
    """p log p, 0 at 0, elementwise."""
    xp = array_namespace(p)
    safe = xp.where(p > 0, p, 1.0 + 0 * p)
    return xp.where(p > 0, p * xp.log(safe), 0 * p)
