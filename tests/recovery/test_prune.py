"""Pruned networks predict the same on the data, cost no more, and are small."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relumodel as rm
from data_strategies import MODELS, example, label, problems


def random_network(model, d, width, seed=0):
    rng = np.random.default_rng(seed)
    shape = d + model.network.bias, width
    gates = None if model.network.activation.self_gated else rng.standard_normal(shape)
    return rm.Network(model.network.activation, model.network.bias, rng.standard_normal(shape), rng.standard_normal(width), gates)


def check(model, network, X, y):
    """What pruning promises; returns the pruned network."""
    small = network.prune(model, X)
    size = np.abs(network.hidden_weights).sum() * np.abs(network.output_weights).max(initial=0) * np.abs(X).max(initial=1)
    np.testing.assert_allclose(small(X), network(X), rtol=1e-10, atol=1e-11 * size)
    assert small.objective(model, X, y) <= network.objective(model, X, y) * (1 + 1e-10) + 1e-300
    assert small.n_neurons <= network.n_neurons
    assert model.perturbation is not None or small.n_neurons <= len(X) + 1
    return small


@given(problems(), st.integers(0, 40), st.integers(0, 99))
def test_promises_on_degenerate_data(problem, width, seed):
    model, X, y = problem
    check(model, random_network(model, X.shape[1], width, seed), X, y)


@pytest.mark.parametrize("model", [m for m in MODELS if type(m.loss) is rm.Squared and m.loss.reduction == "mean"], ids=label)
def test_wide_networks(model):
    X, y = example(model, n=12, d=3)
    small = check(model, random_network(model, 3, 200), X, y)
    again = check(model, small, X, y)
    assert again.n_neurons == small.n_neurons


def test_two_neurons_of_one_cell_become_one():
    """By hand: u = (1, 0) and (0, 1) are active on both samples, the third neuron has the other sign, the fourth is never active."""
    X = np.array([[1.0, 2.0], [3.0, 1.0]])
    hidden, output = np.array([[1.0, 0.0, 1.0, -1.0], [0.0, 1.0, 1.0, -1.0]]), np.array([1.0, 4.0, -0.0625, 1.0])
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(1))
    small = rm.Network(rm.ReLU(), False, hidden, output).prune(model, X)
    # f = x.(1, 4) - x.(1, 1) / 16 on both samples: one neuron of direction (15, 63)
    assert small.n_neurons <= 2
    np.testing.assert_allclose(small(X), X @ [15 / 16, 63 / 16], rtol=1e-12)
    first = small.hidden_weights[:, 0]
    assert np.linalg.norm(first) == pytest.approx(np.abs(small.output_weights[0]), rel=1e-12)  # balanced


def test_an_optimal_network_keeps_its_objective():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((15, 2)), rng.standard_normal(15)
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(1e-3))
    network = model.compile(X, y, patterns=rm.EnumeratePatterns()).solve(tol=1e-8).network()
    small = check(model, network, X, y)
    assert small.n_neurons < network.n_neurons
    assert small.objective(model, X, y) == pytest.approx(network.objective(model, X, y), rel=1e-7)


def test_gated_neurons_of_both_signs_add_up():
    """With two gates a gated network is two linear maps."""
    model = rm.Model(rm.TwoLayer(rm.GatedReLU()), rm.Squared(), rm.WeightDecay(1))
    network = random_network(model, 3, 40)
    gates = network.gates[:, :2][:, np.arange(40) % 2]
    X = np.random.default_rng(1).standard_normal((30, 3))
    assert check(model, dataclasses.replace(network, gates=gates), X, X[:, 0]).n_neurons == 2


@pytest.mark.parametrize("robust", ["strict", "crossing"])
@pytest.mark.parametrize("ball", [rm.LInf(0.05), rm.L2(0.1), rm.L1(0.1)], ids=repr)
@pytest.mark.parametrize("loss", [rm.Hinge(), rm.Squared()], ids=repr)
def test_robust_networks_keep_what_is_certified(robust, ball, loss):
    X = np.random.default_rng(2).uniform(-1, 1, (20, 2))
    y = np.sign(X[:, 0] * X[:, 1])
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), loss, rm.WeightDecay(1e-2), ball, robust)
    trained = model.compile(X, y, patterns=rm.RobustSamplePatterns(20, seed=0)).solve(backend="clarabel").network()
    # every neuron in two unequal, unbalanced parts
    hidden = np.hstack([0.3 * trained.hidden_weights, trained.hidden_weights])
    output = np.concatenate([trained.output_weights, 0.7 * trained.output_weights])
    doubled = dataclasses.replace(trained, hidden_weights=hidden, output_weights=output)
    small = check(model, doubled, X, y)
    assert small.objective(model, X, y) == pytest.approx(trained.objective(model, X, y), rel=1e-6)
    rng = np.random.default_rng(3)
    perturbed = X + ball.radius / 3 * rng.uniform(-1, 1, X.shape)
    np.testing.assert_allclose(small(perturbed), doubled(perturbed), atol=1e-9)
    if robust == "strict":
        assert small.n_neurons <= trained.n_neurons


def test_what_is_refused():
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(1))
    network = random_network(model, 2, 3)
    with pytest.raises(rm.InputError, match="this network has activation"):
        network.prune(rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(1)), np.ones((2, 2)))
    with pytest.raises(rm.InputError, match="X must have 2 features"):
        network.prune(model, np.ones((2, 3)))
