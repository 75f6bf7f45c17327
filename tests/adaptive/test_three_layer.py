"""Fitting and polishing parallel three-layer networks."""

import signal

import numpy as np
import pytest

import relumodel as rm
from data_strategies import PENALTIES
from relumodel.data import read
from relumodel.fit.three_layer import ThreeLayerLoop, blocks_of
from relumodel.fit.training import Training

pytestmark = pytest.mark.usefixtures("short_search")

QUICK = rm.AdaptivePatterns(rounds=1, width=10, seed=1)
LOSSES = [rm.Squared(), rm.Hinge(), rm.SoftmaxCrossEntropy()]


def data(loss, n=10, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 2))
    if loss.reads == "classes":
        return X, np.arange(n) % 3
    y = np.sin(2 * X[:, 0])
    return X, y if loss.reads == "residual" else np.where(y >= np.median(y), 1.0, -1.0)


@pytest.mark.parametrize(("loss", "penalty"), [(LOSSES[0], PENALTIES[0]), (LOSSES[1], PENALTIES[1])])
def test_a_fit_beats_sampled_patterns_and_measures_itself(loss, penalty):
    model = rm.Model(rm.ParallelThreeLayer(width=2, bias=True), loss, penalty)
    X, y = data(loss)
    result = model.fit(X, y, patterns=QUICK)
    sampled = model.compile(X, y, patterns=rm.SamplePatterns(4, seed=0)).solve()
    assert result.objective < sampled.objective
    assert result.network.objective(model, X, y) == pytest.approx(result.objective, rel=1e-9)
    assert (result.bound, result.bound_kind, result.rounds) == (0, "none", 1)
    assert result.status == "gap not reached"
    assert result.program.guarantee.kind == "upper bound"
    assert "rounds" in str(result)


@pytest.mark.parametrize("loss", LOSSES[::2], ids=lambda loss: type(loss).__name__)
def test_polish_is_never_worse(loss):
    model = rm.Model(rm.ParallelThreeLayer(width=3, bias=True), loss, rm.WeightDecay(0.02))
    X, y = data(loss)
    rng = np.random.default_rng(0)
    c = (3,) if loss.reads == "classes" else ()
    classes = np.arange(3.0) if c else None
    W1, w2, w3 = rng.standard_normal((4, 3, 3)), rng.standard_normal((4, 3)), rng.standard_normal((4, *c))
    network = rm.ThreeLayerNetwork(True, W1, w2, w3, classes=classes)
    result = rm.polish(network, model, X, y, patterns=QUICK)
    assert result.objective < network.objective(model, X, y)
    again = rm.polish(result.network, model, X, y, patterns=QUICK)
    assert again.objective <= result.objective * (1 + 1e-9)


def test_blocks_say_what_the_network_says():
    model = rm.Model(rm.ParallelThreeLayer(width=3), rm.Squared(), rm.WeightDecay(0.1))
    X, y = data(model.loss)
    rng = np.random.default_rng(0)
    network = rm.ThreeLayerNetwork(False, rng.standard_normal((4, 2, 3)), rng.standard_normal((4, 3)), rng.standard_normal(4))
    sub = blocks_of(network, Training.of(model, read(X, y, model.loss)))
    hidden = np.maximum(np.einsum("nd,gjd->gjn", X, sub.blocks), 0)
    f = sub.outer @ np.maximum(np.einsum("gj,gjn->gn", sub.inner, hidden), 0)
    np.testing.assert_allclose(f, network(X), atol=1e-12)


def test_what_is_refused_and_what_stops():
    model = rm.Model(rm.ParallelThreeLayer(width=2), rm.Squared(), rm.WeightDecay(0.1))
    X, y = data(model.loss)
    with pytest.raises(rm.InputTypeError, match=r"A three-layer network to polish is an rm.ThreeLayerNetwork"):
        rm.polish(rm.Network(rm.ReLU(), False, np.eye(2), np.ones(2)), model, X, y)
    wide = rm.ThreeLayerNetwork(False, np.ones((1, 2, 5)), np.ones((1, 5)), np.ones(1))
    with pytest.raises(rm.InputError, match=r"this network is ParallelThreeLayer\(width=5"):
        rm.polish(wide, model, X, y)
    stopped = model.fit(X, y, patterns=rm.AdaptivePatterns(width=6), callback=lambda progress: True)
    assert (stopped.status, stopped.rounds) == ("interrupted", 1)
    zero = rm.Model(model.network, model.loss, rm.WeightDecay(1e3)).fit(X, y, patterns=QUICK)
    assert zero.network.n_sub_networks == 0
    assert zero.objective == pytest.approx(0.5 * np.mean(y**2))


def test_ctrl_c_keeps_the_best_so_far(monkeypatch):
    """In a callback, and in the second descent, before anything was polished."""

    def interrupt(*_):
        signal.raise_signal(signal.SIGINT)

    model = rm.Model(rm.ParallelThreeLayer(width=2), rm.Squared(), rm.WeightDecay(0.02))
    X, y = data(model.loss)
    after = model.fit(X, y, patterns=QUICK, callback=interrupt)
    descended, calls = ThreeLayerLoop._descended, []

    def once(self, start, iterations):
        calls.append(1)
        return interrupt() or start if len(calls) == 2 else descended(self, start, iterations)

    monkeypatch.setattr(ThreeLayerLoop, "_descended", once)
    before = model.fit(X, y, patterns=QUICK)
    for result in (after, before):
        assert result.status == "interrupted"
        assert result.network.objective(model, X, y) == pytest.approx(result.objective, rel=1e-9)
        assert result.objective < model.loss.value(-y).mean()  # that of no neuron


@pytest.mark.parametrize("loss", [rm.Squared(), rm.Hinge(), rm.MultiMargin()], ids=repr)
def test_samples_of_zeros_without_a_bias_are_predicted_as_zero(loss: rm.Loss) -> None:
    """No sample is on either side of any hyperplane, so the program has no rows of cones."""
    X, y = np.zeros((9, 2)), np.arange(9.0) % 3 if loss.reads == "classes" else np.where(np.arange(9) % 3 > 0, 1.0, -1.0)
    model = rm.Model(rm.ParallelThreeLayer(width=2), loss, rm.WeightDecay(1e-2))
    solution = model.compile(X, y, patterns=rm.SamplePatterns(3, seed=0)).solve()
    found = model.fit(X, y, patterns=rm.AdaptivePatterns(width=4, rounds=1))
    several = loss.reads == "classes"
    empty = rm.Network(
        rm.ReLU(), False, np.zeros((2, 0)), np.zeros((0, 3) if several else 0), classes=np.arange(3.0) if several else None
    )
    expected = empty.objective(rm.Model(rm.TwoLayer(rm.ReLU()), loss, rm.WeightDecay(1e-2)), X, y)
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(expected, rel=1e-9)
    assert found.objective == pytest.approx(expected, rel=1e-9)
