"""The lowest value, and the lowest slope along a direction, of a two-layer network in a box: mixed-integer programs in HiGHS.

With x = centre + half-width * omega, |omega| <= 1, and t_j = x.b_j in units of the largest |t_j| in the box, so that t_j is in [L, U]:

values   a neuron that keeps its side is linear; of those that change sides, one that pushes up needs w >= 0, w >= t only, and one that
         pushes down a binary k:  w <= U k,  w <= t - L (1 - k)  (Tjeng, Xiao & Tedrake 2019).
slopes   the gradient is the same within a cell, sum_j c_j k_j with k_j = 1[t_j >= 0]; where c_j > 0 only  t <= U k  matters to a
         minimum, where c_j < 0 only  t >= L (1 - k).  The sides of such a cell may meet in a face alone; then there is no such cell, and
         the sides that contradict each other, which the multipliers of a linear program name, are excluded.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from ..declare.perturbations import LInf
from ..resources.quiet import without_stdout
from .neurons import Neurons
from .search import lowest

Matrix = NDArray[np.float64]

#: HiGHS meets rows, bounds, integrality and its gap to 1e-6 or less each. Rows are in units of the range of their neuron, of which the
#: objective is a weighted mean, so that all of these together move it by no more than this.
TOLERANCE = 5e-6

#: Cells narrower than this share of the half-widths of the box are none: what a linear program can tell from a face.
NARROW = 1e-7

#: How many combinations of sides that have no cell are excluded before a bound is left as it is.
EXCLUDED = 200


class Extreme(NamedTuple):
    """The lowest value found, where (d,), and a lower bound on all, which HiGHS's tolerances cannot break; -inf where it proved none.

    proved : whether the two are the same but for these tolerances and the gap asked for.
    narrow : how many combinations of sides were left out since their cells are narrower than NARROW."""

    value: float
    at: Matrix
    bound: float
    proved: bool
    narrow: int = 0


@dataclass(frozen=True, eq=False)
class Region:
    """A box of columns, low <= x <= high, (d,) each; both 1 in the bias column, if any."""

    low: Matrix
    high: Matrix

    @classmethod
    def of(cls, low: Matrix, high: Matrix, bias: bool) -> Region:
        """That of features in [low, high], (d,) each, with the bias column."""
        return cls(np.append(low, 1.0), np.append(high, 1.0)) if bias else cls(low, high)

    @property
    def centre(self) -> Matrix:
        """(d,)"""
        return 0.5 * (self.low + self.high)

    @property
    def half(self) -> Matrix:
        """(d,) the half-widths, 0 in columns that are fixed."""
        return 0.5 * (self.high - self.low)

    def at(self, omega: Matrix) -> Matrix:
        """The point of the box at omega, or the points (n, d) at (n, k): one entry for every half-width that is not 0."""
        half = self.half
        x = np.broadcast_to(self.centre, (*omega.shape[:-1], len(half))).copy()
        x[..., half > 0] += half[half > 0] * omega
        return self.clip(x)

    def clip(self, x: Matrix) -> Matrix:
        """The nearest point of the box."""
        return np.clip(x, self.low, self.high)


@dataclass(frozen=True, eq=False)
class _Sides:
    """t in units of its size for every neuron: t = T + W omega, in [low, high].  size : (m,);  crossing : those that change sides."""

    T: Matrix
    W: Matrix
    low: Matrix
    high: Matrix
    size: Matrix
    crossing: NDArray[np.bool_]

    @classmethod
    def of(cls, blocks: Matrix, region: Region) -> _Sides:
        live = region.half > 0
        T, W = blocks @ region.centre, blocks[:, live] * region.half[live]
        h = np.abs(W).sum(axis=1)
        size = np.where(np.abs(T) + h > 0, np.abs(T) + h, 1.0)
        T, W, h = T / size, W / size[:, None], h / size
        return cls(T, W, T - h, T + h, size, (T - h < 0) & (T + h > 0))


def lowest_value(
    neurons: Neurons, region: Region, sign: float = 1.0, time_limit: float | None = None, gap: float = 1e-6
) -> Extreme:
    """The lowest sign f in the region. gap : relative, at which the search ends."""
    s = _Sides.of(neurons.blocks, region)
    push = sign * neurons.signs * s.size
    at = s.crossing & (push != 0)
    slope = np.where(at, neurons.slope, np.where(s.T >= 0, 1.0, neurons.slope))
    weight = push[at] * (1.0 - neurons.slope)
    scale = float(np.abs(push).sum()) or 1.0
    n, D = int(at.sum()), s.W.shape[1]
    T, W, low, high, down = s.T[at], s.W[at], s.low[at], s.high[at], weight < 0
    w, zero = np.eye(n), np.zeros((n, n))
    A = np.vstack(
        [
            np.hstack([-W, w, zero])[~down],  # w >= t
            np.hstack([0 * W, -w, np.diag(high)])[down],  # w <= U k
            np.hstack([W, -w, np.diag(low)])[down],  # w <= t - L (1 - k)
        ]
    )
    b = np.concatenate([T[~down], 0 * T[down], low[down] - T[down]])
    cost = np.concatenate([(push * slope) @ s.W, weight, np.zeros(n)]) / scale
    constant = float((push * slope * s.T).sum()) / scale
    ends = (np.concatenate([-np.ones(D), np.zeros(2 * n)]), np.concatenate([np.ones(D), high, np.where(down, 1.0, 0.0)]))
    whole = np.concatenate([np.zeros(D + n), down])
    proved, x = _solved(cost, constant, A, b, ends, whole, time_limit, gap)
    points = [region.centre, _descended(neurons, region, sign)] + ([] if x is None else [region.at(x[:D])])
    values = sign * neurons.output(np.array(points))
    best = int(np.argmin(values))
    bound = -np.inf if proved is None else scale * (proved - TOLERANCE)
    return _extreme(float(values[best]), points[best], bound, scale, gap)


def lowest_slope(neurons: Neurons, region: Region, along: Matrix, time_limit: float | None = None, gap: float = 1e-6) -> Extreme:
    """The lowest slope of f along a direction (d,), on the columns of the region, over all cells of the region; `at` is inside of one."""
    s = _Sides.of(neurons.blocks, region)
    c = neurons.signs * (neurons.blocks @ along)
    scale = float(np.abs(c).sum()) or 1.0
    at = s.crossing & (c != 0)
    constant = float((c * np.where(at, neurons.slope, np.where(s.T >= 0, 1.0, neurons.slope))).sum()) / scale
    weight = c[at] * (1.0 - neurons.slope) / scale
    n, D = int(at.sum()), s.W.shape[1]
    T, W, low, high, up = s.T[at], s.W[at], s.low[at], s.high[at], weight > 0
    A = np.hstack([np.where(up[:, None], -W, W), np.diag(np.where(up, high, low))])
    b = np.where(up, T, low - T)
    cost = np.concatenate([np.zeros(D), weight])
    ends = (np.concatenate([-np.ones(D), np.zeros(n)]), np.ones(D + n))
    whole = np.concatenate([np.zeros(D), np.ones(n)])
    started, narrow = time.perf_counter(), 0
    # a point that is on no kink, as the centre may be
    point = region.at(np.random.default_rng(0).uniform(-0.5, 0.5, (D,)))
    value, bound = _slope_at(neurons, along, point), -np.inf
    while True:
        left = None if time_limit is None else max(time_limit - (time.perf_counter() - started), 1e-3)
        proved, x = _solved(cost, constant, A, b, ends, whole, left, gap)
        bound = max(bound, -np.inf if proved is None else scale * (proved - TOLERANCE))
        if x is None:
            break
        k = x[D:] > 0.5
        sided = k != up  # the sides that matter: t <= 0 where k is 0 and c > 0, t >= 0 where k is 1 and c < 0
        inside, contradiction = _inside(T[sided], W[sided], np.where(up[sided], -1.0, 1.0))
        if inside is not None:
            candidate = region.at(inside)
            found = _slope_at(neurons, along, candidate)
            value, point = (found, candidate) if found < value else (value, point)
            break
        if narrow == EXCLUDED or not len(contradiction) or (left is not None and left <= 1e-3):
            break
        narrow += 1
        # one of these sides must be another
        row = np.zeros(D + n)
        j = np.flatnonzero(sided)[contradiction]
        row[D + j] = np.where(k[j], -1.0, 1.0)
        A, b = np.vstack([A, row]), np.append(b, 1.0 - int(k[j].sum()))
    return _extreme(value, point, bound, scale, gap)._replace(narrow=narrow)


def _extreme(value: float, at: Matrix, bound: float, scale: float, gap: float) -> Extreme:
    return Extreme(value, at, min(bound, value), value - bound <= 3 * TOLERANCE * scale + 2 * gap * abs(value))


def _slope_at(neurons: Neurons, along: Matrix, x: Matrix) -> float:
    return float((neurons.gradient(x[None]) @ along)[0])


def _descended(neurons: Neurons, region: Region, sign: float) -> Matrix:
    """A low point by repeated linearisation from the centre."""
    ball = LInf(tuple(region.half.tolist())).ball(len(region.half))
    if ball is None:
        return region.centre
    start = region.centre[None]
    return region.clip(lowest(neurons, start, np.array([sign]), ball, [0 * start])[0])


def _solved(
    cost: Matrix,
    constant: float,
    A: Matrix,
    b: Matrix,
    ends: tuple[Matrix, Matrix],
    whole: Matrix,
    time_limit: float | None,
    gap: float,
) -> tuple[float | None, Matrix | None]:
    """min of constant + cost.x subject to A x >= b and the ends: the bound that was proved and the best x, None where there is none."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    # the constant is a fixed column, so that the relative gap is one to the value itself
    cost, whole = np.append(cost, constant), np.append(whole, 0.0)
    low, high = np.append(ends[0], 1.0), np.append(ends[1], 1.0)
    rows = [LinearConstraint(scipy.sparse.csr_array(np.hstack([A, np.zeros((len(b), 1))])), b, np.inf)] if len(b) else []
    options: dict[str, Any] = {"mip_rel_gap": gap} | ({} if time_limit is None else {"time_limit": time_limit})
    with without_stdout():
        found = milp(cost, integrality=whole, bounds=Bounds(low, high), constraints=rows, options=options)
    proved = found.mip_dual_bound if whole.any() else found.fun if found.status == 0 else None
    return proved, None if found.x is None else found.x[:-1]


def _inside(T: Matrix, W: Matrix, side: Matrix) -> tuple[Matrix | None, NDArray[np.intp]]:
    """omega (D,) in the middle of the cell side (T + W omega) >= 0 in the box, or None and the sides that leave it no interior."""
    from scipy.optimize import linprog

    D, size = W.shape[1], np.linalg.norm(W, axis=1)
    G = np.vstack([-side[:, None] * W / size[:, None], np.eye(D), -np.eye(D)])
    h = np.concatenate([side * T / size, np.ones(2 * D)])
    found = linprog(
        np.append(np.zeros(D), -1.0), A_ub=np.hstack([G, np.ones((len(h), 1))]), b_ub=h, bounds=[(None, None)] * D + [(None, 1.0)]
    )
    if found.status != 0:
        return None, np.zeros(0, dtype=np.intp)
    if found.x[-1] > NARROW:
        return found.x[:-1], np.zeros(0, dtype=np.intp)
    return None, np.flatnonzero(np.abs(found.ineqlin.marginals[: len(T)]) > 1e-9)
