"""Whether a classifier's label can be changed by a perturbation: proved impossible, shown by a point, or left open."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import with_bias
from ..declare.perturbations import Ball
from .exact_margin import lowest_margin
from .neurons import Neurons
from .relaxation import relaxed_bound
from .search import inside, lowest

Matrix = NDArray[np.float64]
Predict = Callable[[Matrix], Matrix]

#: A bound proves a sign only beyond this share of the numbers it is the sum of; less could be rounding.
ROUNDING = 1e-12


def certified(
    neurons: Neurons, predict: Predict, X: Matrix, y: Matrix, ball: Ball | None, bias: bool, exact: bool, time_limit: float | None
) -> NDArray[Any]:
    """ "certified", "falsified" or "unknown" for features X (n, d), without the bias column, and labels y (n,).

    certified : a sound lower bound on y f over the set is positive.  falsified : a point of the set has another label.
    predict : the labels of features, which a falsifying point must change.
    """
    started = time.perf_counter()
    out = np.where(predict(X) != y, "falsified", "unknown").astype("<U9")
    if ball is None:
        return np.where(out == "unknown", "certified", out)
    A = with_bias(X, bias)
    bound = relaxed_bound(neurons, A, y, ball, enough=0.0)
    size = (np.abs(A @ neurons.blocks.T) + ball.support(neurons.blocks)).sum(axis=1)
    # an output that is zero everywhere has the label +1
    out[(bound.value > ROUNDING * size) | ((size == 0) & (y > 0))] = "certified"
    left = np.flatnonzero(out == "unknown")
    if len(left):
        starts = [-ball.worst(bound.q[left]), 0 * A[left]]
        found = lowest(neurons, A[left], y[left], ball, starts)
        out[left[predict(found[:, : X.shape[1]]) != y[left]]] = "falsified"
    if exact:
        left = np.flatnonzero(out == "unknown")
        for k in left[np.argsort(-bound.value[left], kind="stable")]:
            remaining = None if time_limit is None else time_limit - (time.perf_counter() - started)
            if remaining is not None and remaining <= 0:
                break
            out[k] = _decided(neurons, predict, A[k], y[k], ball, X.shape[1], remaining)
    return out


def _decided(neurons: Neurons, predict: Predict, x: Matrix, label: float, ball: Ball, d: int, time_limit: float | None) -> str:
    """The verdict of the mixed-integer program on one sample x, its bias column included; d is the number of features."""
    margin = lowest_margin(neurons, x, label, ball, time_limit)
    if margin.bound > 0:
        return "certified"
    # where gates are fixed f jumps, so a second minimiser keeps away from the edge
    edges = (0.0,) if neurons.gates is None else (0.0, 1e-5)
    for away in edges:
        found = margin if away == 0 else lowest_margin(neurons, x, label, ball, time_limit, away)
        if found.delta is not None:
            start = inside((x + found.delta)[None], x[None], ball) - x
            point = lowest(neurons, x[None], np.array([label]), ball, [start])
            if predict(point[:, :d])[0] != label:
                return "falsified"
    return "unknown"
