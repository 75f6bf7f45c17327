import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relumodel as rm
from data_strategies import LOSSES, PENALTIES, example, targets

# sub-networks W1 = I, w2 = (1, -1), w3 = 2 and W1 = [[0, 1], [1, 0]], w2 = (2, 1), w3 = -1
W1 = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
NETWORK = rm.ThreeLayerNetwork(False, W1, np.array([[1.0, -1.0], [2.0, 1.0]]), np.array([2.0, -1.0]))
X = np.array([[3.0, 1.0], [-1.0, 2.0], [-1.0, -1.0]])
# first: (3 - 1, 0 - 2, 0)_+ = (2, 0, 0) times 2;  second: (2 * 1 + 3, 2 * 2 + 0, 0) times -1
OUTPUTS = [4 - 5, -4, 0]


def test_outputs_by_hand():
    np.testing.assert_array_equal(NETWORK(X), OUTPUTS)
    np.testing.assert_array_equal(NETWORK.predict(X), OUTPUTS)
    np.testing.assert_array_equal(dataclasses.replace(NETWORK, classifies=True).predict(X), [-1, -1, 1])
    assert (NETWORK.n_features, NETWORK.n_sub_networks, NETWORK.n_neurons) == (2, 2, 4)
    assert (dataclasses.replace(NETWORK, bias=True)(X[:, :1]) == NETWORK(np.column_stack([X[:, 0], np.ones(3)]))).all()
    assert repr(NETWORK) == "<ThreeLayerNetwork: 2 features, 2 sub-networks of 2 neurons>"


def test_objective_by_hand():
    """|W1|_F^2 = 2 in both: the penalty is that of W1 / sqrt 2 and sqrt 2 w2: 0.5 / 2 (2 * 2 + 4 + 2 * 5 + 1)."""
    model = rm.Model(rm.ParallelThreeLayer(width=2), rm.Squared(reduction="sum"), rm.WeightDecay(0.5))
    assert NETWORK.objective(model, X, [0, -4, 2]) == pytest.approx(0.5 + 2 + 0.25 * 19)
    path = rm.Model(model.network, model.loss, rm.PathNorm(0.5))
    # the paths: 1 1 2 + 1 1 2 + 1 2 1 + 1 1 1
    assert NETWORK.objective(path, X, [0, -4, 2]) == pytest.approx(0.5 + 2 + 0.5 * 7)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_penalty_is_that_of_the_function(penalty):
    """Scaling W1 up and w2 down changes nothing."""
    assert penalty.of_sub_networks(3 * W1, NETWORK.second_weights / 3, NETWORK.output_weights) == pytest.approx(
        penalty.of_sub_networks(W1, NETWORK.second_weights, NETWORK.output_weights), rel=1e-14
    )


def test_the_objective_of_another_network_is_refused():
    for network in (rm.ParallelThreeLayer(width=3), rm.ParallelThreeLayer(width=2, bias=True), rm.TwoLayer(rm.ReLU())):
        model = rm.Model(network, rm.Squared(), rm.WeightDecay(1))
        with pytest.raises(rm.InputError, match=r"this network is ParallelThreeLayer\(width=2, bias=False\)"):
            NETWORK.objective(model, X, [0, 0, 0])
    two_layer = rm.Network(rm.ReLU(), False, np.eye(2), np.ones(2))
    with pytest.raises(rm.InputError, match="this network has activation"):
        two_layer.objective(rm.Model(rm.ParallelThreeLayer(width=2), rm.Squared(), rm.WeightDecay(1)), X, [0, 0, 0])


