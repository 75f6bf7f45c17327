import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relumodel as rm

# neurons u_1 = (1, -1, 2), u_2 = (0, 1, -1) with bias rows last, a = (2, -3)
HIDDEN, OUTPUT = np.array([[1.0, 0.0], [-1.0, 1.0], [2.0, -1.0]]), np.array([2.0, -3.0])
NETWORK = rm.Network(rm.ReLU(), True, HIDDEN, OUTPUT)
X = np.array([[1.0, 2.0], [-3.0, 0.0], [0.0, 5.0]])
# hidden: x_1 (1, 1), x_2 (-1, -1), x_3 (-3, 4)


@pytest.mark.parametrize(
    ("network", "outputs"),
    [
        (NETWORK, [2 - 3, 0, -12]),
        (dataclasses.replace(NETWORK, activation=rm.LeakyReLU(0.5)), [-1, -1 + 1.5, -3 - 12]),
        # gates x.g with g_1 = (-1, 0, 0), g_2 = (0, 0, 1): neuron 1 is on at x_2 and x_3 (0 >= 0), neuron 2 everywhere
        (
            dataclasses.replace(NETWORK, activation=rm.GatedReLU(), gates=np.array([[-1.0, 0], [0, 0], [0, 1]])),
            [-3, -2 + 3, -6 - 12],
        ),
    ],
)
def test_outputs_by_hand(network, outputs):
    np.testing.assert_array_equal(network(X), outputs)
    np.testing.assert_array_equal(network.predict(X), outputs)
    labels = dataclasses.replace(network, classifies=True).predict(X)
    np.testing.assert_array_equal(labels, np.where(np.array(outputs) >= 0, 1, -1))


def test_objective_by_hand():
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(reduction="sum"), rm.WeightDecay(0.5))
    # residuals (-1, 0, -12) - (0, 0, -10): (1 + 4) / 2;  0.25 (|u_1|^2 + |u_2|^2 + 4 + 9) = 0.25 (6 + 2 + 13)
    assert NETWORK.objective(model, X, [0, 0, -10]) == pytest.approx(2.5 + 5.25)


def test_counts():
    assert (NETWORK.n_neurons, NETWORK.n_features) == (2, 2)
    assert dataclasses.replace(NETWORK, bias=False).n_features == 3
    assert repr(NETWORK) == "<Network: 2 features, bias, 2 ReLU neurons>"
    assert repr(dataclasses.replace(NETWORK, bias=False)) == "<Network: 3 features, 2 ReLU neurons>"


def test_features_are_checked_like_training_data():
    with pytest.raises(rm.InputError, match=r"X must have 2 features, as in training \(the bias column is added inside\); got 3"):
        NETWORK(np.ones((1, 3)))
    with pytest.raises(rm.InputError, match="X holds 1 NaN values"):
        NETWORK.predict([[1, float("nan")]])
    np.testing.assert_array_equal(NETWORK(pd.DataFrame(X)), NETWORK(X))


@pytest.mark.parametrize("network", [rm.TwoLayer(rm.ReLU()), rm.TwoLayer(rm.LeakyReLU(0.1), bias=True)])
def test_the_objective_of_another_network_is_refused(network):
    model = rm.Model(network, rm.Squared(), rm.WeightDecay(1))
    with pytest.raises(rm.InputError, match=r"The model's network is TwoLayer.*this network has activation ReLU\(\) and bias=True"):
        NETWORK.objective(model, X, [0, 0, 0])


SAVED = {
    "plain": NETWORK,
    "classifier": dataclasses.replace(NETWORK, classifies=True, feature_names=("age", "größe")),
    "leaky": dataclasses.replace(NETWORK, activation=rm.LeakyReLU(1 / 3), bias=False),
    "gated": dataclasses.replace(NETWORK, activation=rm.GatedReLU(), gates=HIDDEN * np.pi),
    "extreme": dataclasses.replace(NETWORK, hidden_weights=HIDDEN * 5e-324, output_weights=OUTPUT * 1e300),
    "Fortran": dataclasses.replace(NETWORK, hidden_weights=np.asfortranarray(HIDDEN)),
}


