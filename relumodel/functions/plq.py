"""Piecewise linear-quadratic losses of the residual s = f(x) - y: pinball, epsilon-insensitive, expectile, and any other in one line.

Such a function is given by its derivative, slopes_i + curvatures_i s on the i-th piece between breakpoints, which must not fall. All
faces follow (Rockafellar & Wets 1998, section 10.E): the proximal map and the derivative of the conjugate are found piece by piece.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import scipy
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ..declared import number
from ..errors import InputError, InputTypeError
from .losses import ResidualLoss
from .rows import NONNEGATIVE, ZERO, ConicRows, Rows, diagonal, empty

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class _Pieces:
    """phi(s) = constants_i + slopes_i s + curvatures_i s^2 / 2 on [knots_i-1, knots_i]; anchor: a minimiser, where phi is 0,
    itself a knot."""

    knots: Vector
    slopes: Vector
    curvatures: Vector
    constants: Vector
    anchor: float

    @property
    def ends(self) -> list[tuple[float, float]]:
        """(low, high) of every piece."""
        edges = np.concatenate([[-np.inf], self.knots, [np.inf]])
        return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))

    @property
    def low(self) -> float:
        """The least derivative."""
        return -np.inf if self.curvatures[0] > 0 else float(self.slopes[0])

    @property
    def high(self) -> float:
        """The largest derivative."""
        return np.inf if self.curvatures[-1] > 0 else float(self.slopes[-1])

    def derivative(self, i: int, s: float) -> float:
        """That of the i-th piece at s."""
        return float(self.slopes[i] + self.curvatures[i] * s)


def _pieces(knots: Vector, slopes: Vector, curvatures: Vector) -> _Pieces:
    below, above = slopes[:-1] + curvatures[:-1] * knots, slopes[1:] + curvatures[1:] * knots
    at = np.flatnonzero((below <= 0) & (above >= 0))
    if len(at):
        anchor = float(knots[at[0]])
    else:  # inside of a piece with curvature, which is cut there
        ends = np.concatenate([[-np.inf], knots, [np.inf]])
        i = next(int(i) for i in np.flatnonzero(curvatures > 0) if ends[i] <= -slopes[i] / curvatures[i] <= ends[i + 1])
        anchor = float(-slopes[i] / curvatures[i])
        knots = np.insert(knots, i, anchor)
        slopes, curvatures = np.insert(slopes, i, slopes[i]), np.insert(curvatures, i, curvatures[i])
    constants = np.zeros(len(slopes))
    for i, b in enumerate(knots):  # continuous at the knots
        constants[i + 1] = constants[i] + (slopes[i] - slopes[i + 1]) * b + (curvatures[i] - curvatures[i + 1]) * b * b / 2
    k = int(np.flatnonzero(knots == anchor)[0])
    constants -= constants[k] + slopes[k] * anchor + curvatures[k] * anchor**2 / 2
    return _Pieces(knots, slopes, curvatures, constants, anchor)


@dataclass(frozen=True)
class _PiecewiseLoss(ResidualLoss, abstract=True):
    """The faces of a loss whose `_shape` says (breakpoints, slopes, curvatures)."""

    @property
    def _shape(self) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
        raise NotImplementedError

    @cached_property
    def pieces(self) -> _Pieces:
        """The pieces, with the anchor among the knots."""
        knots, slopes, curvatures = (np.array(values, dtype=float) for values in self._shape)
        return _pieces(knots, slopes, curvatures)

    @property
    def even(self) -> bool:  # type: ignore[override]
        """Whether phi(-s) = phi(s)."""
        p = self.pieces
        same = np.array_equal(p.knots, -p.knots[::-1]) and np.array_equal(p.slopes, -p.slopes[::-1])
        return bool(same and np.array_equal(p.curvatures, p.curvatures[::-1]))

    @property
    def smooth_conjugate(self) -> bool:  # type: ignore[override]
        """Whether phi* has a derivative everywhere inside of its domain, no piece but the outer ones being straight; and is curved or has
        an end on both sides, which an interior point needs where phi has a kink."""
        p = self.pieces
        left, right = p.slopes[:-1] + p.curvatures[:-1] * p.knots, p.slopes[1:] + p.curvatures[1:] * p.knots
        endless = np.isinf(p.low) or np.isinf(p.high)
        return bool((p.curvatures[1:-1] > 0).all()) and not (endless and (right > left).any())

    def value(self, s: Any) -> Any:
        p = self.pieces
        out = p.constants[0] + s * (p.slopes[0] + 0.5 * p.curvatures[0] * s)
        for i, knot in enumerate(p.knots, start=1):
            at = p.constants[i] + s * (p.slopes[i] + 0.5 * p.curvatures[i] * s)
            out = array_namespace(s).where(s > float(knot), at, out)
        return out

    def slope(self, s: Any) -> Any:
        p = self.pieces
        out = p.slopes[0] + p.curvatures[0] * s
        for i, knot in enumerate(p.knots, start=1):
            out = array_namespace(s).where(s >= float(knot), p.slopes[i] + p.curvatures[i] * s, out)
        return array_namespace(s).where(s == p.anchor, 0 * s, out)

    def prox(self, s: Any, t: Any) -> Any:
        p, xp, out = self.pieces, array_namespace(s), None
        for i, (low, high) in enumerate(p.ends):
            inner = (s - t * float(p.slopes[i])) / (1 + t * float(p.curvatures[i]))
            inner = xp.clip(inner, low if np.isfinite(low) else None, high if np.isfinite(high) else None)
            out = inner if out is None else xp.where(s > low + t * p.derivative(i, low), inner, out)
        return out

    def clip(self, m: Any) -> Any:
        low, high = self.pieces.low, self.pieces.high
        return array_namespace(m).clip(m, low if np.isfinite(low) else None, high if np.isfinite(high) else None)

    def _attained(self, m: Any) -> tuple[Any, Any]:
        """s with m in the subdifferential of phi at s, and the second derivative of phi*."""
        p, xp, at, curved = self.pieces, array_namespace(m), None, None
        for i, (low, high) in enumerate(p.ends):
            curvature = float(p.curvatures[i])
            if curvature > 0:
                inner = (m - float(p.slopes[i])) / curvature
                here = xp.clip(inner, low if np.isfinite(low) else None, high if np.isfinite(high) else None)
                bend = xp.where((inner >= low) & (inner <= high), 1 / curvature + 0 * m, 0 * m)
            else:
                here, bend = (high if np.isfinite(high) else low) + 0 * m, 0 * m
            if at is None:
                at, curved = here, bend
            else:
                beyond = m > p.derivative(i, low)
                at, curved = xp.where(beyond, here, at), xp.where(beyond, bend, curved)
        return at, curved

    def conjugate(self, m: Any) -> Any:
        s, _ = self._attained(m)
        return m * s - self.value(s)

    def conjugate_slopes(self, m: Any) -> tuple[Any, Any]:
        return self._attained(m)

    def rows(self, weights: Vector) -> ConicRows:
        """s = anchor + what is walked on every piece to the right of it - what is walked to the left, each at the piece's own price."""
        p, n = self.pieces, len(weights)
        ways = [(1.0, low, high, i) for i, (low, high) in enumerate(p.ends) if low >= p.anchor]
        ways += [(-1.0, low, high, i) for i, (low, high) in enumerate(p.ends) if high <= p.anchor]
        cost = [weights * (sign * p.derivative(i, low if sign > 0 else high)) for sign, low, high, i in ways]
        quadratic = [weights * float(p.curvatures[i]) for _, _, _, i in ways]
        k = len(ways) * n
        walked = scipy.sparse.hstack([diagonal(np.full(n, sign)) for sign, *_ in ways], format="csr")
        pieces = [
            Rows(ZERO, [n], -1.0, walked, np.full(n, -p.anchor)),
            Rows(NONNEGATIVE, [k], empty(k, n), -diagonal(np.ones(k)), np.zeros(k)),
        ]
        for j, (_, low, high, _) in enumerate(ways):
            if np.isfinite(high - low):
                at_most = diagonal(np.ones(n), column=j * n, columns=k)
                pieces.append(Rows(NONNEGATIVE, [n], empty(n, n), at_most, np.full(n, high - low)))
        return ConicRows(np.concatenate(cost), np.concatenate(quadratic), tuple(pieces))


