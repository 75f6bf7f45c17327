"""Adaptive training of several outputs and of classes."""

import numpy as np
import pytest
import torch

import relumodel as rm
from relumodel.data import read
from relumodel.fit.training import Training
from relumodel.robustness.neurons import neurons_of

pytestmark = pytest.mark.usefixtures("short_search")
QUICK = rm.AdaptivePatterns(width=12, starts=10, rounds=3, gap=2e-2, seed=1)
NETWORK = rm.TwoLayer(rm.ReLU(), bias=True)


def data(n=15, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 1))
    return X, np.where(np.abs(X[:, 0]) > 0.6, 3.0, np.where(X[:, 0] > 0, 5.0, 8.0))


def codes(y):
    return np.where(y[:, None] == np.unique(y), 1.0, -1.0)


@pytest.mark.parametrize("loss", [rm.MultiMargin(), rm.SoftmaxCrossEntropy(), rm.Squared()], ids=lambda loss: type(loss).__name__)
def test_a_fit_reaches_the_exact_optimum(loss):
    X, y = data()
    y = y if loss.reads == "classes" else codes(y)
    model = rm.Model(NETWORK, loss, rm.WeightDecay(1e-2))
    result = model.fit(X, y, patterns=QUICK)
    exact = model.compile(X, y, patterns=rm.EnumeratePatterns()).solve()
    assert result.bound <= exact.objective * (1 + 1e-9)
    assert exact.bound <= result.objective
    assert result.status == "optimal"
    assert result.objective <= exact.objective * 1.021
    assert result.network.objective(model, X, y) == pytest.approx(result.objective, rel=1e-9)
    assert result.program.objective(result.solution.point) == pytest.approx(result.objective, rel=1e-12)
    assert "patterns" in str(result)


def test_given_patterns_are_priced_for_every_output():
    X, y = data()
    model = rm.Model(NETWORK, rm.SoftmaxCrossEntropy(), rm.WeightDecay(1e-2))
    result = model.fit(X, y, patterns=rm.SamplePatterns(4, seed=0))
    exact = model.compile(X, y, patterns=rm.EnumeratePatterns()).solve()
    assert result.bound <= exact.objective * (1 + 1e-9)
    assert result.bound_kind == "estimated"


@pytest.mark.parametrize("loss", [rm.MultiMargin(), rm.Squared()], ids=lambda loss: type(loss).__name__)
def test_polish_is_never_worse_than_a_module_with_several_outputs(loss):
    torch.manual_seed(0)
    X, y = data()
    y = y if loss.reads == "classes" else codes(y)
    module = torch.nn.Sequential(torch.nn.Linear(1, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3)).double()
    model, once = rm.Model(NETWORK, loss, rm.WeightDecay(1e-2)), rm.AdaptivePatterns(starts=5, rounds=1, proof=0)
    result = rm.polish(module, model, X, y, patterns=once)
    weight, bias = module[2].weight.detach().numpy().T, module[2].bias.detach().numpy()
    hidden = np.vstack([module[0].weight.detach().numpy().T, module[0].bias.detach().numpy()])
    hidden = np.hstack([hidden, np.vstack([np.zeros((1, 3)), np.ones((1, 3))])])
    classes = np.unique(y) if loss.reads == "classes" else None
    ours = rm.Network(rm.ReLU(), True, hidden, np.vstack([weight, np.diag(bias)]), classes=classes)
    np.testing.assert_allclose(ours(X), module(torch.tensor(X)).detach().numpy(), atol=1e-12)
    assert result.objective <= ours.objective(model, X, y)
    with pytest.raises(rm.InputError, match="The network has 3 outputs; the loss and the targets ask for 1"):
        rm.polish(module, rm.Model(NETWORK, rm.Squared(), rm.WeightDecay(1e-3)), X, np.arange(15.0))


def test_neurons_and_training_see_the_same_network():
    X, y = data(6)
    model = rm.Model(NETWORK, rm.SoftmaxCrossEntropy(), rm.WeightDecay(0.1))
    rng = np.random.default_rng(0)
    network = rm.Network(rm.ReLU(), True, rng.standard_normal((2, 4)), rng.standard_normal((4, 3)), classes=np.unique(data()[1]))
    training = Training.of(model, read(X, y, model.loss, None, network.classes))
    neurons = neurons_of(network)
    assert len(neurons.signs) == 12
    np.testing.assert_allclose(neurons.output(training.X), network(X), atol=1e-12)
    # the blocks cost what the neurons cost at their cheapest scaling
    assert training.objective(neurons) <= network.objective(model, X, y) + 1e-12


def test_callbacks_stop_all_outputs():
    X, y = data()
    model = rm.Model(NETWORK, rm.Squared(), rm.WeightDecay(1e-2))
    result = model.fit(X, codes(y), patterns=QUICK, callback=lambda progress: True)
    assert result.status == "interrupted"
    assert result.rounds == 3
    with pytest.raises(rm.InputError, match="is for one output; the targets have 3"):
        rm.Model(NETWORK, rm.Squared(), rm.WeightDecay(1e-2), rm.LInf(0.1), "crossing").fit(X, codes(y))
