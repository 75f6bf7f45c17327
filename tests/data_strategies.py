"""Training problems for the tests: every kind of declaration, and data that is often degenerate."""

from __future__ import annotations

import itertools
from functools import partial

import hypothesis.strategies as st
import numpy as np
from hypothesis.extra.numpy import arrays

import relumodel as rm
from pairwise import pairwise

MAKE_LOSS = [rm.Squared, rm.Absolute, partial(rm.Huber, 0.7), rm.Hinge, rm.SquaredHinge, rm.Logistic]
REDUCTIONS = ["mean", "sum"]
LOSSES = [make(reduction=reduction) for make in MAKE_LOSS for reduction in REDUCTIONS]
PENALTIES = [rm.WeightDecay(0.05), rm.PathNorm(0.05)]
ACTIVATIONS = [rm.ReLU(), rm.LeakyReLU(0.2), rm.GatedReLU()]
NETWORKS = [rm.TwoLayer(a, b) for a in ACTIVATIONS for b in (False, True)]
#: all of them, to draw from
MODELS = [rm.Model(*parts) for parts in itertools.product(NETWORKS, LOSSES, PENALTIES)]
#: few that hold every pair of declarations, to run through
COVERING = [
    rm.Model(rm.TwoLayer(activation, bias), make(reduction=reduction), penalty)
    for make, activation, bias, reduction, penalty in pairwise(MAKE_LOSS, ACTIVATIONS, [False, True], REDUCTIONS, PENALTIES)
]
#: every loss with every penalty and both reductions, on the network that needs most
LOSS_AND_PENALTY = [
    rm.Model(rm.TwoLayer(rm.LeakyReLU(0.2), True), make(reduction=reduction), penalty)
    for make, reduction, penalty in pairwise(MAKE_LOSS, REDUCTIONS, PENALTIES)
]


def label(model: rm.Model) -> str:
    """A short name for a parametrised test."""
    activation = type(model.network.activation).__name__ + ("+bias" if model.network.bias else "")
    return "-".join([activation, type(model.loss).__name__, model.loss.reduction, type(model.penalty).__name__])


def targets(loss, n: int, seed: int = 0) -> np.ndarray:
    """Targets that suit the loss; labels have both classes."""
    y = np.random.default_rng(seed).standard_normal(n)
    return y if loss.reads == "residual" else np.where(np.argsort(np.argsort(y)) < max(1, n // 2), -1.0, 1.0)


def example(model: rm.Model, n: int = 7, d: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian features and suitable targets."""
    return np.random.default_rng(seed).standard_normal((n, d)), targets(model.loss, n, seed)


def _repeat_row(X):
    X[-1] = X[0]


def _oppose_row(X):
    X[-1] = -2 * X[0]


def _clear_row(X):
    X[0] = 0


def _fix_column(X):
    X[:, 0] = 1


def _depend(X):
    X[:, -1] = X[:, :-1].sum(axis=1)


@st.composite
def matrices(draw, rows=(1, 6), columns=(1, 3)) -> np.ndarray:
    """X (n, d), Gaussian or small integers, often with a flaw: repeated, opposite or zero rows, constant or dependent
    columns; n = 1 and d = 1 included."""
    shape = draw(st.integers(*rows)), draw(st.integers(*columns))
    if draw(st.booleans()):
        X = np.random.default_rng(draw(st.integers(0, 999))).standard_normal(shape)
    else:
        X = draw(arrays(float, shape, elements=st.integers(-2, 2).map(float)))
    for flaw in draw(st.sets(st.sampled_from([_repeat_row, _oppose_row, _clear_row, _fix_column, _depend]), max_size=2)):
        flaw(X)
    return X


@st.composite
def problems(draw, models=MODELS, **sizes) -> tuple[rm.Model, np.ndarray, np.ndarray]:
    """(model, X, y), the data often degenerate."""
    model = draw(st.sampled_from(models))
    least = 2 if model.loss.reads == "margin" else 1
    X = draw(matrices(rows=(least, 6), **sizes))
    return model, X, targets(model.loss, len(X), draw(st.integers(0, 99)))
