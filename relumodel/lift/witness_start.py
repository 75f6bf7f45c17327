"""A point of a program in a moment: its patterns' witnesses as neurons, with the best output weights.

min over a, b >= 0 of  loss( sum_i (a_i - b_i) M_i X w_i )  +  sum_i (a_i + b_i) |w_i|,  the program on the blocks a_i w_i and b_i w_i alone,
where the witnesses w_i are inside their cones. On the patterns of a network they are its own hidden neurons, so its optimum is not above the
network's objective; a descent in a moment ends within some percent of it. Two numbers a neuron: it is solved where the program has no time to be.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..functions.base import SampleLoss
from ..program.program import Program
from ..resources.deadline import current
from .two_layer import TwoLayerInverse

Vector = NDArray[np.float64]

#: Iterations at most for each of the widths to which the kinks of a loss are rounded off.
ITERATIONS, WIDTHS = 300, (0.3, 0.1, 0.03, 0.01)


def witness_start(program: Program) -> Vector | None:
    """The point (n_variables,), feasible; None for programs of other kinds."""
    points = [_of_one_output(part) for part in program.parts] if program.ranks.size == 1 else [None]
    return None if any(point is None for point in points) else np.concatenate(points)  # type: ignore[arg-type]


def _of_one_output(program: Program) -> Vector | None:
    from scipy.optimize import minimize  # here, because importing relumodel should not wait for it

    inverse, loss = program.inverse, program.term("loss").function
    if type(inverse) is not TwoLayerInverse or inverse.ball is not None or not isinstance(loss, SampleLoss):
        return None
    activation, penalty = inverse.model.network.activation, inverse.model.penalty
    known: NDArray[np.intp] = np.flatnonzero(np.isfinite(inverse.found.known).all(axis=1))
    W, pattern = inverse.found.neurons or (inverse.found.known[known], known)
    if not activation.self_gated or not len(W):
        return None
    T = W @ inverse.X.T
    Z = np.where(T >= 0, T, activation.inactive * T)
    sizes = np.linalg.norm(Z, axis=1)
    scale = 1 / np.where(sizes > 0, sizes, 1.0)
    cost = np.tile(penalty.beta * penalty.norms(W) * scale, 2)
    Z *= scale[:, None]

    def value(ab: Vector, width: float) -> tuple[float, Vector]:
        a, b = np.split(ab, 2)
        total, slopes = loss.rounded((a - b) @ Z, width)
        pull = Z @ slopes
        return float(total) + float(cost @ ab), np.concatenate([pull, -pull]) + cost

    def watch(_: Vector) -> None:
        if current().expired():
            raise StopIteration

    bounds, settings = [(0.0, None)] * len(cost), {"maxiter": ITERATIONS, "maxcor": 20}
    best = np.zeros(len(cost))
    for width in WIDTHS if loss.has_kink else (0.0,):
        best = minimize(value, best, (width,), jac=True, method="L-BFGS-B", bounds=bounds, callback=watch, options=settings).x
        if current().expired():
            break
    blocks = np.zeros((2, inverse.found.count, W.shape[1]))
    for copy, weights in zip(blocks, best.reshape(2, -1), strict=True):
        np.add.at(copy, pattern, (weights * scale)[:, None] * W)
    return inverse.point(blocks.reshape(-1, W.shape[1]))
