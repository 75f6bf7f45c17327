"""The crossing program: a convex, certified worst-case loss that lets perturbed samples straddle a neuron's hyperplane.

For a sample and a sign s, the worst case of s f(x + delta) is bounded from below neuron by neuron (blocks v count +, w count -).
With t = (x + delta).u, sigma(t) = max(t, l t) (l = 0 for ReLU), any share e in [0, 1] chosen beforehand and m = l + (1 - l) e:

    up    (a neuron that pushes s f up)     sigma(t) >= m t
    down  (one that pushes it down)         sigma(t) <= m t + (1 - l) max( e (h(u) - x.u), (1 - e) (h(u) + x.u) )

The second line is that of slope m above both ends of the range of t; with e = (1 + x.u / h(u)) / 2 it is the chord of sigma. It is
convex in u whatever e is. The linear parts add up before the worst delta is taken, so with q = sum_up m u - sum_down m u'

    G = x.q - h(q) - (1 - l) sum_down max( e (p - x.u'), (1 - e) (p + x.u') ),     h(u') <= p,     G <= min over delta of s f(x + delta),

concave in (u, p). Margin losses take phi(G) with s = y; residual losses take phi(max(y - G_+, -y - G_-)). Variables are U = (v, w)
of shape (2, P, d) and the sizes p of shape (2, P). Where every sample lies on the side that its m says, G is exact and this is the
strict program without its cones; so its optimum is never above the strict one's for the same patterns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import scipy
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ..faces.one_sided import refuse_two_sided
from ..losses import positive
from ..perturbations import Ball
from .functions import Function, SampleLoss
from .robust_maps import _kron_identity
from .roots import monotone_root
from .rows import NONNEGATIVE, ConicRows, Rows, diagonal, empty

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CrossingMap:
    """(U, p) -> for s = +1, then for s = -1, on the samples of that sign:  z (m,), Q (m, d), R (m, P), flattened.

    X : (n, d).  samples : the row numbers for s = +1 and for s = -1.  slope : l.
    shares : (2, 2, P, n) in [0, 1], [sign, copy]: the chosen slope lies this share of the way from l to 1. Copy v is up for
        s = +1, w for s = -1.
    As max(a, b) = a + (b - a)_+,  z = x.q - (1 - l) sum_i e_i (p_i - x.u'_i)  and  R_i = x.u'_i + (1 - 2 e_i) p_i.
    """

    X: Vector
    samples: tuple[NDArray[np.intp], NDArray[np.intp]]
    shares: Vector
    slope: float

    @property
    def sizes(self) -> tuple[int, int, int]:
        """(P, n, d)."""
        return self.shares.shape[2], self.X.shape[0], self.X.shape[1]

    @property
    def shape(self) -> tuple[int, int]:
        P, _, d = self.sizes
        return sum(len(k) for k in self.samples) * (1 + d + P), 2 * P * d + 2 * P

    @cached_property
    def sides(self) -> list[tuple[Vector, Vector, Vector, Vector]]:
        """For each sign: the samples (m, d), the slopes of the up copy (P, m) and, negated, of the down copy (P, m), and the
        shares of the down copy (m, P)."""
        xp, out = array_namespace(self.X), []
        for s, k in enumerate(self.samples):
            up, down = self.shares[s, s][:, k], self.shares[s, 1 - s][:, k]
            slopes = [self.slope + (1 - self.slope) * share for share in (up, down)]
            rows = xp.reshape(xp.reshape(down.T, (-1,)), (-1, down.shape[0]))  # row by row in memory, too
            out.append((self.X[k], slopes[0], -slopes[1], rows))
        return out

    def forward(self, x: Any) -> Any:
        xp = array_namespace(x)
        P, _, d = self.sizes
        U, p = xp.reshape(x[: 2 * P * d], (2, P, d)), xp.reshape(x[2 * P * d :], (2, P))
        parts = []
        for s, (X, up, down, share) in enumerate(self.sides):
            Q = up.T @ U[s, :, :] + down.T @ U[1 - s, :, :]
            T = X @ U[1 - s, :, :].T
            z = xp.sum(X * Q, axis=1) - (1 - self.slope) * xp.sum(share * (p[1 - s, :] - T), axis=1)
            R = T + (1 - 2 * share) * p[1 - s, :]
            parts += [z, xp.reshape(Q, (-1,)), xp.reshape(R, (-1,))]
        return xp.concat(parts)

    def adjoint(self, z: Any) -> Any:
        xp = array_namespace(z)
        P, _, d = self.sizes
        blocks: list[Any] = [0.0, 0.0]
        sizes: list[Any] = [0.0, 0.0]
        start = 0
        for s, (X, up, down, share) in enumerate(self.sides):
            m = X.shape[0]
            on_z, on_q, on_r = (z[start + a : start + b] for a, b in ((0, m), (m, m + m * d), (m + m * d, m * (1 + d + P))))
            start += m * (1 + d + P)
            on_q = xp.reshape(on_q, (m, d)) + on_z[:, None] * X
            R = xp.reshape(on_r, (m, P))
            lift = (1 - self.slope) * share * on_z[:, None]
            blocks[s] = blocks[s] + up @ on_q
            blocks[1 - s] = blocks[1 - s] + down @ on_q + (R + lift).T @ X
            sizes[1 - s] = sizes[1 - s] + xp.sum((1 - 2 * share) * R - lift, axis=0)
        return xp.concat([xp.reshape(xp.stack(blocks), (-1,)), xp.reshape(xp.stack(sizes), (-1,))])

    def matrix(self) -> scipy.sparse.csr_array:
        P, _, d = self.sizes
        parts = []
        for s, (X, up, down, share) in enumerate(self.sides):
            m = X.shape[0]
            Q = _kron_identity(scipy.sparse.csr_array(np.hstack([a.T for a in ((up, down) if s == 0 else (down, up))])), d)
            weights = scipy.sparse.csr_array((X.reshape(-1), np.arange(m * d), np.arange(m + 1) * d), shape=(m, m * d))
            columns = np.tile((1 - s) * P * d + np.arange(P * d), m)
            entries = np.repeat(X[:, None, :], P, axis=1).reshape(-1)
            T = scipy.sparse.csr_array((entries, columns, np.arange(m * P + 1) * d), shape=(m * P, 2 * P * d))
            at = np.arange(m * P)
            spread = scipy.sparse.csr_array(((1 - self.slope) * share.reshape(-1), at, np.arange(m + 1) * P), shape=(m, m * P))
            own = np.tile((1 - s) * P + np.arange(P), m)
            size, scaled = (
                scipy.sparse.csr_array((v.reshape(-1), own, np.arange(m * P + 1)), shape=(m * P, 2 * P))
                for v in (np.ones((m, P)), 1 - 2 * share)
            )
            parts += [
                scipy.sparse.hstack([weights @ Q + spread @ T, -(spread @ size)]),
                scipy.sparse.hstack([Q, scipy.sparse.csr_array((m * d, 2 * P))]),
                scipy.sparse.hstack([T, scaled]),
            ]
        out = scipy.sparse.vstack(parts, format="csr")
        out.eliminate_zeros()
        return out


@dataclass(frozen=True, eq=False)
class CrossingLoss(Function):
    """The certified worst-case loss on the output of a CrossingMap. `slope` is that of the activation's inactive side."""

    clean: SampleLoss
    ball: Ball
    samples: tuple[NDArray[np.intp], NDArray[np.intp]]
    P: int
    slope: float

    def __post_init__(self) -> None:
        refuse_two_sided(self.clean.loss)

    def split(self, z: Any) -> list[tuple[Any, Any, Any]]:
        """(z, Q, R) for s = +1 and s = -1."""
        xp = array_namespace(z)
        d, out, start = len(self.ball.radii), [], 0
        for k in self.samples:
            m = len(k)
            middle, stop = start + m * (1 + d), start + m * (1 + d + self.P)
            out.append(
                (
                    z[start : start + m],
                    xp.reshape(z[start + m : middle], (m, d)),
                    xp.reshape(z[middle:stop], (m, self.P)),
                )
            )
            start = stop
        return out

    @property
    def _margin(self) -> bool:
        return self.clean.loss.reads == "margin"

    @property
    def _order(self) -> NDArray[np.intp]:
        """Margin losses: the samples in the order of the output."""
        return array_namespace(*self.samples).concat(self.samples)

    def bounds(self, z: Any) -> tuple[Any, Any]:
        """G for s = +1 and for s = -1."""
        first, second = (s - self.ball.support(Q) - (1 - self.slope) * positive(R).sum(axis=1) for s, Q, R in self.split(z))
        return first, second

    def argument(self, z: Any) -> Any:
        """The argument of phi, in the order of `_order` for margin losses, of the samples for residual losses."""
        xp = array_namespace(z)
        plus, minus = self.bounds(z)
        if self._margin:
            return xp.concat([plus, minus])
        y = -self.clean.tau
        return positive(xp.maximum(y - plus, -y - minus))  # never negative on the map's range, where G_+ + G_- <= 0

    def _weights(self) -> Vector:
        return self.clean.weights[self._order] if self._margin else self.clean.weights

    def value(self, z: Any) -> Any:
        return (self._weights() * self.clean.loss.value(self.argument(z))).sum()

    def gradient(self, z: Any) -> Any:
        """A subgradient: the slope of phi on G, spread over z, Q and R."""
        plus, minus = self.bounds(z)
        slope = self._weights() * self.clean.loss.slope(self.argument(z))
        if self._margin:
            rates = (-slope[: len(plus)], -slope[len(plus) :])
        else:
            y = -self.clean.tau
            first = y - plus >= -y - minus
            rates = (np.where(first, slope, 0.0), np.where(first, 0.0, slope))
        return self._spread(rates, [(self.ball.worst(Q), (R > 0).astype(float)) for _, Q, R in self.split(z)])

    def _spread(self, rates: tuple[Any, Any], directions: list[tuple[Any, Any]]) -> Any:
        """The multiplier with weight -rate on G: (-rate, rate delta, rate (1 - slope) share), share in [0, 1]."""
        xp = array_namespace(rates[0])
        parts = []
        for rate, (delta, share) in zip(rates, directions, strict=True):
            on_r = (1 - self.slope) * rate[:, None] * share
            parts += [-rate, xp.reshape(rate[:, None] * delta, (-1,)), xp.reshape(on_r, (-1,))]
        return xp.concat(parts)

    def conjugate(self, q: Any) -> Any:
        """margin: w phi*(-rate / w);  residual: w phi*((rate_+ + rate_-) / w) + (rate_- - rate_+) y, on the domain of project_dual."""
        plus, minus = (-part[0] for part in self.split(q))
        weights = self._weights()
        if self._margin:
            rate = array_namespace(q).concat([plus, minus])
            return (weights * self.clean.loss.conjugate(-rate / weights)).sum()
        y = -self.clean.tau
        return (weights * self.clean.loss.conjugate((plus + minus) / weights) + (minus - plus) * y).sum()

    def project_dual(self, q: Any) -> Any:
        """Rates >= 0 that phi allows; delta in Delta; shares of R between the two slopes."""
        xp = array_namespace(q)
        parts = self.split(q)
        plus, minus = (positive(-part[0]) for part in parts)
        weights, loss = self._weights(), self.clean.loss
        if self._margin:
            clipped = -weights * loss.clip(-xp.concat([plus, minus]) / weights)
            rates = (clipped[: len(plus)], clipped[len(plus) :])
        else:
            total = plus + minus
            scale = weights * loss.clip(total / weights) / xp.where(total > 0, total, 1.0 + 0 * total)
            rates = (scale * plus, scale * minus)
        directions = []
        for rate, (_, G, R) in zip(rates, parts, strict=True):
            safe = xp.where(rate > 0, rate, 1.0 + 0 * rate)[:, None]
            delta = xp.where(self.ball.radii > 0, G / safe, 0 * G)
            gauge = self.ball.gauge(delta)[:, None]
            share = xp.clip(R / ((1 - self.slope) * safe), 0.0, 1.0)
            directions.append((delta / xp.where(gauge > 1, gauge, 1.0 + 0 * gauge), share))
        return self._spread(rates, directions)

    def prox(self, z: Any, t: Any) -> Any:
        """Given the rate lam of a bound, z, Q and R move independently; lam is a scalar root a sample (two, nested, for residuals)."""
        xp = array_namespace(z)
        parts = self.split(z)
        weights, loss = t * self._weights(), self.clean.loss
        if self._margin:
            joined = tuple(xp.concat([a, b]) for a, b in zip(*parts, strict=True))
            high = weights * abs(loss.slope(self._bound(joined, 0 * weights)))

            def slack(lam: Any) -> Any:
                c = self._bound(joined, lam)
                return c - loss.prox(c - lam, weights)

            lam = monotone_root(slack, high)
            rates = (lam[: len(parts[0][0])], lam[len(parts[0][0]) :])
        else:
            rates = self._two_rates(parts, weights)
        moved = [self._moved(part, rate) for part, rate in zip(parts, rates, strict=True)]
        return xp.concat([xp.reshape(a, (-1,)) for part in moved for a in part])

    def _moved(self, part: tuple[Any, Any, Any], lam: Any) -> tuple[Any, Any, Any]:
        s, Q, R = part
        cut = (1 - self.slope) * lam[:, None] + 0 * R
        return s + lam, self.ball.prox(Q, lam), R - array_namespace(R).clip(R, 0.0, cut)

    def _bound(self, part: tuple[Any, Any, Any], lam: Any) -> Any:
        s, Q, R = self._moved(part, lam)
        return s - self.ball.support(Q) - (1 - self.slope) * positive(R).sum(axis=1)

    def _two_rates(self, parts: list[Any], weights: Any) -> tuple[Any, Any]:
        """Level t = max(y - G_+, -y - G_-): each rate is what brings its side down to t; their sum is w phi'(t)."""
        y = -self.clean.tau
        ends = [sign * y - self._bound(part, 0 * weights) for part, sign in zip(parts, (1.0, -1.0), strict=True)]
        start = array_namespace(y).maximum(*ends)
        ceiling = positive(start) + weights * abs(self.clean.loss.slope(positive(start)))

        def rate(part: Any, sign: float, t: Any) -> Any:
            return monotone_root(lambda lam: t - (sign * y - self._bound(part, lam)), ceiling)

        def total(t: Any) -> Any:
            return rate(parts[0], 1.0, t) + rate(parts[1], -1.0, t)

        def slack(t: Any) -> Any:  # increasing in t: the rates fall, the slope grows
            pull = total(t)
            return t - self.clean.loss.prox(t + pull, weights)

        t = monotone_root(slack, positive(start))
        return rate(parts[0], 1.0, t), rate(parts[1], -1.0, t)

    def rows(self, m: int) -> ConicRows:
        """Auxiliaries: s (argument of phi), those of phi, then per sign  e (m, P) >= (R)_+  and those of  h(q_k) <= p_k."""
        n = len(self.clean.weights)
        inner = self.clean.loss.rows(self._weights())
        k_loss, d = len(inner.cost), len(self.ball.radii)
        sets = [self.ball.rows(len(k)) for k in self.samples]
        width = [len(k) * self.P + k_set for k, (k_set, _) in zip(self.samples, sets, strict=True)]
        k_total = n + k_loss + sum(width)
        pieces = [_shifted(piece, 0, m, 0, k_total) for piece in _inner_on_auxiliary(inner, n)]
        column, start, first = n + k_loss, 0, 0
        for side, samples in enumerate(self.samples):
            size = len(samples)
            at = np.arange(first, first + size) if self._margin else np.arange(n)
            y = None if self._margin else -self.clean.tau * (1.0 - 2.0 * side)
            pieces += self._side_rows(size, start, m, column, k_total, at, y)
            for piece in sets[side][1]:
                pieces.append(_shifted(piece, start + size, m, column + size * self.P, k_total))
            first += size
            start += size * (1 + d + self.P)
            column += width[side]
        zeros = np.zeros(sum(width))
        cost = np.concatenate([np.zeros(n), inner.cost, zeros])
        return ConicRows(cost, np.concatenate([np.zeros(n), inner.quadratic, zeros]), tuple(pieces))

    def _side_rows(self, size: int, start: int, m: int, column: int, k: int, at: Any, y: Vector | None) -> list[Rows]:
        """e >= 0, e >= R, and  G - s >= 0  (margin)  or  s + G -+ y >= 0  (residual),  G = z - p - (1 - slope) sum e."""
        P, d = self.P, len(self.ball.radii)
        entries = size * P
        one = np.ones(entries)
        first_r = start + size * (1 + d)
        e = diagonal(-one, column=column, columns=k)
        on_r = scipy.sparse.csr_array((one, first_r + np.arange(entries), np.arange(entries + 1)), shape=(entries, m))
        pieces = [
            Rows(NONNEGATIVE, [entries], empty(entries, m), e, np.zeros(entries)),
            Rows(NONNEGATIVE, [entries], on_r, e, np.zeros(entries)),
        ]
        row = np.repeat(np.arange(size), P)
        spread = scipy.sparse.csr_array((one, (row, np.arange(entries))), shape=(size, entries))
        on_z = diagonal(-np.ones(size), column=start, columns=m)
        on_t = (1 - self.slope) * _placed(spread, column, k) + diagonal(np.ones(size), column=column + entries, columns=k)
        sign = 1.0 if y is None else -1.0
        on_s = scipy.sparse.csr_array((np.full(size, sign), (np.arange(size), at)), shape=(size, k))
        pieces.append(Rows(NONNEGATIVE, [size], on_z, (on_t + on_s).tocsr(), np.zeros(size) if y is None else -y))
        return pieces


def _placed(M: scipy.sparse.csr_array, column: int, columns: int) -> scipy.sparse.csr_array:
    """M with its columns moved to start at `column`."""
    return scipy.sparse.csr_array((M.data, M.indices + column, M.indptr), shape=(M.shape[0], columns))


def _shifted(piece: Rows, on_z: int, m: int, on_t: int, k: int) -> Rows:
    """A piece whose inputs and auxiliaries start elsewhere in a larger z (m,) and t (k,)."""
    assert not isinstance(piece.on_z, float)
    return Rows(piece.kind, piece.sizes, _placed(piece.on_z.tocsr(), on_z, m), _placed(piece.on_t.tocsr(), on_t, k), piece.b)


def _inner_on_auxiliary(inner: ConicRows, n: int) -> list[Rows]:
    """The loss's rows with its argument as the first n auxiliaries, its own after them."""
    out = []
    for piece in inner.pieces:
        on_s = piece.on_z if not isinstance(piece.on_z, float) else diagonal(np.full(n, piece.on_z))
        on_t = scipy.sparse.hstack([on_s, piece.on_t], format="csr")
        out.append(Rows(piece.kind, piece.sizes, empty(on_t.shape[0], 0), on_t, piece.b))
    return out


@dataclass(frozen=True, eq=False)
class SupportEpigraph(Function):
    """The indicator of h(u_b) <= p_b on x = (U (B, d), p (B,))."""

    ball: Ball
    B: int
    indicator: ClassVar[bool] = True

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
        return ConicRows(np.zeros(k), np.zeros(k), (below, *(_shifted(piece, 0, m, 0, k) for piece in pieces)))