@given(st.integers(0, 99), st.sampled_from(LOSSES), st.sampled_from(PENALTIES), st.booleans(), st.integers(1, 3))
def test_the_network_of_a_repaired_point_costs_what_the_program_says(seed, loss, penalty, bias, width):
    model = rm.Model(rm.ParallelThreeLayer(width, bias), loss, penalty)
    A, y = example(model, n=6, seed=seed)
    program = model.compile(A, y, patterns=rm.SamplePatterns(2, seed=seed))
    rng = np.random.default_rng(seed)
    blocks = rng.standard_normal((4, program.n_variables // 4)) * rng.choice([0, 1e-4, 1, 30], (4, 1))
    x = program.inverse.feasible(blocks)
    assert program.violation(x) == 0
    network = program.inverse.network(x)
    np.testing.assert_allclose(network(A), program.term("loss").map.forward(x), rtol=1e-9, atol=1e-9)
    assert network.objective(model, A, y) == pytest.approx(program.objective(x), rel=1e-10)
    np.testing.assert_allclose((network.hidden_weights**2).sum(axis=(1, 2)), 1)
    better = program.inverse.repair(program, blocks.reshape(-1))
    assert program.violation(better) == 0
    assert program.objective(better) <= min(program.objective(x), program.objective(0 * x))


def test_a_feasible_point_stays_as_it_is():
    model = rm.Model(rm.ParallelThreeLayer(width=3), rm.Squared(), rm.WeightDecay(0.1))
    A, y = example(model)
    program = model.compile(A, y, patterns=rm.SamplePatterns(3))
    inside = np.vstack([program.inverse.found.witnesses.reshape(3, -1)] * 2)
    np.testing.assert_array_equal(program.inverse.feasible(inside), inside.reshape(-1))


def test_zero_is_a_network_without_sub_networks(tmp_path):
    model = rm.Model(rm.ParallelThreeLayer(width=3), rm.Hinge(), rm.WeightDecay(0.1))
    A, y = example(model)
    program = model.compile(A, y, patterns=rm.SamplePatterns(3))
    network = program.inverse.network(np.zeros(program.n_variables))
    assert (network.n_sub_networks, network.n_neurons, network.n_features) == (0, 0, 2)
    np.testing.assert_array_equal(network(A), 0 * y)
    assert rm.load(network.save(tmp_path / "zero.npz")).objective(model, A, y) == pytest.approx(1)


@pytest.mark.parametrize("more", [{}, {"bias": True}, {"classifies": True, "feature_names": ("a", "größe")}])
def test_save_and_load_bit_for_bit(more, tmp_path):
    network = dataclasses.replace(NETWORK, second_weights=NETWORK.second_weights / 3, **more)
    again = rm.load(network.save(tmp_path / "net.npz"))
    assert isinstance(again, rm.ThreeLayerNetwork)
    for field in dataclasses.fields(network):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(network, field.name))


@pytest.mark.parametrize(
    "change",
    [
        {"second_weights": np.ones((2, 3))},
        {"output_weights": np.ones(2) * np.nan},
        {
            "second_weights": 1e300 * NETWORK.second_weights,
            "output_weights": 1e300 * NETWORK.output_weights,
        },  # they overflow in use
    ],
)
def test_files_whose_parts_do_not_fit(change, tmp_path):
    parts = {name: getattr(NETWORK, name) for name in ("hidden_weights", "second_weights", "output_weights")}
    header = {"format": "relumodel three-layer network 1", "bias": False, "classifies": False, "feature_names": None}
    np.savez(tmp_path / "net.npz", header=np.array(json.dumps(header)), **{**parts, **change})
    with pytest.raises(rm.FileError, match="not a network saved by relumodel, or it is damaged"):
        rm.load(tmp_path / "net.npz")


def test_frames_keep_their_names():
    frame = pd.DataFrame(np.random.default_rng(0).standard_normal((8, 2)), columns=["a", "b"])
    model = rm.Model(rm.ParallelThreeLayer(width=2), rm.Squared(), rm.WeightDecay(0.01))
    y = targets(model.loss, 8)
    network = model.compile(frame, y, patterns=rm.SamplePatterns(2)).solve().network()
    np.testing.assert_array_equal(network(frame), network(frame.to_numpy()))
    with pytest.raises(rm.InputError, match="column 0 is 'b', in training it was 'a'"):
        network(frame[["b", "a"]])
