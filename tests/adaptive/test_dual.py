"""The dual of the training problem at one multiplier: every bound is below the exact optimum once all prices are seen."""

import numpy as np
import pytest

import relumodel as rm
from data_strategies import LOSSES
from relumodel.data import read
from relumodel.fit.dual import Dual
from relumodel.fit.training import Training
from relumodel.robustness.neurons import neurons_of


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_bounds_fall_with_what_is_seen_and_never_exceed_the_objective(loss):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((9, 2))
    y = np.where(X[:, 0] * X[:, 1] > 0, 1.0, -1.0)
    model = rm.Model(rm.TwoLayer(rm.ReLU()), loss, rm.WeightDecay(0.05))
    exact = model.compile(X, y, patterns=rm.EnumeratePatterns()).solve()
    sampled = model.compile(X, y, patterns=rm.SamplePatterns(3, seed=0)).solve()
    at = Training.of(model, read(X, y, loss))
    dual = Dual.at(at, sampled.dual["loss"])
    dual.see(neurons_of(sampled.network()).blocks)
    seen = dual.bound
    assert seen <= sampled.objective * (1 + 1e-9)
    dual.search(rng.standard_normal((100, 2)))
    searched = dual.bound
    assert searched <= seen
    asked = searched - 1e-3 * abs(exact.objective)
    dual.prove(30.0, asked)
    assert dual.proved is not None
    assert dual.bound <= min(searched, exact.objective) * (1 + 1e-9)
    assert dual.bound >= asked - 1e-6 * abs(exact.objective)  # in the plane the search finds the largest price
