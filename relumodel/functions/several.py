"""A calculus of functions: f(z + b), and f_1(z_1) + f_2(z_2) + ... on consecutive parts of z. Every face follows from those of the parts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from array_api_compat import array_namespace
from numpy.typing import NDArray

from .base import Function, SampleLoss
from .rows import ConicRows, Rows, diagonal, shifted

Vector = NDArray[np.float64]


def gradient(function: Function | Any, z: Any) -> Any:
    """A subgradient where the function has that face; 0, which is one of an indicator in its domain, where it has not."""
    return function.gradient(z) if hasattr(function, "gradient") else 0 * z


def has_kink(function: Function | Any) -> bool:
    """Whether the function has a kink or is an indicator, so that a descent must round it off."""
    return bool(getattr(function, "has_kink", True))


def rounded(function: Function | Any, z: Any, width: float) -> tuple[float, Any]:
    """The value and gradient of the Moreau envelope min over p of f(p) + |p - z|^2 / (2 width), of f itself for width 0."""
    if hasattr(function, "rounded"):
        return function.rounded(z, width)
    if width == 0:
        return float(function.value(z)), gradient(function, z)
    near = function.prox(z, width)
    away = z - near
    return float(function.value(near)) + float((away * away).sum()) / (2 * width), away / width


def scaled(function: Function | Any, c: float) -> Function:
    """c f, c > 0, for losses on samples and norms."""
    if c == 1:
        return function
    name = "weights" if hasattr(function, "weights") else "weight"
    given: Any = function
    return dataclasses.replace(given, **{name: c * getattr(function, name)})


def moved(function: Function | Any, offset: Vector) -> Function:
    """f(z + offset)."""
    if not offset.any():
        return function
    if isinstance(function, SampleLoss):
        return dataclasses.replace(function, tau=function.tau + function.sigma * offset)
    return Shifted(function, offset)


@dataclass(frozen=True, eq=False)
class Shifted(Function):
    """f(z + offset); offset (m,)."""

    inner: Function
    offset: Vector

    @property
    def indicator(self) -> bool:  # type: ignore[override]
        """Whether f is one."""
        return self.inner.indicator

    @property
    def has_kink(self) -> bool:
        return has_kink(self.inner)

    def value(self, z: Any) -> Any:
        return self.inner.value(z + self.offset)

    def violation(self, z: Any) -> Any:
        return self.inner.violation(z + self.offset)

    def gradient(self, z: Any) -> Any:
        """A subgradient in z."""
        return gradient(self.inner, z + self.offset)

    def rounded(self, z: Any, width: float) -> tuple[float, Any]:
        """As for `SampleLoss`."""
        return rounded(self.inner, z + self.offset, width)

    def prox(self, z: Any, t: Any) -> Any:
        return self.inner.prox(z + self.offset, t) - self.offset

    def conjugate(self, q: Any) -> Any:
        return self.inner.conjugate(q) - (self.offset * q).sum()

    def project_dual(self, q: Any) -> Any:
        return self.inner.project_dual(q)

    def few_rows(self, m: int) -> ConicRows:
        return self.inner.few_rows(m)

    def rows(self, m: int) -> ConicRows:
        inner = self.inner.rows(m)
        pieces = tuple(
            Rows(p.kind, p.sizes, p.on_z, p.on_t, p.b - p.on_z * self.offset)
            if isinstance(p.on_z, float)
            else Rows(p.kind, p.sizes, p.on_z, p.on_t, p.b - p.on_z @ self.offset)
            for p in inner.pieces
        )
        return ConicRows(inner.cost, inner.quadratic, pieces)


@dataclass(frozen=True, eq=False)
class Mirrored(Function):
    """f(-z)."""

    inner: Function

    @property
    def indicator(self) -> bool:  # type: ignore[override]
        """Whether f is one."""
        return self.inner.indicator

    @property
    def cone(self) -> bool:  # type: ignore[override]
        """Whether f is the indicator of one."""
        return self.inner.cone

    @property
    def has_kink(self) -> bool:
        return has_kink(self.inner)

    def value(self, z: Any) -> Any:
        return self.inner.value(-z)

    def violation(self, z: Any) -> Any:
        return self.inner.violation(-z)

    def gradient(self, z: Any) -> Any:
        """A subgradient in z."""
        return -gradient(self.inner, -z)

    def prox(self, z: Any, t: Any) -> Any:
        return -self.inner.prox(-z, t)

    def conjugate(self, q: Any) -> Any:
        return self.inner.conjugate(-q)

    def project_dual(self, q: Any) -> Any:
        return -self.inner.project_dual(-q)

    def few_rows(self, m: int) -> ConicRows:
        return self.inner.few_rows(m)

    def rows(self, m: int) -> ConicRows:
        inner = self.inner.rows(m)
        pieces = tuple(Rows(p.kind, p.sizes, -p.on_z, p.on_t, p.b) for p in inner.pieces)
        return ConicRows(inner.cost, inner.quadratic, pieces)


@dataclass(frozen=True, eq=False)
class Several(Function):
    """The sum of functions of consecutive parts of z, of these sizes. outputs : how many a network has whose values z are made of."""

    functions: tuple[Function, ...]
    sizes: tuple[int, ...]
    outputs: int = 1

    sample_weights = None

    def split(self, z: Any) -> list[Any]:
        """The parts of z."""
        ends = np.cumsum(self.sizes)
        return [z[int(end) - size : int(end)] for end, size in zip(ends, self.sizes, strict=True)]

    def _pairs(self, z: Any) -> list[tuple[Any, Any]]:
        return list(zip(self.functions, self.split(z), strict=True))

    def _joined(self, parts: list[Any]) -> Any:
        return array_namespace(*parts).concat(parts)

    @property
    def constrains(self) -> bool:
        """Whether a part has a domain."""
        return any(_constrains(f) for f in self.functions)

    @property
    def has_kink(self) -> bool:
        return any(has_kink(f) for f in self.functions)

    def value(self, z: Any) -> Any:
        return sum(f.value(part) for f, part in self._pairs(z))

    def violation(self, z: Any) -> Any:
        return max((f.violation(part) for f, part in self._pairs(z)), default=0.0)

    def gradient(self, z: Any) -> Any:
        """A subgradient in z."""
        return self._joined([gradient(f, part) for f, part in self._pairs(z)])

    def rounded(self, z: Any, width: float) -> tuple[float, Any]:
        """As for `SampleLoss`."""
        found = [rounded(f, part, width) for f, part in self._pairs(z)]
        return float(sum(value for value, _ in found)), self._joined([slopes for _, slopes in found])

    def prox(self, z: Any, t: Any) -> Any:
        steps = self.split(t) if np.ndim(t) else [t] * len(self.sizes)
        return self._joined([f.prox(part, step) for (f, part), step in zip(self._pairs(z), steps, strict=True)])

    def conjugate(self, q: Any) -> Any:
        return sum(f.conjugate(part) for f, part in self._pairs(q))

    def project_dual(self, q: Any) -> Any:
        return self._joined([f.project_dual(part) for f, part in self._pairs(q)])

    def few_rows(self, m: int) -> ConicRows:
        few = [f.few_rows(size) for f, size in zip(self.functions, self.sizes, strict=True)]
        cost, quadratic = (np.concatenate(parts) for parts in zip(*((r.cost, r.quadratic) for r in few), strict=True))
        return ConicRows(cost, quadratic, tuple(piece for r in few for piece in r.pieces))

    def rows(self, m: int) -> ConicRows:
        all_rows = [f.rows(size) for f, size in zip(self.functions, self.sizes, strict=True)]
        k = sum(len(r.cost) for r in all_rows)
        pieces, on_z, on_t = [], 0, 0
        for r, size in zip(all_rows, self.sizes, strict=True):
            pieces += [shifted(_explicit(piece, size), on_z, m, on_t, k) for piece in r.pieces]
            on_z, on_t = on_z + size, on_t + len(r.cost)
        cost, quadratic = (np.concatenate(parts) for parts in zip(*((r.cost, r.quadratic) for r in all_rows), strict=True))
        return ConicRows(cost, quadratic, tuple(pieces))


def _constrains(function: Function | Any) -> bool:
    if isinstance(function, Shifted | Mirrored):
        return _constrains(function.inner)
    return function.indicator or type(function).violation is not Function.violation


def _explicit(piece: Rows, size: int) -> Rows:
    """The same with a matrix for `on_z`."""
    if not isinstance(piece.on_z, float):
        return piece
    matrix = diagonal(np.full(size, piece.on_z)) if piece.on_z else scipy.sparse.csr_array((size, size))
    return Rows(piece.kind, piece.sizes, matrix, piece.on_t, piece.b)
