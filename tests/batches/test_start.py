"""Networks as the start: the point of a program on their own directions computes what they compute, at the same penalty."""

from typing import Any

import numpy as np
import pytest

import relumodel as rm
from batch_programs import NETWORKS, example
from relumodel.batches.start import start_of

LOSSES = [rm.SoftmaxCrossEntropy(), rm.Squared()]


def trained(network: Any, loss: Any, penalty: Any = None) -> tuple[rm.Model, np.ndarray, np.ndarray, Any]:
    X, y = example(loss)
    model = rm.Model(network, loss, penalty or rm.WeightDecay(1e-3))
    program = model.compile_batches((X, y), patterns=rm.SamplePatterns(4, seed=0), batch_size=16)
    return model, X, y, program.solve(epochs=5, device=None).network()


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("network", NETWORKS, ids=repr)
def test_a_network_is_a_start(network: Any, loss: Any) -> None:
    model, X, y, first = trained(network, loss)
    program = model.compile_batches((X, y), patterns=rm.PatternsOf(first), batch_size=16)
    start = start_of(program, first)
    assert start is not None
    np.testing.assert_allclose(program.network(start.reshape(-1))(X), first(X), atol=1e-12)
    before = first.objective(model, X, y)
    assert np.isclose(program.network(start.reshape(-1)).objective(model, X, y), before, rtol=1e-12)
    again = program.solve(epochs=2, device=None, warm_start=first)
    assert again.objective <= before * (1 + 1e-12)
    assert np.isclose(again.network().objective(model, X, y), again.objective, rtol=1e-10)


def test_a_gated_program_starts_at_the_gates_of_a_network_of_relu() -> None:
    model, X, y, first = trained(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.PathNorm(1e-3))
    gated = rm.Model(rm.TwoLayer(rm.GatedReLU(), bias=True), model.loss, model.penalty)
    program = gated.compile_batches((X, y), patterns=rm.PatternsOf(first), batch_size=16)
    again = program.solve(epochs=1, device=None, warm_start=first)
    assert again.objective <= first.objective(model, X, y) * (1 + 1e-12)


def test_a_torch_module_is_a_start() -> None:
    """Its neurons serve all outputs, two of them lie along one direction, and one is not used."""
    torch = pytest.importorskip("torch")
    X, y = example(rm.SoftmaxCrossEntropy())
    module = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3, bias=False)).double()
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        for weight in module.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64))
        module[0].weight[1], module[0].bias[1] = 2 * module[0].weight[0], 2 * module[0].bias[0]
        module[2].weight[:, 3] = 0
        scores = module(torch.from_numpy(X)).numpy()
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.SoftmaxCrossEntropy(), rm.WeightDecay(1e-2))
    program = model.compile_batches((X, y), patterns=rm.PatternsOf(module), batch_size=16)
    start = start_of(program, module)
    assert start is not None
    np.testing.assert_allclose(program.network(start.reshape(-1))(X), scores, atol=1e-12)


def test_other_networks_are_refused() -> None:
    model, X, y, first = trained(NETWORKS[0], rm.Squared())
    _, _, _, three = trained(NETWORKS[3], rm.Squared())
    elsewhere = model.compile_batches((X, y), patterns=rm.SamplePatterns(4, seed=9))
    with pytest.raises(rm.InputError, match=r"along other directions than the program.*patterns=rm.PatternsOf\(network\)"):
        elsewhere.solve(warm_start=first)
    with pytest.raises(rm.InputError, match="not as many as those of the program"):
        elsewhere.solve(warm_start=three)
    deep = rm.Model(NETWORKS[3], rm.Squared(), rm.WeightDecay(1e-3))
    sampled = deep.compile_batches((X, y), patterns=rm.SamplePatterns(4, seed=0))
    with pytest.raises(rm.InputError, match="A three-layer program starts from a three-layer network"):
        sampled.solve(warm_start=first)
    with pytest.raises(rm.InputError, match="along other directions"):
        deep.compile_batches((X, y), patterns=rm.SamplePatterns(three.second_weights.shape[0], seed=5)).solve(warm_start=three)
    with pytest.raises(rm.InputTypeError, match="A two-layer network is needed"):
        elsewhere.solve(warm_start=3.0)


def test_steps_do_not_lose_a_start_of_many_blocks() -> None:
    """At the rate of few blocks the first steps of a thousand leave it far behind."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 5))
    y = np.abs(X[:, 0]) - np.abs(X[:, 1])
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(1e-2))
    hidden = rng.standard_normal((6, 1000))
    values = np.maximum(np.column_stack([X, np.ones(300)]) @ hidden, 0)
    wide = rm.Network(rm.ReLU(), True, hidden, np.linalg.solve(values.T @ values + 10 * np.eye(1000), values.T @ y))
    program = model.compile_batches((X, y), patterns=rm.PatternsOf(wide), batch_size=64)
    solution = program.solve(epochs=3, device=None, warm_start=wide)
    assert solution.message.startswith("the last iterate")  # and not the start
