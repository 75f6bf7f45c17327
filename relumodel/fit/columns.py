"""Directions that would lower the objective of a network that keeps bounds everywhere: its multipliers are priced like any loss's.

A bound on the value at a point is a multiplier on the values there, one on the slope in a cell is two of opposite sign on both sides of its
point; so the search for neurons that pay (price.py) runs on the points of the problem and of the active cuts together. What it finds is no
proof of anything: the cells that new directions make are looked at by the cutting planes again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import with_bias
from ..declare.problem import Problem
from ..functions.penalties import known_norm
from ..lift.problem import Read
from .directions import Found, Wanted
from .merge import spread
from .price import prices, search
from .training import Training

Matrix = NDArray[np.float64]

#: Random starts; the directions that enter at once and how far apart (a cosine); by which share a price is above beta; how far from the
#: point of a cut its slope is taken, in units of the box.
STARTS, ENTER, APART, ABOVE, STEP = 24, 25, 0.998, 1e-3, 5e-3


def entering(problem: Problem, read: Read, wanted: list[Wanted], found: Found, seed: int) -> Matrix:
    """Directions (k, d) that pay at the multipliers of a network found."""
    known_norm(problem.penalty, "Pricing directions")
    dual, outputs = found.solution.dual, read.outputs
    points, q = [with_bias(read.points, problem.network.bias)], [(read.A.T @ dual["loss"]).reshape(outputs, -1)]
    for w, used, mu in zip(wanted, found.used, _split(dual.get("everywhere"), found.used), strict=True):
        own = np.zeros((outputs, len(used)))
        own[w.given.output] = w.given.sign * mu
        if w.along is None:
            points, q = [*points, used], [*q, own]
            continue
        step = STEP * 2 * max(float(w.region.half @ w.along), 1e-9) * w.along
        length = 2 * float(step @ w.along)
        points, q = [*points, used + step, used - step], [*q, own / length, -own / length]
    # the loss is not asked: prices are about the points and the multiplier
    anything: Any = None
    training = Training(np.vstack(points), anything, problem.penalty, problem.network.activation.inactive)
    nu = np.hstack(q).reshape(-1)
    starts = np.random.default_rng(seed).standard_normal((STARTS, training.X.shape[1]))
    directions = search(training, nu, starts).directions
    value = np.abs(prices(training, directions, nu))
    order = np.argsort(-value, kind="stable")
    return spread(directions[order[value[order] > (1 + ABOVE) * problem.penalty.beta]], APART, ENTER)


def _split(mu: Matrix | None, used: tuple[Matrix, ...]) -> list[Matrix]:
    sizes = [len(points) for points in used]
    return np.split(np.zeros(sum(sizes)) if mu is None else mu, np.cumsum(sizes)[:-1])
