"""Fits on more samples than convex programs are solved on: descents, weights for all known directions, and prices."""

import numpy as np
import pytest

import relumodel as rm
from pairwise import pairwise
from relumodel.data import read
from relumodel.fit import loop
from relumodel.fit.descend import random_start
from relumodel.fit.price import most_violating
from relumodel.fit.reweigh import Directions, reweighed
from relumodel.fit.training import Training

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 2))
Y = np.sin(2 * X[:, 0]) + 0.2 * RNG.standard_normal(60)
LABELS = np.where(X[:, 0] * X[:, 1] > 0, 1.0, -1.0)
CLASSES = np.arange(3)[np.digitize(Y, [-0.5, 0.5])]
LOSSES = [rm.Squared(), rm.Logistic(), rm.Hinge(), rm.Absolute(), rm.SoftmaxCrossEntropy()]


def targets(loss):
    return {"margin": LABELS, "residual": Y, "classes": CLASSES}[loss.reads]


@pytest.fixture
def unpolished(monkeypatch):
    monkeypatch.setattr(loop, "POLISHED", 10)


@pytest.mark.usefixtures("unpolished")
@pytest.mark.parametrize(
    ("loss", "penalty", "activation"), pairwise(LOSSES, [rm.WeightDecay(0.01), rm.PathNorm(0.01)], [rm.ReLU(), rm.LeakyReLU(0.1)])
)
def test_the_result_is_what_it_says(loss, penalty, activation, monkeypatch):
    model = rm.Model(rm.TwoLayer(activation, bias=True), loss, penalty)
    strategy = rm.AdaptivePatterns(gap=1e-2, rounds=8, starts=300, proof=0)
    y = targets(loss)
    result = model.fit(X, y, patterns=strategy)
    assert result.solution.backend == "descent"
    assert result.network.objective(model, X, y) == pytest.approx(result.objective, rel=1e-12)
    assert result.program.objective(result.solution.point) == pytest.approx(result.objective, rel=1e-12)
    assert result.program.violation(result.solution.point) <= 1e-12
    assert result.bound <= result.objective
    monkeypatch.undo()
    polished = model.fit(X, y, patterns=strategy)
    assert result.bound <= polished.objective * (1 + 1e-9)
    assert polished.bound <= result.objective * (1 + 1e-9)
    assert result.objective <= polished.objective * 1.05


@pytest.mark.usefixtures("unpolished")
def test_the_bound_is_below_the_enumerated_optimum():
    few, y = X[:12], Y[:12]
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(0.01))
    exact = model.compile(few, y, patterns=rm.EnumeratePatterns()).solve()
    result = model.fit(few, y, patterns=rm.AdaptivePatterns(gap=1e-3, proof=0))
    assert result.bound <= exact.objective <= result.objective * (1 + 1e-9)
    assert result.gap < 0.05


@pytest.mark.usefixtures("unpolished")
def test_it_stops_when_told():
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Logistic(), rm.WeightDecay(1e-3))
    seen = []
    result = model.fit(X, LABELS, callback=lambda progress: seen.append(progress) or len(seen) == 2)
    assert (result.status, len(result.history)) == ("interrupted", 2)
    assert result.objective <= seen[-1].objective * (1 + 1e-12)  # neurons of one cell and sign add up
    hurried = model.fit(X, LABELS, time_limit=1e-3)
    assert hurried.status == "time limit"
    assert np.isfinite(hurried.objective)


def test_weights_price_all_directions_that_were_given():
    """At the best weights of a convex problem no direction, used or not, has a price above beta; a descent's multiplier has some."""
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Logistic(), rm.WeightDecay(5e-3))
    training = Training.of(model, read(X, LABELS, model.loss, None))
    start = random_start(training, 20, np.random.default_rng(0))
    others = RNG.standard_normal((50, 3))
    others /= training.penalty.norms(others)[:, None]
    known = Directions(others, RNG.choice([-1.0, 1.0], 50))
    found, q = reweighed(training, start, known)
    assert training.objective(found) < training.objective(start)
    start_units = start.blocks / training.penalty.norms(start.blocks)[:, None]
    blocks, signs = np.vstack([start_units, others]), np.concatenate([start.signs, known.signs])
    price, _ = most_violating(training, blocks, q)
    assert (-signs * price).max() <= 1.01 * training.penalty.beta
