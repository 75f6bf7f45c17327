import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relumodel as rm
from data_strategies import matrices
from relumodel.arrangement.witness import find_witnesses, is_strict
from relumodel.patterns import PatternsOf, PatternStrategy


def network(weights, bias=False):
    return SimpleNamespace(hidden_weights=np.array(weights, dtype=float), bias=bias)


@given(matrices(rows=(1, 8), columns=(1, 3)), st.integers(1, 6), st.integers(0, 99), st.booleans())
def test_patterns_are_those_of_the_neurons(X, neurons, seed, whole):
    rng = np.random.default_rng(seed)
    shape = (X.shape[1], neurons)
    # whole numbers put neurons on boundaries, and some are zero
    weights = rng.integers(-1, 2, shape).astype(float) if whole else rng.standard_normal(shape)
    found = PatternsOf(network(weights)).find(X, False)
    wanted = list(dict.fromkeys(tuple(column) for column in (X @ weights >= 0).T))
    assert [tuple(column) for column in found.D.T] == wanted
    assert not found.complete
    assert found.origin == f"{len(wanted)} of a network with {neurons} neurons"
    known = ~np.isnan(found.witnesses).any(axis=1)
    assert is_strict(X, found.witnesses[known], found.D[:, known]).all()
    np.testing.assert_allclose(np.linalg.norm(found.witnesses[known], axis=1), 1)
    np.testing.assert_array_equal(known, ~np.isnan(find_witnesses(X, found.D)).any(axis=1))


def test_a_neuron_on_a_boundary_is_represented():
    X = np.array([[1.0, 0.0], [0.0, 1.0]])
    found = PatternsOf(network([[0.0, 0.0, 1.0], [1.0, 0.0, 2.0]])).find(X, False)
    assert found.D.tolist() == [[True], [True]]  # all three neurons share it; the last one is strict
    np.testing.assert_allclose(found.witnesses, [[1 / 5**0.5, 2 / 5**0.5]])
    opposite = PatternsOf(network([[0.0]])).find(np.array([[1.0], [-1.0]]), False)
    assert opposite.D.tolist() == [[True], [True]]
    assert np.isnan(opposite.witnesses).all()


def test_biases():
    x = np.array([[0.0], [1.0], [2.0]])
    X = np.hstack([x, np.ones((3, 1))])
    with_bias, without = network([[1.0], [-0.5]], bias=True), network([[-1.0]])
    assert PatternsOf(with_bias).find(X, True).D.ravel().tolist() == [False, True, True]
    assert PatternsOf(without).find(X, True).D.ravel().tolist() == [True, False, False]
    with pytest.raises(rm.InputError, match=r"The network has a bias but the model has none; .*bias=True"):
        PatternsOf(with_bias).find(x, False)


def test_wrong_width():
    with pytest.raises(rm.InputError, match="The network takes 3 features, but X has 2"):
        PatternsOf(network(np.ones((4, 5)), bias=True)).find(np.ones((6, 3)), True)


def test_extreme_weights():
    X = np.random.default_rng(0).standard_normal((6, 2))
    found = PatternsOf(network([[1e-200, 3e150], [1e-200, -1e150]])).find(X, False)
    assert np.isfinite(found.witnesses).all()


def test_torch():
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    X = np.hstack([np.random.default_rng(0).standard_normal((20, 3)), np.ones((20, 1))])
    found = PatternsOf(module).find(X, True)
    active = (module[0](torch.tensor(X[:, :3], dtype=torch.float32)) >= 0).numpy()
    assert {tuple(p) for p in found.D.T} == {tuple(p) for p in active.T}


def test_what_was_declared_does_not_follow_later_training():
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.ReLU(), torch.nn.Linear(1, 1))
    strategy = PatternsOf(module)
    before = strategy.find(np.ones((1, 1)), False).D.copy()
    with torch.no_grad():
        module[0].weight *= -1
    np.testing.assert_array_equal(strategy.find(np.ones((1, 1)), False).D, before)
    assert PatternsOf(module) != strategy


def test_declaration():
    strategy = PatternsOf(network([[1.0, 2.0], [3.0, -4.0]], bias=True))
    written = json.loads(json.dumps(strategy.to_dict()))
    assert written["network"] == {"type": "HiddenLayer", "hidden_weights": [[1, 2], [3, -4]], "bias": True}
    assert PatternStrategy.from_dict(written) == strategy
    assert hash(PatternStrategy.from_dict(written)) == hash(strategy)
    assert repr(strategy) == "PatternsOf(network=HiddenLayer(1 inputs, 2 neurons, bias=True))"
    with pytest.raises(rm.InputTypeError, match="A two-layer network is needed"):
        PatternsOf(None)
