"""The local descent: its gradient, and that it is never worse than its start."""

import numpy as np
import pytest
from scipy.optimize import check_grad

import relumodel as rm
from data_strategies import LOSSES, PENALTIES
from relumodel.data import read
from relumodel.fit.descend import _objective, descend, random_start
from relumodel.fit.training import Training
from relumodel.resources.deadline import limited

CLASSES = [rm.MultiMargin(), rm.SoftmaxCrossEntropy()]


def training(loss, penalty, n=11):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 3))
    y = {"classes": np.arange(n) % 3, "margin": np.where(np.arange(n) % 2 == 0, 1.0, -1.0), "residual": rng.standard_normal(n)}
    model = rm.Model(rm.TwoLayer(rm.LeakyReLU(0.2), bias=True), loss, penalty)
    return Training.of(model, read(X, y[loss.reads], loss))


@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda penalty: type(penalty).__name__)
@pytest.mark.parametrize("loss", [*LOSSES, *CLASSES], ids=str)
def test_the_gradient_is_that_of_differences(loss, penalty):
    at = training(loss, penalty)
    start = random_start(at, 6, np.random.default_rng(1))
    z = at.penalty.unfold(start.blocks)
    z += 0.3 * np.random.default_rng(2).standard_normal(z.shape)
    value = _objective(at, start.signs, z.shape, 0.1 if at.loss.has_kink else 0.0, np.float64)
    scale = 1 + np.abs(value(z.ravel())[1]).max()
    assert check_grad(lambda v: value(v)[0], lambda v: value(v)[1], z.ravel(), epsilon=1e-7) <= 1e-4 * scale


@pytest.mark.parametrize("loss", [LOSSES[0], rm.Hinge(), rm.Absolute(), *CLASSES], ids=str)
def test_it_is_never_worse_than_its_start(loss):
    at, rng = training(loss, rm.WeightDecay(0.05)), np.random.default_rng(3)
    start = random_start(at, 6, rng)
    end = descend(at, start, 50, rng)
    assert at.objective(end) < at.objective(start)
    assert at.objective(descend(at, end, 1, rng)) <= at.objective(end)
    with limited(0.0):  # over before it began
        late = descend(at, start, 50, rng)
    assert at.objective(late) <= at.objective(start)


def test_no_neurons_stay_none():
    at = training(rm.Squared(), rm.WeightDecay(0.05))
    nothing = at.neurons(np.zeros((0, 4)), np.zeros(0))
    assert descend(at, nothing, 10, np.random.default_rng(0)) is nothing
