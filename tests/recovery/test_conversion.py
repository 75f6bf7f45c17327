"""Networks as torch modules and ONNX graphs: the same function, in both precisions, trained on and read back."""

import builtins
import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import relumodel as rm

torch = pytest.importorskip("torch")

ACTIVATIONS = [rm.ReLU(), rm.LeakyReLU(0.2), rm.GatedReLU(), rm.Polynomial(), rm.Polynomial(0.3, -0.2, 0.0)]


def two_layer(activation, bias=True, d=3, m=5, seed=0):
    """Weights of a size that keeps scores at about one, where float32 agrees to 1e-6."""
    rng = np.random.default_rng(seed)
    U, a = rng.standard_normal((d + bias, m)) / max(m, 1), rng.standard_normal(m) / max(m, 1)
    if isinstance(activation, rm.Polynomial):
        from relumodel.trained.polynomial import PolynomialNetwork

        return PolynomialNetwork(activation, bias, U / (np.linalg.norm(U, axis=0) if m else 1.0), a)
    gates = rng.standard_normal(U.shape) if isinstance(activation, rm.GatedReLU) else None
    return rm.Network(activation, bias, U, a, gates)


def three_layer(bias=True, G=3, d=3, m=2):
    rng = np.random.default_rng(0)
    return rm.ThreeLayerNetwork(
        bias, rng.standard_normal((G, d + bias, m)) / 2, rng.standard_normal((G, m)) / 2, rng.standard_normal(G) / 2
    )


NETWORKS = {
    **{f"{activation}, bias={bias}": two_layer(activation, bias) for activation in ACTIVATIONS for bias in (True, False)},
    **{f"three layers, bias={bias}": three_layer(bias) for bias in (True, False)},
    "no neurons": two_layer(rm.ReLU(), m=0),
    "no gated neurons": two_layer(rm.GatedReLU(), m=0),
    "no polynomial neurons": two_layer(rm.Polynomial(), m=0),
    "no sub-networks": three_layer(G=0),
    "one neuron, one feature": two_layer(rm.ReLU(), d=1, m=1),
}
TOLERANCE = {"float64": 1e-12, "float32": 1e-6}


def data(network, n=40):
    return np.random.default_rng(1).uniform(-1, 1, (n, network.n_features))