@dataclass(frozen=True)
class PLQ(_PiecewiseLoss):
    """Any convex piecewise linear-quadratic loss of the residual s = f(x) - y, by its derivative.

    breakpoints : (k,) increasing, k >= 1.  slopes, curvatures : (k + 1,), the derivative is slopes_i + curvatures_i s on the i-th piece;
    curvatures are 0 unless given. The value is 0 at a minimiser, which there must be.
    Raises `InputError` where the derivative falls, or is of one sign everywhere.  Example: `PLQ((-1, 1), (-1, 0, 1))` is 0 for |s| <= 1 and |s| - 1 beyond.
    """

    breakpoints: tuple[float, ...]
    slopes: tuple[float, ...]
    curvatures: tuple[float, ...] | None = None
    formula: ClassVar[str] = "plq({s})"

    def __post_init__(self) -> None:
        super().__post_init__()
        b, s = _numbers(self.breakpoints, "breakpoints"), _numbers(self.slopes, "slopes")
        c = (0.0,) * len(s) if self.curvatures is None else _numbers(self.curvatures, "curvatures")
        if not b or len(s) != len(b) + 1 or len(c) != len(s):
            raise InputError(
                f"PLQ takes k breakpoints, k >= 1, and k + 1 slopes and curvatures; got {len(b)} breakpoints, {len(s)} slopes and {len(c)} curvatures."
            )
        if any(low >= high for low, high in itertools.pairwise(b)):
            raise InputError(f"The breakpoints of PLQ increase; got {b}.")
        if min(c) < 0:
            raise InputError(f"The curvatures of PLQ are >= 0; got {c}.")
        for i, at in enumerate(b):
            left, right = s[i] + c[i] * at, s[i + 1] + c[i + 1] * at
            if left > right:
                raise InputError(f"PLQ is not convex: its derivative falls from {left:g} to {right:g} at the breakpoint {at:g}.")
        if not (c[0] > 0 or s[0] <= 0) or not (c[-1] > 0 or s[-1] >= 0):
            raise InputError(
                f"PLQ has no least value: its derivative is {'above' if s[0] > 0 else 'below'} 0 everywhere, and bounds need a loss that has one."
            )
        for name, values in (("breakpoints", b), ("slopes", s), ("curvatures", c)):
            object.__setattr__(self, name, values)

    @property
    def _shape(self) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
        return self.breakpoints, self.slopes, self.curvatures or ()


