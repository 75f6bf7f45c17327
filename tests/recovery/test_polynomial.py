import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import data_strategies as ds
import relumodel as rm
from relumodel.maps.symmetric import smat
from relumodel.trained.decomposition import decompose


@st.composite
def balanced(draw):
    """Z = sum of p p', rank and order at random, scaled to tr Z_11 = Z_44; sometimes built of unit neurons, repeated or opposite."""
    d, rank = draw(st.integers(1, 6)), draw(st.integers(0, 8))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    P = rng.standard_normal((rank, d + 1)) * 10.0 ** rng.integers(-3, 3, (rank, 1))
    if draw(st.booleans()):
        P[:, :d] /= np.linalg.norm(P[:, :d], axis=1)[:, None]
        P[:, d] = rng.choice([-1.0, 1.0], rank)
        P[1::2] = P[: rank // 2] * draw(st.sampled_from([1.0, -1.0]))
    inner, corner = (P[:, :d] ** 2).sum(), (P[:, d] ** 2).sum()
    if rank:
        P[:, d] *= np.sqrt(inner / corner)
    return P.T @ P


@settings(max_examples=300)
@given(balanced())
def test_a_matrix_is_the_sum_of_its_unit_neurons(Z):
    U, weights = decompose(Z)
    d = len(Z) - 1
    assert len(weights) <= d + 1
    assert len(weights) <= np.linalg.matrix_rank(Z, tol=1e-15 * (1 + abs(Z).max()))
    assert (weights > 0).all()
    np.testing.assert_allclose(np.linalg.norm(U, axis=1), 1, rtol=1e-12)
    full = np.column_stack([U, np.ones(len(U))])
    np.testing.assert_allclose((full.T * weights) @ full, Z, atol=1e-11 * abs(Z).max(initial=1e-300))
    assert weights.sum() == pytest.approx(Z[d, d], rel=1e-12, abs=1e-300)


@settings(max_examples=50)
@given(ds.matrices(), st.integers(0, 999), st.sampled_from([0.0, 1e-9, 0.1, 10.0]))
def test_any_point_is_repaired(X, seed, noise):
    """Feasible, its network has its objective, and near a feasible point it stays near."""
    model = rm.Model(rm.TwoLayer(rm.Polynomial(), True), rm.Squared(), rm.WeightDecay(0.1))
    program = model.compile(X, np.arange(len(X)) - 1.0)
    rng = np.random.default_rng(seed)
    size = program.n_variables
    start = program.inverse.repair(program, rng.standard_normal(size))
    x = program.inverse.repair(program, start + noise * rng.standard_normal(size))
    assert program.violation(x) <= 1e-12 * (1 + abs(x).max())
    network = program.inverse.network(x)
    assert network.objective(model, X, np.arange(len(X)) - 1.0) == pytest.approx(program.objective(x), rel=1e-9)
    if noise <= 1e-9:
        assert program.objective(x) <= program.objective(start) + 1e-6
    Z, W = smat(x.reshape(2, -1))
    assert Z[-1, -1] + W[-1, -1] == pytest.approx(abs(network.output_weights).sum(), rel=1e-9)


@pytest.fixture
def trained():
    model = rm.Model(rm.TwoLayer(rm.Polynomial(0.3, -0.4, 0.2), True), rm.Hinge(), rm.WeightDecay(0.01))
    X, y = ds.example(model, n=20)
    return model, X, y, model.compile(X, y).solve(backend="clarabel").network()


def test_the_formula(trained):
    _, X, _, network = trained
    T = np.column_stack([X, np.ones(20)]) @ network.hidden_weights
    np.testing.assert_allclose(network(X), (0.3 * T**2 - 0.4 * T + 0.2) @ network.output_weights)
    np.testing.assert_allclose(network.quadratic().output(X), network(X), atol=1e-12)
    step = 1e-6 * np.eye(2)
    numeric = np.stack([(network(X + e) - network(X - e)) / 2e-6 for e in step], axis=1)
    np.testing.assert_allclose(network.input_gradient(X), numeric, atol=1e-6)


def test_saved_and_loaded(trained, tmp_path):
    model, X, y, network = trained
    again = rm.load(network.save(tmp_path / "net.npz"))
    assert type(again) is type(network)
    np.testing.assert_array_equal(again(X), network(X))
    assert again.objective(model, X, y) == network.objective(model, X, y)
    np.testing.assert_array_equal(again.distance_to_boundary(X), network.distance_to_boundary(X))


def test_attacks_take_it(trained):
    _, X, y, network = trained
    moved = rm.attacks.pgd(network, X, y, 0.1)
    assert (y * network(moved) <= y * network(X)).all()


def test_pruning_keeps_the_function_everywhere(trained):
    model, X, y, network = trained
    rng = np.random.default_rng(0)
    U = rng.standard_normal((3, 30))
    wide = type(network)(network.activation, True, U / np.linalg.norm(U, axis=0), rng.standard_normal(30), classifies=True)
    small = wide.prune(model, X)
    assert small.n_neurons <= 2 * 4
    other = 10 * rng.standard_normal((50, 2))
    np.testing.assert_allclose(small(other), wide(other), rtol=1e-9, atol=1e-9)
    assert small.objective(model, X, y) == pytest.approx(wide.objective(model, X, y), rel=1e-12)


def test_neurons_must_be_unit_vectors(trained):
    model, X, y, network = trained
    longer = type(network)(network.activation, True, 2 * network.hidden_weights, network.output_weights, classifies=True)
    with pytest.raises(rm.InputError, match=r"neurons of norm 1; neuron . has norm 2"):
        longer.objective(model, X, y)


def test_other_networks_have_no_exact_distance():
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge(), rm.WeightDecay(0.1))
    X, y = ds.example(model)
    network = model.compile(X, y, patterns=rm.EnumeratePatterns()).solve().network()
    with pytest.raises(rm.InputError, match="polynomial networks only; this one has ReLU neurons"):
        network.distance_to_boundary(X)