@pytest.mark.parametrize("name", SAVED)
def test_save_and_load_bit_for_bit(name, tmp_path):
    network = SAVED[name]
    path = network.save(tmp_path / "net.npz")
    again = rm.load(str(path))
    assert path == tmp_path / "net.npz"
    for field in dataclasses.fields(network):
        mine, its = getattr(network, field.name), getattr(again, field.name)
        if isinstance(mine, np.ndarray):
            assert (its.dtype, its.shape, its.tobytes()) == (mine.dtype, mine.shape, mine.tobytes())
        else:
            assert its == mine
    data = np.random.default_rng(0).standard_normal((5, network.n_features))
    np.testing.assert_array_equal(again(data), network(data))


def test_saving_twice_replaces_the_file(tmp_path):
    path = NETWORK.save(tmp_path / "net.npz")
    dataclasses.replace(NETWORK, output_weights=2 * OUTPUT).save(path)
    np.testing.assert_array_equal(rm.load(path).output_weights, 2 * OUTPUT)
    assert [p.name for p in tmp_path.iterdir()] == ["net.npz"]


def test_no_file(tmp_path):
    with pytest.raises(rm.FileError, match=r"There is no file .*nowhere.npz"):
        rm.load(tmp_path / "nowhere.npz")
    with pytest.raises(rm.FileError, match=r"cannot be read"):
        rm.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04garbage", b"\x93NUMPY\x01\x00", b"\x80\x04K\x01."])
def test_garbage_files(content, tmp_path):
    path = tmp_path / "net.npz"
    path.write_bytes(content)
    with pytest.raises(rm.FileError, match=r"net.npz is not a network saved by relumodel, or it is damaged"):
        rm.load(path)


def test_truncated_files(tmp_path):
    whole, path = NETWORK.save(tmp_path / "net.npz").read_bytes(), tmp_path / "cut.npz"
    for end in range(0, len(whole), 13):
        path.write_bytes(whole[:end])
        with pytest.raises(rm.FileError, match="damaged"):
            rm.load(path)


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_byte_is_noticed_or_harmless(tmp_path_factory, where, change):
    folder = tmp_path_factory.mktemp("changed")
    data = bytearray(NETWORK.save(folder / "net.npz").read_bytes())
    data[where % len(data)] ^= change
    (folder / "net.npz").write_bytes(data)
    try:
        again = rm.load(folder / "net.npz")
    except rm.FileError:
        return
    np.testing.assert_array_equal(again.hidden_weights, HIDDEN)
    np.testing.assert_array_equal(again.output_weights, OUTPUT)