@dataclass(frozen=True)
class Pinball(_PiecewiseLoss):
    """level (y - f(x)) where y is above, (1 - level) (f(x) - y) where it is below: f becomes the quantile of that level, 0 < level < 1
    (Koenker & Bassett 1978)."""

    level: float = field(default=0.5)
    formula: ClassVar[str] = "pinball({s})"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "level", number(self.level, "level", above=0, below=1))

    @property
    def _shape(self) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
        return (0.0,), (-self.level, 1 - self.level), (0.0, 0.0)


@dataclass(frozen=True)
class EpsilonInsensitive(_PiecewiseLoss):
    """max(0, |f(x) - y| - eps), eps >= 0 (Vapnik 1995)."""

    eps: float = field(default=0.1)
    formula: ClassVar[str] = "max(0, |{s}| - eps)"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "eps", number(self.eps, "eps", low=0))

    @property
    def _shape(self) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
        return ((-self.eps, self.eps), (-1.0, 0.0, 1.0), (0.0,) * 3) if self.eps else ((0.0,), (-1.0, 1.0), (0.0, 0.0))


@dataclass(frozen=True)
class Expectile(_PiecewiseLoss):
    """level (y - f(x))^2 where y is above, (1 - level) (f(x) - y)^2 where it is below, 0 < level < 1; `Expectile(0.5)` is `Squared`
    (Newey & Powell 1987)."""

    level: float = field(default=0.5)
    formula: ClassVar[str] = "expectile({s})"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "level", number(self.level, "level", above=0, below=1))

    @property
    def _shape(self) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
        return (0.0,), (0.0, 0.0), (2 * self.level, 2 * (1 - self.level))


def _numbers(values: Any, name: str) -> tuple[float, ...]:
    try:
        return tuple(number(value, f"every entry of {name}") for value in values)
    except TypeError as error:
        if isinstance(error, InputTypeError):
            raise
        raise InputTypeError(f"{name} must be a sequence of numbers; got {values!r}.") from error