def run(path, X, dtype):
    session = pytest.importorskip("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["X"]
    return session.run(["f"], {"X": X.astype(dtype)})[0]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", NETWORKS)
def test_torch_computes_the_same(name, dtype):
    network = NETWORKS[name]
    X = data(network)
    module = network.to_torch(dtype)
    with torch.no_grad():
        found = module(torch.from_numpy(X.astype(dtype)))
        one = module(torch.from_numpy(X[:1].astype(dtype)))
    assert found.dtype == getattr(torch, dtype)
    assert found.shape == (len(X),)
    np.testing.assert_allclose(found, network(X), atol=TOLERANCE[dtype])
    np.testing.assert_allclose(one, network(X[:1]), atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_computes_the_same(name, dtype, tmp_path):
    pytest.importorskip("onnx")
    network = NETWORKS[name]
    path = network.to_onnx(tmp_path / "net.onnx", dtype)
    for X in (data(network), data(network, 1)):
        found = run(path, X, dtype)
        assert found.dtype == dtype
        assert found.shape == (len(X),)
        np.testing.assert_allclose(found, network(X), atol=TOLERANCE[dtype])


@settings(max_examples=15)
@given(st.integers(1, 6), st.integers(0, 7), st.sampled_from(ACTIVATIONS), st.booleans(), st.integers(0, 99))
def test_shapes_of_all_kinds(d, m, activation, bias, seed):
    network = two_layer(activation, bias, d, m, seed)
    X = data(network)
    with torch.no_grad():
        np.testing.assert_allclose(network.to_torch()(torch.from_numpy(X)), network(X), atol=1e-12)


@pytest.mark.parametrize("kind", ["two layers", "random features", "three layers", "polynomial"])
def test_trained_networks(kind, tmp_path):
    """From a solve to a torch module, an ONNX file, and the attacks on both."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (30, 2))
    y = np.sign(X[:, 0] + 0.5 * X[:, 1])
    declared = {
        "two layers": rm.TwoLayer(rm.ReLU(), bias=True),
        "random features": rm.RandomFeatures(bias=True),
        "three layers": rm.ParallelThreeLayer(width=2, bias=True),
        "polynomial": rm.TwoLayer(rm.Polynomial(), bias=True),
    }[kind]
    model = rm.Model(declared, rm.SquaredHinge(), rm.WeightDecay(1e-2))
    named = {} if kind == "polynomial" else {"patterns": rm.SamplePatterns(6, seed=0)}
    network = model.compile(X, y, **named).solve(backend="clarabel").network()
    with torch.no_grad():
        np.testing.assert_allclose(network.to_torch()(torch.from_numpy(X)), network(X), atol=1e-10)
    pytest.importorskip("onnx")
    np.testing.assert_allclose(run(network.to_onnx(tmp_path / "a.onnx"), X, "float32"), network(X), atol=2e-6)
    if kind == "two layers":
        np.testing.assert_allclose(rm.attacks.fgsm(network.to_torch(), X, y, 0.1), rm.attacks.fgsm(network, X, y, 0.1))


def test_a_module_trains_and_comes_back():
    network = two_layer(rm.ReLU())
    module = network.to_torch()
    X = data(network)
    y = X[:, 0] ** 2
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(1e-2))
    before = network.objective(model, X, y)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.05)
    for _ in range(30):
        optimiser.zero_grad()
        (0.5 * (module(torch.from_numpy(X)) - torch.from_numpy(y)) ** 2).mean().backward()
        optimiser.step()
    trained = dataclasses.replace(
        network,
        hidden_weights=np.vstack([module[0].weight.detach().numpy().T, module[0].bias.detach().numpy()]),
        output_weights=module[2].weight.detach().numpy()[0],
    )
    assert trained.objective(model, X, y) < before
    np.testing.assert_allclose(trained(X), module(torch.from_numpy(X)).detach(), atol=1e-12)
    assert rm.PatternsOf(module) == rm.PatternsOf(trained)
    polished = rm.polish(module, model, X, y)
    assert polished.objective <= trained.objective(model, X, y) * (1 + 1e-9)


def test_sub_networks_stay_apart_in_training():
    module = three_layer(G=3, m=2).to_torch()
    assert module[3].weight.shape == (3, 2, 1)


def test_gates_are_not_trained():
    module = two_layer(rm.GatedReLU()).to_torch()
    assert {name for name, p in module.named_parameters() if not p.requires_grad} == {"0.gates.weight", "0.gates.bias"}
    assert "PolynomialActivation(0.09, 0.5, 0.47)" in repr(two_layer(rm.Polynomial()).to_torch())


def test_random_numbers_of_torch_are_left_alone():
    before = torch.random.get_rng_state()
    two_layer(rm.GatedReLU()).to_torch()
    three_layer().to_torch()
    assert torch.equal(before, torch.random.get_rng_state())


def test_later_training_leaves_the_network_alone():
    network = two_layer(rm.ReLU())
    kept = network.hidden_weights.copy()
    with torch.no_grad():
        network.to_torch()[0].weight.zero_()
    np.testing.assert_array_equal(network.hidden_weights, kept)


def test_errors(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    for convert in (two_layer(rm.ReLU()).to_torch, three_layer().to_torch):
        with pytest.raises(rm.InputError, match="dtype must be one of float64, float32; got 'half'"):
            convert("half")
    with pytest.raises(rm.InputError, match="dtype must be one of"):
        three_layer().to_onnx(tmp_path / "a.onnx", "float16")
    with pytest.raises(rm.FileError, match="cannot be written"):
        two_layer(rm.ReLU()).to_onnx(tmp_path / "nowhere" / "a.onnx")
    (tmp_path / "old.onnx").write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(rm.FileError, match="disk full"):
            two_layer(rm.ReLU()).to_onnx(tmp_path / "old.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["old.onnx"]
    assert (tmp_path / "old.onnx").read_text() == "old"


@pytest.mark.parametrize(("package", "call"), [("torch", "to_torch"), ("onnx", "to_onnx")])
def test_a_missing_package_is_named(package, call, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **named):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return real(name, *args, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    for network in (two_layer(rm.ReLU()), three_layer()):
        with pytest.raises(rm.MissingPackageError, match=rf"pip install 'relumodel\[{package}\]'"):
            getattr(network, call)(*([tmp_path / "a"] if call == "to_onnx" else []))


def test_neither_package_is_loaded_by_us():
    code = "import sys, relumodel.trained.torch_module, relumodel.trained.onnx_graph as o; sys.exit(bool({'torch', 'onnx'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