HEADER = {
    "format": "relumodel network 1",
    "activation": {"type": "ReLU"},
    "bias": True,
    "classifies": False,
    "feature_names": None,
}
PARTS = {"hidden_weights": HIDDEN, "output_weights": OUTPUT}


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        ([], PARTS),
        ({**HEADER, "format": "relumodel network 99"}, PARTS),
        ({**HEADER, "activation": {"type": "Sine"}}, PARTS),
        ({**HEADER, "activation": {"type": "Hinge"}}, PARTS),
        *[({k: v for k, v in HEADER.items() if k != left_out}, PARTS) for left_out in HEADER],
        (HEADER, {"hidden_weights": HIDDEN}),
        (HEADER, {"output_weights": OUTPUT}),
        (HEADER, {**PARTS, "output_weights": OUTPUT[:1]}),
        (HEADER, {**PARTS, "hidden_weights": HIDDEN[0]}),
        (HEADER, {**PARTS, "hidden_weights": HIDDEN.astype(str)}),
        (HEADER, {**PARTS, "hidden_weights": HIDDEN * np.nan}),
        (HEADER, {**PARTS, "gates": HIDDEN[:2]}),
        (HEADER, {**PARTS, "gates": HIDDEN}),  # of a network whose neurons need none
        (HEADER, {**PARTS, "classes": np.array([0.0, 1.0])}),
        ({**HEADER, "activation": {"type": "GatedReLU"}}, PARTS),
        ({**HEADER, "bias": 1}, PARTS),
        ({**HEADER, "classifies": "yes"}, PARTS),
        ({**HEADER, "feature_names": "ab"}, PARTS),
        ({**HEADER, "feature_names": [1, 2]}, PARTS),
        ({**HEADER, "feature_names": ["a", "a"]}, PARTS),
        ({**HEADER, "feature_names": ["a"]}, PARTS),
        ({**HEADER, "more": 1}, PARTS),
        (HEADER, {"hidden_weights": HIDDEN[:1], "output_weights": OUTPUT}),
        (HEADER, {**PARTS, "output_weights": OUTPUT[:, None] * [[1.0, 2]], "classes": np.array([1.0, 1.0])}),
    ],
)
def test_files_whose_parts_do_not_fit(header, parts, tmp_path):
    np.savez(tmp_path / "net.npz", header=np.array(json.dumps(header)), **parts)
    with pytest.raises(rm.FileError, match="not a network saved by relumodel, or it is damaged"):
        rm.load(tmp_path / "net.npz")


@pytest.mark.parametrize(
    ("activation", "parts"),
    [
        ({"type": "ReLU"}, {"hidden_weights": HIDDEN * 1e307}),
        ({"type": "ReLU"}, {"output_weights": np.array([1e307, 1.0])}),
        ({"type": "ReLU"}, {"hidden_weights": 1e120 * HIDDEN, "output_weights": 1e120 * OUTPUT}),
        ({"type": "GatedReLU"}, {"gates": 1e307 * HIDDEN}),
        ({"type": "Polynomial", "a": 1.0, "b": 0.0, "c": 0.0}, {"hidden_weights": 1e100 * HIDDEN}),
        ({"type": "Polynomial", "a": 0.0, "b": 1e300, "c": 0.0}, {}),
    ],
)
def test_files_of_networks_that_overflow_when_they_are_used(activation, parts, tmp_path):
    np.savez(tmp_path / "net.npz", header=np.array(json.dumps({**HEADER, "activation": activation})), **PARTS | parts)
    with pytest.raises(rm.FileError, match=r"cannot be evaluated.* beyond 1e\+150"):
        rm.load(tmp_path / "net.npz")


def test_weights_as_large_as_training_makes_are_read(tmp_path):
    large = rm.Network(rm.ReLU(), True, 1e74 * HIDDEN, 1e74 * OUTPUT)
    again = rm.load(large.save(tmp_path / "net.npz"))
    assert np.isfinite(again(np.full((1, again.n_features), 1e75))).all()


def test_the_parts_of_these_tests_do_fit(tmp_path):
    np.savez(tmp_path / "net.npz", header=np.array(json.dumps(HEADER)), **PARTS)
    assert rm.load(tmp_path / "net.npz").n_neurons == 2


def test_pickles_are_not_read(tmp_path):
    np.savez(tmp_path / "net.npz", header=np.array(json.dumps(HEADER)), **{**PARTS, "gates": np.array([object()])})
    with pytest.raises(rm.FileError, match="damaged"):
        rm.load(tmp_path / "net.npz")


def test_a_frame_with_other_columns_is_refused():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.standard_normal((20, 2)), columns=["a", "b"])
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(0.01))
    network = model.compile(frame, frame["a"], patterns=rm.SamplePatterns(5)).solve().network()
    assert np.array_equal(network(frame), network(frame.to_numpy()))
    with pytest.raises(rm.InputError, match="column 0 is 'b', in training it was 'a'"):
        network(frame[["b", "a"]])
