"""The lowest s f over one perturbed sample, as a mixed-integer program in HiGHS (Tjeng, Xiao & Tedrake 2019).

With t = (x + delta).b in [L, U], a neuron that keeps its side is linear. Of those that change sides, one that pushes s f up
needs no integers, as minimising makes w = (t)_+ out of w >= 0, w >= t; one that pushes down needs a binary k:
w <= U k, w <= t - L (1 - k). Under a fixed gate that may flip, k says on which side of it x + delta is, and w is 0 or t.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..declare.perturbations import L1, Ball
from ..resources.quiet import without_stdout
from .neurons import Neurons

Matrix = NDArray[np.float64]

#: HiGHS meets rows, integrality and reduced costs to 1e-7 .. 1e-6 each, on a problem whose terms sum to about 1
TOLERANCE = 1e-6


class Margin(NamedTuple):
    """A lower bound on s f that HiGHS's tolerances cannot break (-inf when it proved none), and the best delta (d,), or None."""

    bound: float
    delta: Matrix | None


def lowest_margin(neurons: Neurons, x: Matrix, s: float, ball: Ball, time_limit: float | None = None, away: float = 0.0) -> Margin:
    """The bound and a minimiser for one sample x (d,), for LInf and L1 balls. time_limit in seconds.

    away : keep from where fixed gates flip, by this share of their range. There f jumps, so that a minimiser on the edge may have
    another f; one that keeps away has the f it should, but the bound is then one for those points only.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    live = ball.radii > 0
    problem = _problem(neurons, x, s, ball, live, away)
    on_omega, costs, low, high = problem.on_omega, problem.cost, problem.low, problem.high
    D = int(live.sum())
    if isinstance(ball.perturbation, L1):  # omega = p - n with p, n >= 0 and sum(p + n) <= 1
        on_omega, costs = np.hstack([on_omega, -on_omega]), np.concatenate([costs[:D], -costs[:D], costs[D:]])
        low, high = (np.concatenate([np.full(2 * D, end), v[D:]]) for end, v in ((0.0, low), (1.0, high)))
        budget = np.concatenate([-np.ones(2 * D), np.zeros(problem.on_rest.shape[1])])
        A = np.vstack([np.hstack([on_omega, problem.on_rest]), budget])
        b = np.append(problem.b, -1.0)
    else:
        A, b = np.hstack([on_omega, problem.on_rest]), problem.b
    # the constant is a fixed column, so that HiGHS's relative gap is one to s f itself: at half of a positive value the sign
    # is settled, and there is no need to go on
    A = np.hstack([A, np.zeros((len(b), 1))])
    costs, low, high = np.append(costs, problem.constant), np.append(low, 1.0), np.append(high, 1.0)
    whole = np.concatenate([np.zeros(len(costs) - 1 - len(problem.whole)), problem.whole, [0.0]])
    rows = [LinearConstraint(A, b, np.inf)] if len(b) else []
    options: dict[str, Any] = {"mip_rel_gap": 0.5} | ({} if time_limit is None else {"time_limit": time_limit})
    with without_stdout():
        found = milp(costs, integrality=whole, bounds=Bounds(low, high), constraints=rows, options=options)
    proved = found.mip_dual_bound if whole.any() else found.fun if found.status == 0 else None
    slack = TOLERANCE * (1 + len(b))
    bound = -np.inf if proved is None else problem.scale * (proved - slack)
    if found.x is None:
        return Margin(bound, None)
    omega = found.x[:D] - found.x[D : 2 * D] if isinstance(ball.perturbation, L1) else found.x[:D]
    delta = np.zeros_like(x)
    delta[live] = omega * ball.radii[live]
    return Margin(bound, delta)


@dataclass(frozen=True, eq=False)
class _Problem:
    """scale * ( constant + min of cost . (omega, rest) ), subject to  on_omega omega + on_rest rest >= b  and the bounds."""

    scale: float
    constant: float
    cost: Matrix
    on_omega: Matrix
    on_rest: Matrix
    b: Matrix
    low: Matrix
    high: Matrix
    whole: Matrix


def _problem(neurons: Neurons, x: Matrix, s: float, ball: Ball, live: NDArray[np.bool_], away: float) -> _Problem:
    """In omega = delta / r, and in units of the sum of all |t|."""
    h, T = ball.support(neurons.blocks), neurons.blocks @ x
    scale = float((np.abs(T) + h).sum()) or 1.0
    T, h, W = T / scale, h / scale, neurons.blocks[:, live] * ball.radii[live] / scale
    push = s * neurons.signs
    if neurons.gates is None:
        crossing = (np.abs(T) < h) & (push != 0)
        slope = np.where(crossing, neurons.slope, np.where(T >= 0, 1.0, neurons.slope))
        rows = _self_gated(T[crossing], h[crossing], W[crossing], push[crossing] > 0)
    else:
        z, room = neurons.gates @ x, ball.support(neurons.gates)
        size = np.where(np.abs(z) + room > 0, np.abs(z) + room, 1.0)
        z, room, V = z / size, room / size, neurons.gates[:, live] * ball.radii[live] / size[:, None]
        crossing = (room > 0) & (np.abs(z) <= room + 1e-12) & (push != 0)  # z is in units of its range
        slope = np.where(crossing, 0.0, np.where(z >= 0, 1.0, 0.0))
        gate = z[crossing], room[crossing], V[crossing]
        rows = _fixed_gates(T[crossing], h[crossing], W[crossing], push[crossing] > 0, *gate, away)
    on_omega, on_rest, b, low, high = rows
    D, count = W.shape[1], int(crossing.sum())
    weight = push[crossing] * (1.0 - neurons.slope)
    binary = push[crossing] < 0 if neurons.gates is None else np.ones(count, dtype=bool)
    return _Problem(
        scale=scale,
        constant=float((push * slope * T).sum()),
        cost=np.concatenate([(push * slope) @ W, weight, np.zeros(count)]),
        on_omega=on_omega,
        on_rest=on_rest,
        b=b,
        low=np.concatenate([-np.ones(D), low, np.zeros(count)]),
        high=np.concatenate([np.ones(D), high, np.where(binary, 1.0, 0.0)]),
        whole=np.concatenate([np.zeros(count), binary]),
    )


def _self_gated(T: Matrix, h: Matrix, W: Matrix, up: NDArray[np.bool_]) -> tuple[Matrix, ...]:
    """w = (t)_+ as a lower bound (up) or an upper bound (down): rows on omega and on (w, k), their b, bounds of w."""
    w, zero = np.eye(len(T)), np.zeros((len(T), len(T)))
    low, high, down = np.diag(T - h), np.diag(T + h), ~up
    on_omega = np.vstack([-W[up], 0 * W[down], W[down]])
    on_rest = np.vstack([np.hstack([w, zero])[up], np.hstack([-w, high])[down], np.hstack([-w, low])[down]])
    b = np.concatenate([T[up], 0 * T[down], -h[down]])
    return on_omega, on_rest, b, 0 * T, T + h


def _fixed_gates(
    T: Matrix, h: Matrix, W: Matrix, up: NDArray[np.bool_], z: Matrix, room: Matrix, V: Matrix, away: float
) -> tuple[Matrix, ...]:
    """w = k t, with k = 1 only where the gate z + V omega >= 0 and k = 0 only where it is <= - away."""
    w, low, high = np.eye(len(T)), np.minimum(T - h, 0.0), np.maximum(T + h, 0.0)
    sign = np.where(up, 1.0, -1.0)  # up: w >= low k, w >= t - high (1 - k);  down: w <= high k, w <= t - low (1 - k)
    near, far = np.where(up, low, high), np.where(up, high, low)
    on_omega = np.vstack([V, -V, 0 * W, -sign[:, None] * W])
    on_rest = np.vstack(
        [
            np.hstack([0 * w, np.diag(z - room)]),
            np.hstack([0 * w, np.diag(z + room + away)]),
            sign[:, None] * np.hstack([w, -np.diag(near)]),
            sign[:, None] * np.hstack([w, -np.diag(far)]),
        ]
    )
    b = np.concatenate([-room, z + away, 0 * T, sign * (T - far)])
    return on_omega, on_rest, b, low, high
