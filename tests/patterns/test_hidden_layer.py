import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import relumodel as rm
from relumodel.patterns.hidden_layer import HiddenLayer, hidden_layer


def test_our_networks():
    weights = np.arange(6.0).reshape(3, 2)
    layer = hidden_layer(SimpleNamespace(hidden_weights=weights, bias=True))
    assert layer == HiddenLayer(weights, bias=True)
    assert (layer.inputs, layer.neurons) == (2, 2)
    assert hidden_layer(layer) is layer
    assert hidden_layer(SimpleNamespace(hidden_weights=weights)).inputs == 3
    assert repr(layer) == "HiddenLayer(2 inputs, 2 neurons, bias=True)"


def test_gates_make_the_patterns_where_there_are_gates():
    network = SimpleNamespace(hidden_weights=np.zeros((2, 1)), gates=np.ones((2, 1)), bias=False)
    assert hidden_layer(network).hidden_weights.tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize("bias", [True, False])
def test_torch_modules(bias):
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(3, 5, bias=bias), torch.nn.ReLU(), torch.nn.Linear(5, 1))
    layer = hidden_layer(module)
    assert (layer.inputs, layer.neurons, layer.bias) == (3, 5, bias)
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    X = np.hstack([x.numpy(), np.ones((4, 1))]) if bias else x.numpy()
    np.testing.assert_allclose(X @ layer.hidden_weights, module[0](x).detach().numpy(), atol=1e-6)


def test_torch_modules_of_another_depth():
    torch = pytest.importorskip("torch")
    linear = torch.nn.Linear
    with pytest.raises(rm.InputError, match=r"exactly two Linear layers.*Sequential has 3: 2 -> 4, 4 -> 4, 4 -> 1"):
        hidden_layer(torch.nn.Sequential(linear(2, 4), linear(4, 4), linear(4, 1)))
    with pytest.raises(rm.InputError, match="ReLU has 0: none"):
        hidden_layer(torch.nn.ReLU())
    with pytest.raises(rm.InputError, match="the second taking what the first gives"):
        hidden_layer(torch.nn.Sequential(linear(2, 4), linear(3, 1)))


def test_scikit_learn():
    network = pytest.importorskip("sklearn.neural_network")
    X, y = np.random.default_rng(0).standard_normal((20, 3)), np.arange(20) % 2
    fitted = network.MLPClassifier((4,), solver="lbfgs", max_iter=1000, random_state=0).fit(X, y)
    layer = hidden_layer(fitted)
    assert (layer.inputs, layer.neurons, layer.bias) == (3, 4, True)
    np.testing.assert_array_equal(layer.hidden_weights[-1], fitted.intercepts_[0])
    with pytest.raises(rm.InputError, match=r"MLPRegressor has not been trained; call its fit\(X, y\)"):
        hidden_layer(network.MLPRegressor())
    deep = network.MLPClassifier((4, 3), solver="lbfgs", max_iter=1000, random_state=0).fit(X, y)
    with pytest.raises(rm.InputError, match=r"one hidden layer is needed; this MLPClassifier has 2 .*\(4, 3\)"):
        hidden_layer(deep)


@pytest.mark.parametrize("network", [None, 3, "net.npz", np.ones((2, 2)), object()])
def test_anything_else(network):
    with pytest.raises(rm.InputTypeError, match=f"A two-layer network is needed.*got {type(network).__name__}"):
        hidden_layer(network)


@pytest.mark.parametrize(
    ("weights", "bias", "error", "message"),
    [
        (np.ones(3), False, rm.InputError, r"a matrix .* got shape \(3,\)"),
        (np.ones((0, 3)), False, rm.InputError, r"at least one, .* got shape \(0, 3\)"),
        (np.ones((1, 2)), True, rm.InputError, r"one more for the bias, .* got shape \(1, 2\)"),
        (np.array([[np.nan]]), False, rm.InputError, "NaN or infinite"),
        ([["a"]], False, rm.InputTypeError, "a matrix of numbers"),
    ],
)
def test_weights_that_are_none(weights, bias, error, message):
    with pytest.raises(error, match=message):
        hidden_layer(SimpleNamespace(hidden_weights=weights, bias=bias))


def test_torch_is_not_imported_by_us():
    code = "import sys, numpy, relumodel.patterns as p; p.PatternsOf; sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
