"""Training problems with answers from a few lines of algebra.

With one feature, positive data and the all-active pattern, v - w is one number s and the sign cones say v, w >= 0: the problem is
min over s of  sum_k loss(x_k s, y_k) + beta |s|.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from ..api import Model, Program
from ..declare.networks import Activation, GatedReLU, LeakyReLU, Polynomial, ReLU, TwoLayer
from ..declare.perturbations import L2, LInf, Perturbation
from ..functions.class_losses import MultiMargin
from ..functions.losses import Absolute, Huber, Loss, Squared
from ..functions.margin_losses import Hinge, Logistic, SquaredHinge
from ..functions.penalties import PathNorm, Penalty, WeightDecay
from ..patterns import GivenPatterns
from .bench import CASES, Bench, Case, demand
from .kit import check


def case(
    name: str,
    about: str,
    optimum: float,
    build: Callable[[], Program],
    point: ArrayLike | None = None,
    special: str = "",
    since: str = "0.1",
) -> None:
    """Add a program with a known answer, and the check that the backend finds it."""
    new = Case(name, about, build, optimum, None if point is None else np.asarray(point, dtype=np.float64), special)
    CASES.append(new)
    check(name, about, since)(partial(finds, new))


def program(
    X: ArrayLike,
    y: ArrayLike,
    loss: Loss,
    penalty: Penalty,
    patterns: ArrayLike | None = None,
    activation: Activation | None = None,
    perturbation: Perturbation | None = None,
) -> Callable[[], Program]:
    """How to compile it, on given patterns (n, P); all-active by default."""

    def build() -> Program:
        data = np.asarray(X, dtype=np.float64).reshape(len(np.asarray(y)), -1)
        D = np.ones((len(data), 1), dtype=bool) if patterns is None else np.asarray(patterns, dtype=bool)
        model = Model(TwoLayer(activation or ReLU()), loss, penalty, perturbation)
        return model.compile(data, y, patterns=GivenPatterns(D))

    return build


def finds(known: Case, bench: Bench) -> None:
    """The point is feasible, its objective is the optimum, and it is the right one where there is one only."""
    run = bench.solved(known)
    point = run.handed.point(run.x)
    scale = max(1.0, abs(known.optimum))
    violation, objective = bench.program(known).violation(point), bench.program(known).objective(point)
    demand(violation <= bench.slack, f"the point leaves the cones by {violation:.2e}")
    demand(
        abs(objective - known.optimum) <= bench.slack * scale,
        f"the objective at its point is {objective:.8g}; the optimum is {known.optimum:.8g} ({known.about})",
    )
    if known.point is not None:
        distance = float(np.abs(point - known.point).max())
        allowed = 10 * bench.slack**0.5  # near the optimum the objective is quadratic in the distance
        demand(distance <= allowed, f"the point is {distance:.2e} away from the solution ({known.about})")


def _logistic_optimum(x: ArrayLike, y: ArrayLike, beta: float) -> float:
    """min over s >= 0 of sum log(1 + exp(-y x s)) + beta s, by the root of the derivative."""
    from scipy.optimize import brentq

    m = np.asarray(x) * np.asarray(y)
    s = brentq(lambda s: beta - float((m / (1 + np.exp(m * s))).sum()), 0.0, 100.0, xtol=1e-15)
    return float(np.log1p(np.exp(-m * s)).sum()) + beta * s


case(
    "soft_threshold",
    "squared loss: s = (x'y - beta) / x'x = (11 - 2) / 9",
    2.5,
    program([1, 2, 2], [1, 2, 3], Squared(reduction="sum"), WeightDecay(2.0)),
    [1, 0],
)
case(
    "small_penalty",
    "squared loss: |y|^2 / 2 - (x'y - beta)^2 / (2 x'x), beta = 1e-5",
    7 - (11 - 1e-5) ** 2 / 18,
    program([1, 2, 2], [1, 2, 3], Squared(reduction="sum"), WeightDecay(1e-5)),
)
case(
    "zero_optimum",
    "squared loss: beta = 20 exceeds x'y = 11, so nothing pays",
    7.0,
    program([1, 2, 2], [1, 2, 3], Squared(reduction="sum"), WeightDecay(20.0)),
    [0, 0],
)
case(
    "zero_optimum_linear",
    "hinge loss, path norm: beta = 20 exceeds every slope",
    3.0,
    program([1, 2, 3], [-1, 1, 1], Hinge(reduction="sum"), PathNorm(20.0)),
    [0, 0],
)
case(
    "one_sample",
    "squared loss: v = s x / |x|, s = (10 - 2.5) / 25",
    0.875,
    program([3, 4], [2], Squared(reduction="sum"), WeightDecay(2.5)),
    [0.18, 0.24, 0, 0],
)
case(
    "orthonormal_groups",
    "group lasso with orthonormal columns: each block is a block soft threshold, (1 - 1/5)(3, 4) and 0",
    4.625,
    program(
        [[1, 0], [0, 1], [-1, 0], [0, -1]],
        [3, 4, 0.3, -0.4],
        Squared(reduction="sum"),
        WeightDecay(1.0),
        [[1, 0], [1, 0], [0, 1], [0, 1]],
        GatedReLU(),
    ),
    [2.4, 3.2, 0, 0],
)
case(
    "active_cones",
    "X = I, y = (3, -4): the cones keep v = (2, 0) and w = (0, 3) apart; without them 4.5",
    6.0,
    program([[1, 0], [0, 1]], [3, -4], Squared(reduction="sum"), WeightDecay(1.0)),
    [2, 0, 0, 3],
)
case(
    "path_norm",
    "X = I, y = (3, -0.5): entries are soft thresholds, 2 and 0",
    2.625,
    program([[1, 0], [0, 1]], [3, -0.5], Squared(reduction="sum"), PathNorm(1.0)),
    [2, 0, 0, 0],
)
case(
    "leaky",
    "leaky ReLU, slope 1/2: 1.25 s = 2.5 - beta",
    0.9,
    program([1, -1], [2, -1], Squared(reduction="sum"), WeightDecay(0.5), [[1], [0]], LeakyReLU(0.5)),
    [1.6, 0],
)
case(
    "mean_reduction",
    "soft_threshold with 1/n and beta / n",
    2.5 / 3,
    program([1, 2, 2], [1, 2, 3], Squared(), WeightDecay(2.0 / 3)),
    [1, 0],
)
case(
    "hinge_by_hand",
    "piecewise linear, slopes -3.5, -0.5, 1.5 with kinks at 1/3 and 1/2: s = 1/2",
    1.75,
    program([1, 2, 3], [-1, 1, 1], Hinge(reduction="sum"), WeightDecay(0.5)),
    [0.5, 0],
)
case(
    "hinge_linear_program",
    "the same with the path norm, a linear program",
    1.75,
    program([1, 2, 3], [-1, 1, 1], Hinge(reduction="sum"), PathNorm(0.5)),
    [0.5, 0],
)
case(
    "absolute_by_hand",
    "a weighted median of 0, 0, 2, 10 with weights 1/2, 1, 1, 1: s = 2",
    11.0,
    program([1, 1, 1], [0, 2, 10], Absolute(reduction="sum"), WeightDecay(0.5)),
    [2, 0],
)
case(
    "absolute_linear_program",
    "the same with the path norm, a linear program",
    11.0,
    program([1, 1, 1], [0, 2, 10], Absolute(reduction="sum"), PathNorm(0.5)),
    [2, 0],
)
case(
    "huber_by_hand",
    "one residual in the quadratic part, one in the linear: s = 1 - beta",
    4.21875,
    program([1, 1], [0, 5], Huber(1.0, reduction="sum"), WeightDecay(0.25)),
    [0.75, 0],
)
case(
    "squared_hinge_by_hand",
    "both samples inside the margin: 10 s = 2 - beta",
    1.8875,
    program([1, 2], [-1, 1], SquaredHinge(reduction="sum"), WeightDecay(0.5)),
    [0.15, 0],
)
case(
    "logistic_root",
    "the root of the derivative in one dimension, found by bisection",
    _logistic_optimum([1, 2, 3], [-1, 1, 1], 0.25),
    program([1, 2, 3], [-1, 1, 1], Logistic(reduction="sum"), WeightDecay(0.25)),
)
case(
    "polynomial",
    "sigma(t) = t^2 + 2 t + 3, one sample x = 1: the neuron u = 1 has sigma = 6, alpha = (6 * 2 - 3) / 36",
    0.875,
    lambda: Model(TwoLayer(Polynomial(1.0, 2.0, 3.0)), Squared(), WeightDecay(3.0)).compile([[1.0]], [2.0]),
    [0.25, 0.25 * 2**0.5, 0.25, 0, 0, 0],
)
case(
    "perturbed_polynomial",
    "sigma(t) = t on x = 1, which moves by 1/2: the margin is alpha / 2, so alpha = 2 at beta = 1/4",
    0.5,
    lambda: Model(TwoLayer(Polynomial(0, 1.0, 0)), Hinge(), WeightDecay(0.25), L2(0.5)).compile([[1.0], [-1.0]], [1.0, -1.0]),
    special="perturbed samples",
)
case(
    "perturbed_hinge",
    "each x moves by 0.1 against its label: hinge_by_hand",
    1.75,
    program([0.9, 2.1, 3.1], [-1, 1, 1], Hinge(reduction="sum"), WeightDecay(0.5), perturbation=LInf(0.1)),
    [0.5, 0],
    special="perturbed samples",
)
case(
    "two_outputs",
    "soft_threshold for each of two outputs, the second with the negative targets",
    5.0,
    program([1, 2, 2], [[1, -1], [2, -2], [3, -3]], Squared(reduction="sum"), WeightDecay(2.0)),
    [1, 0, 0, 1],
    special="several outputs",
)
case(
    "two_classes",
    "hinge_linear_program with an output a class: only their difference counts, and its cheapest weights cost the same",
    1.75,
    program([1, 2, 3], [0, 1, 1], MultiMargin(reduction="sum"), PathNorm(0.5)),
    special="several outputs",
)
