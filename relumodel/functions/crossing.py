"""The crossing program: a convex, certified worst-case loss that lets perturbed samples straddle a neuron's hyperplane.

For a sample and a sign s, the worst case of s f(x + delta) is bounded from below neuron by neuron (blocks v count +, w count -).
With t = (x + delta).u, sigma(t) = max(t, l t) (l = 0 for ReLU), any share e in [0, 1] chosen beforehand and m = l + (1 - l) e:

    up    (a neuron that pushes s f up)     sigma(t) >= m t
    down  (one that pushes it down)         sigma(t) <= m t + (1 - l) max( e (h(u) - x.u), (1 - e) (h(u) + x.u) )

The second line is that of slope m above both ends of the range of t; with e = (1 + x.u / h(u)) / 2 it is the chord of sigma. It is
convex in u whatever e is. The linear parts add up before the worst delta is taken, so with q = sum_up m u - sum_down m u'

    G = x.q - h(q) - (1 - l) sum_down max( e (p - x.u'), (1 - e) (p + x.u') ),     h(u') <= p,     G <= min over delta of s f(x + delta),

concave in (u, p). The loss is that of its sides (relumodel.functions.sides) at these bounds. Variables are U = (v, w)
of shape (2, P, d) and the sizes p of shape (2, P). Where every sample lies on the side that its m says, G is exact and this is the
strict program without its cones; so its optimum is never above the strict one's for the same patterns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from array_api_compat import array_namespace
from numpy.typing import NDArray

from .base import Function, SampleLoss
from .losses import positive
from .one_sided import refuse_two_sided
from .roots import monotone_root
from .rows import NONNEGATIVE, ConicRows, Rows, diagonal, empty, placed, shifted
from .sides import Halves, Sides, sides_of
from .support import SupportFunction

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CrossingLoss(Function):
    """The certified worst-case loss on the output of a CrossingMap. `slope` is that of the activation's inactive side."""

    clean: SampleLoss
    ball: SupportFunction
    samples: tuple[NDArray[np.intp], NDArray[np.intp]]
    P: int
    slope: float

    def __post_init__(self) -> None:
        refuse_two_sided(self.clean.loss)

    @property
    def sides(self) -> Sides:
        """What becomes of the bounds, in the order of the output."""
        weights = self.clean.weights[self._order] if self._margin else self.clean.weights
        return sides_of(self.clean.loss, weights, self.clean.tau)

    @property
    def proximal(self) -> bool:  # type: ignore[override]
        """Whether it has a proximal map: that of one side, or of two that are even."""
        return type(self.sides) is not Halves

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

    def value(self, z: Any) -> Any:
        sides = self.sides
        return (sides.weights * sides.each(array_namespace(z).concat(self.bounds(z)))).sum()

    def gradient(self, z: Any) -> Any:
        """A subgradient: the rates of the bounds, spread over z, Q and R."""
        rates = self.sides.rates(array_namespace(z).concat(self.bounds(z)))
        return self._spread(self._both(rates), [(self.ball.worst(Q), 1.0 * (R > 0)) for _, Q, R in self.split(z)])

    def _both(self, rates: Any) -> tuple[Any, Any]:
        """Those of s = +1 and of s = -1."""
        first = self.samples[0].shape[0]
        return rates[:first], rates[first:]

    def _spread(self, rates: tuple[Any, Any], directions: list[tuple[Any, Any]]) -> Any:
        """The multiplier with weight -rate on G: (-rate, rate delta, rate (1 - slope) share), share in [0, 1]."""
        xp = array_namespace(rates[0])
        parts = []
        for rate, (delta, share) in zip(rates, directions, strict=True):
            on_r = (1 - self.slope) * rate[:, None] * share
            parts += [-rate, xp.reshape(rate[:, None] * delta, (-1,)), xp.reshape(on_r, (-1,))]
        return xp.concat(parts)

    def conjugate(self, q: Any) -> Any:
        """That of the sides at the rates that stand on s f, on the domain of project_dual."""
        return self.sides.conjugate(array_namespace(q).concat([-part[0] for part in self.split(q)]))

    def project_dual(self, q: Any) -> Any:
        """Rates >= 0 that the sides allow; delta in Delta; shares of R between the two slopes."""
        xp = array_namespace(q)
        parts = self.split(q)
        rates = self._both(self.sides.project(xp.concat([positive(-part[0]) for part in parts])))
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
        if not self.proximal:
            raise NotImplementedError(f"{type(self.clean.loss).__name__} is not even: its worst case has no proximal map here.")
        weights, loss = t * self.sides.weights, self.clean.loss
        if self._margin:
            joined = tuple(xp.concat([a, b]) for a, b in zip(*parts, strict=True))
            high = weights * abs(loss.slope(self._bound(joined, 0 * weights)))

            def slack(lam: Any) -> Any:
                c = self._bound(joined, lam)
                return c - loss.prox(c - lam, weights)

            lam = monotone_root(slack, high)
            rates = self._both(lam)
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

    def few_rows(self, m: int) -> ConicRows:
        samples = (np.arange(1), np.arange(1) + self._margin)
        if len(self.clean.weights) <= samples[1][0]:
            return self.rows(m)
        few = CrossingLoss(self.clean.first(1 + self._margin), self.ball, samples, 1, self.slope)
        return few.rows(2 * (2 + len(self.ball.radii)))

    def rows(self, m: int) -> ConicRows:
        """Auxiliaries: those of the sides, their arguments first, then per sign  e (m, P) >= (R)_+  and those of  h(q_k) <= p_k."""
        tied = self.sides.rows()
        d = len(self.ball.radii)
        sets = [self.ball.rows(len(k)) for k in self.samples]
        width = [len(k) * self.P + k_set for k, (k_set, _) in zip(self.samples, sets, strict=True)]
        own = len(tied.rows.cost)
        k_total = own + sum(width)
        pieces = [shifted(piece, 0, m, 0, k_total) for piece in tied.rows.pieces]
        column, start, first = own, 0, 0
        for side, samples in enumerate(self.samples):
            size = len(samples)
            at = slice(first, first + size)
            pieces += self._side_rows(start, m, column, k_total, tied.at[at], tied.sense, tied.offset[at])
            for piece in sets[side][1]:
                pieces.append(shifted(piece, start + size, m, column + size * self.P, k_total))
            first += size
            start += size * (1 + d + self.P)
            column += width[side]
        zeros = np.zeros(sum(width))
        cost, quadratic = (np.concatenate([part, zeros]) for part in (tied.rows.cost, tied.rows.quadratic))
        return ConicRows(cost, quadratic, tuple(pieces))

    def _side_rows(self, start: int, m: int, column: int, k: int, at: NDArray[np.intp], sense: float, offset: Vector) -> list[Rows]:
        """e >= 0, e >= R, and  G - sense argument + offset >= 0  with  G = z - p - (1 - slope) sum e."""
        size = len(at)
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
        on_t = (1 - self.slope) * placed(spread, column, k) + diagonal(np.ones(size), column=column + entries, columns=k)
        on_s = scipy.sparse.csr_array((np.full(size, sense), (np.arange(size), at)), shape=(size, k))
        pieces.append(Rows(NONNEGATIVE, [size], on_z, (on_t + on_s).tocsr(), offset))
        return pieces
