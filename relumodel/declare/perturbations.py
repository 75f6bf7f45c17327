"""Perturbation sets: what an adversary may add to each sample.

A set Delta is given by a radius r_j per column (0 where a column is never perturbed). Everything the robust programs need
of it are the faces of its support function  h(q) = max over delta in Delta of delta.q  (Bai et al. 2023, section 4):

    LInf   |delta_j| <= r_j               h(q) = sum_j r_j |q_j|
    L2     |(delta_j / r_j)_j|_2 <= 1     h(q) = |(r_j q_j)_j|_2
    L1     |(delta_j / r_j)_j|_1 <= 1     h(q) = max_j r_j |q_j|

Vectors are the rows of (n, d) arrays; `support`, `worst`, `gauge` and `prox` are written on array-API arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ..declared import Declared, number
from ..errors import InputError, InputTypeError
from ..functions.losses import positive, soft
from ..functions.roots import all_converged
from ..functions.rows import NONNEGATIVE, SECOND_ORDER, ZERO, Rows, diagonal, empty

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Perturbation(Declared):
    """Base of the perturbation sets.

    radius : one number >= 0 for all features, or one per feature (in the units of X).
    fixed : features that are never perturbed (categorical ones, say), by position or, for frames, by name.
    """

    radius: float | tuple[float, ...]
    fixed: tuple[int | str, ...] = ()

    #: the set in readable mathematics, with {r} for the radius
    formula: ClassVar[str]
    #: True where the set is its own smallest ellipsoid, see `ellipsoid`
    is_ellipsoid: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "radius", _radius(self.radius))
        object.__setattr__(self, "fixed", _fixed(self.fixed))

    def __str__(self) -> str:
        radius = f"{self.radius:g}" if isinstance(self.radius, float) else "1 in units of its radii"
        fixed = f", {len(self.fixed)} feature{'s' * (len(self.fixed) > 1)} fixed" if self.fixed else ""
        return self.formula.format(r=radius) + fixed

    def radii(self, d: int, names: tuple[str, ...] | None = None, bias: bool = False) -> Vector:
        """The radius of every column: (d,), or (d + 1,) with a last 0 for the bias column."""
        if isinstance(self.radius, tuple) and len(self.radius) != d:
            raise InputError(f"The perturbation has {len(self.radius)} radii and X has {d} features; give one number or {d}.")
        r = np.full(d, self.radius, dtype=np.float64)
        for column in self.fixed:
            r[_position(column, d, names)] = 0.0
        return np.append(r, 0.0) if bias else r

    def ball(self, d: int, names: tuple[str, ...] | None = None, bias: bool = False) -> Ball | None:
        """The set on the columns of a matrix with d features, as in `radii`; None where nothing is perturbed."""
        radii = self.radii(d, names, bias)
        return Ball(self, radii) if radii.any() else None

    def scaled(self, factor: float) -> Perturbation:
        """The same set, `factor` times as large."""
        radius = tuple(factor * r for r in self.radius) if isinstance(self.radius, tuple) else factor * self.radius
        return type(self)(radius, self.fixed)

    def ellipsoid(self, r: Vector) -> Vector:
        """The radii of the smallest ellipsoid |(delta_j / r_j)_j|_2 <= 1 that holds the set."""
        return r

    def support(self, Q: Any, r: Any) -> Any:
        """h of every row of Q: (n,)."""
        raise NotImplementedError

    def worst(self, Q: Any, r: Any) -> Any:
        """A maximiser delta of delta.q over the set, for every row of Q: (n, d)."""
        raise NotImplementedError

    def gauge(self, G: Any, r: Any) -> Any:
        """The smallest s >= 0 with g in s Delta for every row of G, columns with r = 0 left out: (n,)."""
        raise NotImplementedError

    def prox(self, Q: Any, t: Any, r: Any) -> Any:
        """argmin over p of t_k h(p) + |p - q_k|^2 / 2 for every row, t (n,): q - t projection of q / t on Delta."""
        raise NotImplementedError

    def rows(self, n: int, r: Vector) -> tuple[int, tuple[Rows, ...]]:
        """Rows for h(q_k) <= p_k, k < n, on z = (q_1, ..., q_n): the number of auxiliaries and the pieces.

        The first n auxiliaries are the p_k.
        """
        raise NotImplementedError

    def _magnitudes(self, n: int, r: Vector) -> tuple[int, list[Rows]]:
        """Auxiliaries (p, q', a) with q' = the perturbed entries of q and |q'| <= a; the big map appears once only."""
        live = np.flatnonzero(r)
        m = n * len(live)
        k = n + 2 * m
        at = (np.arange(n)[:, None] * len(r) + live).reshape(-1)
        pick = scipy.sparse.csr_array((-np.ones(m), at, np.arange(m + 1)), shape=(m, n * len(r)))
        one = np.ones(m)
        pieces = [Rows(ZERO, [m], pick, diagonal(one, column=n, columns=k), np.zeros(m))]
        for sign in (1.0, -1.0):
            on_t = diagonal(sign * one, column=n, columns=k) - diagonal(one, column=n + m, columns=k)
            pieces.append(Rows(NONNEGATIVE, [m], empty(m, n * len(r)), on_t.tocsr(), np.zeros(m)))
        return k, pieces


@dataclass(frozen=True)
class LInf(Perturbation):
    """Every feature moves by at most its radius, independently: a box around each sample."""

    formula: ClassVar[str] = "|delta_k|_inf <= {r}"

    def ellipsoid(self, r: Vector) -> Vector:
        return r * np.sqrt((r > 0).sum())

    def support(self, Q: Any, r: Any) -> Any:
        return (abs(Q) * r).sum(axis=-1)

    def worst(self, Q: Any, r: Any) -> Any:
        return r * array_namespace(Q).sign(Q)

    def gauge(self, G: Any, r: Any) -> Any:
        xp = array_namespace(G)
        return xp.max(xp.where(r > 0, abs(G) / xp.where(r > 0, r, 1.0 + 0 * r), 0 * G), axis=-1)

    def prox(self, Q: Any, t: Any, r: Any) -> Any:
        return soft(Q, t[:, None] * r)

    def rows(self, n: int, r: Vector) -> tuple[int, tuple[Rows, ...]]:
        k, pieces = self._magnitudes(n, r)
        live = r[r > 0]
        m = n * len(live)
        total = scipy.sparse.csr_array((np.tile(live, n), n + m + np.arange(m), np.arange(n + 1) * len(live)), shape=(n, k))
        budget = (total - diagonal(np.ones(n), columns=k)).tocsr()
        pieces.append(Rows(NONNEGATIVE, [n], empty(n, n * len(r)), budget, np.zeros(n)))
        return k, tuple(pieces)


@dataclass(frozen=True)
class L1(Perturbation):
    """The radii share one budget: sum_j |delta_j| / r_j <= 1."""

    formula: ClassVar[str] = "|delta_k|_1 <= {r}"

    def support(self, Q: Any, r: Any) -> Any:
        return array_namespace(Q).max(abs(Q) * r, axis=-1)

    def worst(self, Q: Any, r: Any) -> Any:
        xp = array_namespace(Q)
        best = xp.argmax(abs(Q) * r, axis=-1)
        one_hot = xp.arange(Q.shape[-1])[None, :] == best[:, None]
        return xp.where(one_hot, r * xp.sign(Q), 0 * Q)

    def gauge(self, G: Any, r: Any) -> Any:
        xp = array_namespace(G)
        return xp.sum(xp.where(r > 0, abs(G) / xp.where(r > 0, r, 1.0 + 0 * r), 0 * G), axis=-1)

    def prox(self, Q: Any, t: Any, r: Any) -> Any:
        """min over a of t a + sum_j (|q_j| - a / r_j)_+^2 / 2: the root in a of a decreasing piecewise linear function."""
        xp = array_namespace(Q)
        live = r > 0
        inverse = xp.where(live, 1.0 / xp.where(live, r, 1.0 + 0 * r), 0 * r)
        heights = xp.where(live, abs(Q) * r, 0 * Q)  # the a at which entry j is no longer cut
        order = xp.argsort(-heights, axis=-1)
        sorted_heights = xp.take_along_axis(heights, order, axis=-1)
        cut = abs(Q) * inverse
        slope = xp.cumulative_sum(xp.take_along_axis(inverse * inverse + 0 * Q, order, axis=-1), axis=-1)
        level = xp.cumulative_sum(xp.take_along_axis(cut, order, axis=-1), axis=-1)
        # with the j highest entries cut, the root is a_j = (level_j - t) / slope_j; the right j is the last with a_j < height_j
        root = (level - t[:, None]) / xp.where(slope > 0, slope, 1.0 + 0 * slope)
        usable = (sorted_heights > root) & (sorted_heights > 0)
        last = xp.sum(xp.astype(usable, xp.int64), axis=-1) - 1
        a = xp.take_along_axis(root, xp.where(last >= 0, last, 0 * last)[:, None], axis=-1)[:, 0]
        a = positive(xp.where(last >= 0, a, sorted_heights[:, 0]))  # nothing is cut when t = 0
        ceiling = xp.where(live, a[:, None] * inverse, abs(Q))
        return xp.sign(Q) * xp.where(abs(Q) < ceiling, abs(Q), ceiling)

    def rows(self, n: int, r: Vector) -> tuple[int, tuple[Rows, ...]]:
        live = np.flatnonzero(r)
        m = n * len(live)
        k, pieces = self._magnitudes(n, r)
        # a is bounded by p / r entry by entry: r_j a_kj <= p_k
        on_a = diagonal(np.tile(r[live], n), column=n + m, columns=k)
        on_p = scipy.sparse.csr_array((np.ones(m), np.repeat(np.arange(n), len(live)), np.arange(m + 1)), shape=(m, k))
        pieces.append(Rows(NONNEGATIVE, [m], empty(m, n * len(r)), (on_a - on_p).tocsr(), np.zeros(m)))
        return k, tuple(pieces)


@dataclass(frozen=True)
class L2(Perturbation):
    """A Euclidean ball around each sample, or an ellipsoid when the radii differ."""

    formula: ClassVar[str] = "|delta_k|_2 <= {r}"
    is_ellipsoid: ClassVar[bool] = True

    def support(self, Q: Any, r: Any) -> Any:
        xp = array_namespace(Q)
        return xp.sqrt(xp.sum((Q * r) ** 2, axis=-1))

    def worst(self, Q: Any, r: Any) -> Any:
        norms = self.support(Q, r)[:, None]
        return r * r * Q / array_namespace(Q).where(norms > 0, norms, 1.0 + 0 * norms)

    def gauge(self, G: Any, r: Any) -> Any:
        xp = array_namespace(G)
        return xp.sqrt(xp.sum(xp.where(r > 0, G / xp.where(r > 0, r, 1.0 + 0 * r), 0 * G) ** 2, axis=-1))

    def prox(self, Q: Any, t: Any, r: Any) -> Any:
        """p_j = q_j s / (s + t r_j^2) with s = h(p), the root of sum_j (r_j q_j / (s + t r_j^2))^2 = 1; p = 0 where there is none."""
        xp = array_namespace(Q)
        live = r > 0
        outside = self.gauge(Q, r) > t
        high = self.support(Q, r)
        low, s, rounding = 0 * high, high, xp.finfo(high.dtype).eps
        for k in range(100):  # Newton on 1 / norm - 1, nearly linear in s (More & Sorensen 1983), kept inside its bracket
            denominator = s[:, None] + t[:, None] * r * r
            safe = xp.where(denominator > 0, denominator, 1.0 + 0 * denominator)
            ratio = r * Q / safe
            norm = xp.sqrt(xp.sum(ratio * ratio, axis=-1))
            low, high = xp.where(norm > 1, s, low), xp.where(norm > 1, high, s)
            fall = xp.sum(ratio * ratio / safe, axis=-1)
            step = s + norm * norm * (norm - 1) / xp.where(fall > 0, fall, 1.0 + 0 * fall)
            step = xp.where((step >= low) & (step <= high), step, 0.5 * (low + high))
            done = abs(step - s) <= 2 * rounding * s
            s = step
            if all_converged(done | ~outside, k):
                break
        denominator = s[:, None] + t[:, None] * r * r
        shrunk = Q * s[:, None] / xp.where(denominator > 0, denominator, 1.0 + 0 * denominator)
        return xp.where(live, xp.where(outside[:, None], shrunk, 0 * Q), Q)

    def rows(self, n: int, r: Vector) -> tuple[int, tuple[Rows, ...]]:
        live = np.flatnonzero(r)
        size = len(live) + 1
        row = (np.arange(n)[:, None] * size + 1 + np.arange(len(live))).reshape(-1)
        at = (np.arange(n)[:, None] * len(r) + live).reshape(-1)
        on_z = scipy.sparse.csr_array((-np.tile(r[live], n), (row, at)), shape=(n * size, n * len(r)))
        on_t = scipy.sparse.csr_array((-np.ones(n), (np.arange(n) * size, np.arange(n))), shape=(n * size, n))
        return n, (Rows(SECOND_ORDER, [size] * n, on_z, on_t, np.zeros(n * size)),)


def _radius(radius: Any) -> float | tuple[float, ...]:
    """A number >= 0, or a tuple of them."""
    wanted = "The radius must be a number or one number per feature"
    if isinstance(radius, str) or not any(hasattr(radius, kind) for kind in ("__float__", "__len__", "__array__")):
        raise InputTypeError(f"{wanted}; got {radius!r}.")
    if hasattr(radius, "__array__"):
        if np.ndim(radius) > 1:
            raise InputError(f"{wanted}; got shape {np.shape(radius)}.")
        radius = np.asarray(radius).tolist()
    if not isinstance(radius, Sequence):
        if isinstance(radius, Iterable):
            raise InputTypeError(f"{wanted}, in their order; got {radius!r}.")
        return number(radius, "The radius", low=0)
    return tuple(number(r, "Every radius", low=0) for r in radius)


def _fixed(fixed: Any) -> tuple[int | str, ...]:
    """Positions or names of features."""
    alone = isinstance(fixed, str) or (hasattr(fixed, "__index__") and not np.ndim(fixed))
    columns = (fixed,) if alone else fixed
    if not isinstance(columns, Iterable):
        raise InputTypeError(f"fixed lists features by position or name; got {fixed!r}.")
    columns = tuple(columns)
    for column in columns:
        if isinstance(column, bool) or not (isinstance(column, str) or hasattr(column, "__index__")):
            raise InputTypeError(f"fixed lists features by position or name; got {column!r}.")
    return tuple(c if isinstance(c, str) else int(c) for c in columns)


def _position(column: int | str, d: int, names: tuple[str, ...] | None) -> int:
    if isinstance(column, str):
        if names is None or column not in names:
            known = ", ".join(names) if names is not None else "X has no column names; pass a frame or positions"
            raise InputError(f"fixed names the feature {column!r}, which X does not have ({known}).")
        if names.count(column) > 1:
            raise InputError(
                f"fixed names the feature {column!r}, and X has {names.count(column)} columns of that name; rename them."
            )
        return names.index(column)
    if not -d <= column < d:
        raise InputError(f"fixed names feature {column}, but X has {d} features.")
    return column


@dataclass(frozen=True, eq=False)
class Ball:
    """A perturbation set on the columns of one training matrix, the bias column (radius 0) included."""

    perturbation: Perturbation
    radii: Vector

    @property
    def is_ellipsoid(self) -> bool:
        """Whether the set is the ellipsoid itself."""
        return self.perturbation.is_ellipsoid

    @property
    def ellipsoid(self) -> Vector:
        """The radii of the smallest ellipsoid |(delta_j / r_j)_j|_2 <= 1 that holds the set."""
        return self.perturbation.ellipsoid(self.radii)

    def support(self, Q: Any) -> Any:
        """h of every row of Q."""
        return self.perturbation.support(Q, self.radii)

    def worst(self, Q: Any) -> Any:
        """A maximiser of delta.q for every row of Q."""
        return self.perturbation.worst(Q, self.radii)

    def gauge(self, G: Any) -> Any:
        """The smallest s with g in s Delta, for every row of G."""
        return self.perturbation.gauge(G, self.radii)

    def prox(self, Q: Any, t: Any) -> Any:
        """The proximal map of t_k h at every row of Q."""
        return self.perturbation.prox(Q, t, self.radii)

    def rows(self, n: int) -> tuple[int, tuple[Rows, ...]]:
        """Rows for h(q_k) <= p_k, k < n."""
        return self.perturbation.rows(n, self.radii)
