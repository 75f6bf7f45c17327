"""The best bound that lines can give: the slopes of the neurons that push up chosen from all of [l, 1] at once.

The crossing bound G is concave in those slopes, and its maximum over them is the minimum over the perturbation set of what remains
when only the neurons that push down are replaced by their chords (the triangle relaxation; Salman et al. 2019). Coordinate ascent
over {l, 1} reaches it for most samples, which the point behind G proves; the others are linear programs in HiGHS for LInf and L1,
and for L2 a smooth concave maximisation over a box. Whatever slopes these return, G is evaluated by us.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arrangement.chunks import chunks
from ..declare.perturbations import L1, L2, Ball
from .crossing_bound import LowerBound, crossing_bound
from .neurons import Neurons

Matrix = NDArray[np.float64]

#: The maximum counts as reached when the point behind G is within this share of the sum of all |t|.
REACHED = 1e-9


def relaxed_bound(neurons: Neurons, X: Matrix, s: Matrix, ball: Ball, enough: float = np.inf) -> LowerBound:
    """The crossing bound with chords and the best slopes, for the samples X (n, d) and signs s (n,).

    enough : bounds above this are left as coordinate ascent finds them.
    """
    parts = chunks(len(X), 8 * len(neurons.signs) + X.shape[1])
    found = [_relaxed(neurons, X[k], s[k], ball, enough) for k in parts]
    if len(found) == 1:
        return found[0]
    value, slopes, q, crossing = zip(*found, strict=True)
    return LowerBound(np.concatenate(value), np.hstack(slopes), np.concatenate(q), np.concatenate(crossing))


def _relaxed(neurons: Neurons, X: Matrix, s: Matrix, ball: Ball, enough: float) -> LowerBound:
    bound = crossing_bound(neurons, X, s, ball)
    if neurons.gates is not None:  # chords on both sides, no slopes to choose
        return bound
    T, h = X @ neurons.blocks.T, ball.support(neurons.blocks)
    free = (np.abs(T) < h) & (s[:, None] * neurons.signs > 0)
    # how far what the lines replace lies above them at the point where G is attained
    at = T - ball.worst(bound.q) @ neurons.blocks.T
    above = np.where(free, np.maximum(at, neurons.slope * at) - bound.slopes.T * at, 0.0)
    size = np.abs(T).sum(axis=1) + h.sum()
    value, slopes, q = bound.value.copy(), bound.slopes.copy(), bound.q.copy()
    for k in np.flatnonzero((above.sum(axis=1) > REACHED * size) & (bound.value < enough)).tolist():
        value[k], slopes[free[k], k], q[k] = _improved(neurons, X[k], T[k], free[k], bound, int(k), ball)
    return LowerBound(value, slopes, q, bound.crossing)


def _improved(
    neurons: Neurons, x: Matrix, T: Matrix, free: NDArray[np.bool_], bound: LowerBound, k: int, ball: Ball
) -> tuple[float, Matrix, Matrix]:
    """G, the slopes of the free neurons and q for sample k with the best slopes found, the ones it has included."""
    value, slopes, q = float(bound.value[k]), bound.slopes[free, k], bound.q[k]
    least, rise = neurons.slope, 1 - neurons.slope
    B, t, share = rise * neurons.blocks[free], rise * T[free], (slopes - least) / rise
    base = q - share @ B
    slack = float(x @ q - ball.support(q[None])[0] - value)
    best = (_smooth if isinstance(ball.perturbation, L2) else _linear)(B, t, base, share, ball)
    best = np.clip(best, 0.0, 1.0)
    better = base + best @ B
    found = float(x @ better - ball.support(better[None])[0] - slack)
    return (found, least + rise * best, better) if found > value else (value, slopes, q)


def _linear(B: Matrix, t: Matrix, base: Matrix, share: Matrix, ball: Ball) -> Matrix:
    """The shares as the multipliers of w >= t + delta.b in  min over the set of  base.delta + sum w,  w >= 0."""
    from scipy.optimize import linprog

    live = ball.radii > 0
    size = np.abs(t).sum() + ball.support(B).sum()
    W, cost = B[:, live] * ball.radii[live] / size, base[live] * ball.radii[live] / size
    J, D = W.shape
    ends, below, most = (-1.0, 1.0), np.empty((0, D + J)), np.empty(0)
    if isinstance(ball.perturbation, L1):
        W, cost, D, ends = np.hstack([W, -W]), np.append(cost, -cost), 2 * D, (0.0, 1.0)
        below, most = np.append(np.ones(D), np.zeros(J))[None], np.ones(1)
    A = np.vstack([np.hstack([W, -np.eye(J)]), below])
    b = np.append(-t / size, most)
    bounds = [ends] * D + [(0.0, None)] * J
    found = linprog(np.append(cost, np.ones(J)), A_ub=A, b_ub=b, bounds=bounds, method="highs")
    return -found.ineqlin.marginals[:J] if found.status == 0 else share


def _smooth(B: Matrix, t: Matrix, base: Matrix, share: Matrix, ball: Ball) -> Matrix:
    """The shares in [0, 1] that maximise  share.t - h(base + share B)."""
    from scipy.optimize import minimize

    def loss(share: Matrix) -> tuple[float, Matrix]:
        q = (base + share @ B)[None]
        return float(ball.support(q)[0] - share @ t), B @ ball.worst(q)[0] - t

    return minimize(
        loss, share, jac=True, method="L-BFGS-B", bounds=[(0.0, 1.0)] * len(t), options={"ftol": 1e-14, "gtol": 1e-10}
    ).x
