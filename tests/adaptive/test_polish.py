"""rm.polish: the same function in, never worse out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sklearn.neural_network import MLPClassifier, MLPRegressor

import data_strategies as ds
import relumodel as rm
from relumodel.data import read
from relumodel.trained.reading import network_of, trained_neurons

pytestmark = pytest.mark.usefixtures("short_search")
MODEL = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Logistic(), rm.WeightDecay(1e-3))
QUICK = rm.AdaptivePatterns(width=8, starts=30, rounds=1, proof=1)


def xor(n: int = 30) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).uniform(-1, 1, (n, 2))
    return X, np.sign(X[:, 0] * X[:, 1])


def as_ours(network, model: rm.Model, X, y) -> rm.Network:
    data = read(X, y, model.loss)
    return network_of(trained_neurons(network, model, data), model, data)


def torch_net(bias: bool = True, activation=None) -> torch.nn.Module:
    torch.manual_seed(0)
    parts = torch.nn.Linear(2, 6, bias=bias), activation or torch.nn.ReLU(), torch.nn.Linear(6, 1, bias=bias)
    return torch.nn.Sequential(*parts).double()


@given(model=st.sampled_from(ds.MODELS), seed=st.integers(0, 99))
@settings(max_examples=5, phases=[Phase.explicit, Phase.generate])  # shrinking takes minutes
def test_never_worse_than_any_network_of_ours(model: rm.Model, seed: int) -> None:
    X, y = ds.example(model, n=8, seed=seed)
    rng = np.random.default_rng(seed)
    d = 2 + model.network.bias
    gates = None if model.network.activation.self_gated else rng.standard_normal((d, 4))
    weights = rng.standard_normal((d, 4)), rng.standard_normal(4)
    network = rm.Network(
        model.network.activation, model.network.bias, *weights, gates=gates, classifies=model.loss.reads == "margin"
    )
    result = rm.polish(network, model, X, y, patterns=QUICK)
    assert result.objective <= network.objective(model, X, y)
    assert result.bound <= result.objective
    assert np.isclose(result.network.objective(model, X, y), result.objective, rtol=1e-9)
    again = rm.polish(result.network, model, X, y, patterns=QUICK)
    assert again.objective <= result.objective * (1 + 1e-12)


def test_a_network_without_neurons_is_a_start() -> None:
    """What a fit returns where the penalty is strong, under a weaker one."""
    X, y = xor()
    strong = rm.Model(MODEL.network, MODEL.loss, rm.WeightDecay(100.0))
    zero = rm.Network(rm.ReLU(), True, np.zeros((3, 0)), np.zeros(0))
    assert rm.polish(zero, strong, X, y, patterns=QUICK).network.n_neurons == 0
    assert rm.polish(zero, MODEL, X, y, patterns=QUICK).objective < zero.objective(MODEL, X, y)
    with pytest.raises(rm.InputError, match="no neurons, so there are no patterns of it"):
        rm.PatternsOf(zero)


def test_a_finished_network_is_not_made_worse() -> None:
    X, y = xor()
    first = MODEL.fit(X, y, patterns=QUICK)
    assert rm.polish(first.network, MODEL, X, y, patterns=rm.AdaptivePatterns(rounds=1)).objective <= first.objective


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", [torch.nn.ReLU(), torch.nn.LeakyReLU(0.2)], ids=str)
def test_torch_modules_keep_their_function(bias: bool, activation: torch.nn.Module) -> None:
    X, y = xor()
    module = torch_net(bias, activation)
    ours = rm.ReLU() if isinstance(activation, torch.nn.ReLU) else rm.LeakyReLU(0.2)
    model = rm.Model(rm.TwoLayer(ours, bias=True), rm.Logistic(), rm.WeightDecay(1e-3))
    network = as_ours(module, model, X, y)
    assert np.allclose(network(X), module(torch.tensor(X)).detach().numpy()[:, 0])
    assert rm.polish(module, model, X, y, patterns=QUICK).objective <= network.objective(model, X, y)


@pytest.mark.filterwarnings("ignore:.*Maximum iterations")
def test_scikit_learn_networks_keep_their_function() -> None:
    X, y = xor()
    classifier = MLPClassifier(hidden_layer_sizes=(7,), max_iter=50, random_state=0).fit(X, y)
    network = as_ours(classifier, MODEL, X, y)
    assert np.allclose(1 / (1 + np.exp(-network(X))), classifier.predict_proba(X)[:, 1])
    assert rm.polish(classifier, MODEL, X, y, patterns=QUICK).objective <= network.objective(MODEL, X, y)
    squared = rm.Model(MODEL.network, rm.Squared(), rm.WeightDecay(1e-3))
    regressor = MLPRegressor(hidden_layer_sizes=(7,), max_iter=50, random_state=0).fit(X, y)
    assert np.allclose(as_ours(regressor, squared, X, y)(X), regressor.predict(X))


@pytest.mark.filterwarnings("ignore:.*Maximum iterations")
def test_what_cannot_be_read_is_refused() -> None:
    X, y = xor()
    plain = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Logistic(), rm.WeightDecay(1e-3))
    cases = [
        (torch_net(), plain, "bias=True"),
        (torch_net(activation=torch.nn.Tanh()), MODEL, "Tanh"),
        (torch_net(activation=torch.nn.LeakyReLU(0.3)), MODEL, "activation"),
        (
            torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2)),
            MODEL,
            "has 2 outputs; the loss and the targets ask for 1",
        ),
        (torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1)), MODEL, "5 features"),
        (MLPClassifier(hidden_layer_sizes=(7,), activation="tanh", max_iter=5, random_state=0).fit(X, y), MODEL, "tanh"),
        (MLPClassifier(hidden_layer_sizes=(7,), max_iter=5, random_state=0).fit(X, np.arange(len(X)) % 3), MODEL, "has 3 outputs"),
        ("a network", MODEL, "two-layer network"),
    ]
    for network, model, message in cases:
        with pytest.raises((rm.InputError, rm.InputTypeError), match=message):
            rm.polish(network, model, X, y)
    with pytest.raises(rm.InputTypeError, match="AdaptivePatterns"):
        rm.polish(torch_net(), MODEL, X, y, patterns=rm.SamplePatterns(5))
