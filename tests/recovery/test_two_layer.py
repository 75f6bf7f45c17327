import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import relumodel as rm
from data_strategies import COVERING, LOSS_AND_PENALTY, example, label, problems


def random_point(program, seed):
    """Blocks of very different size, some of them zero."""
    rng = np.random.default_rng(seed)
    shape = program.variables[0].shape
    blocks = rng.standard_normal((program.n_variables // shape[1], shape[1]))
    return (blocks * rng.choice([0, 1e-4, 1, 30], (len(blocks), 1))).reshape(-1)


@pytest.mark.parametrize("model", COVERING, ids=label)
def test_the_network_of_a_feasible_point_costs_what_the_program_says(model):
    """The identity everything rests on, for every loss, reduction, penalty, activation and bias."""
    X, y = example(model)
    program = model.compile(X, y, patterns=rm.EnumeratePatterns())
    for seed in range(3):
        x = program.inverse.feasible(random_point(program, seed).reshape(-1, program.variables[0].shape[1])).reshape(-1)
        network = program.inverse.network(x)
        assert program.violation(x) == 0
        assert network.objective(model, X, y) == pytest.approx(program.objective(x), rel=1e-12)
        np.testing.assert_allclose(network(X), program.term("loss").map.forward(x), rtol=1e-9, atol=1e-9)


@settings(max_examples=100)
@given(problems(), st.integers(0, 99))
def test_repaired_points_are_strictly_feasible_and_have_equal_networks(problem, seed):
    model, X, y = problem
    program = model.compile(X, y, patterns=rm.EnumeratePatterns())
    x = program.inverse.repair(program, random_point(program, seed))
    assert program.violation(x) == 0
    assert program.objective(x) <= program.objective(np.zeros_like(x))
    network = program.inverse.network(x)
    assert network.objective(model, X, y) == pytest.approx(program.objective(x), rel=1e-10, abs=1e-13)


@settings(max_examples=50)
@given(problems())
def test_given_patterns_without_interior_are_repaired_to_rounding(problem):
    """Any 0/1 matrix may be given; a pattern of no vector has a thin cone, and no witness."""
    model, X, y = problem
    if not model.network.activation.self_gated:
        return
    D = np.random.default_rng(len(X)).random((len(X), 3)) < 0.5
    program = model.compile(X, y, patterns=rm.GivenPatterns(D))
    x = program.inverse.repair(program, random_point(program, 0))
    assert program.violation(x) <= 1e-12 * (1 + np.abs(x).max())
    objective = program.inverse.network(x).objective(model, X, y)
    assert objective == pytest.approx(program.objective(x), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("model", COVERING, ids=label)
def test_a_feasible_point_is_not_made_worse(model):
    X, y = example(model)
    program = model.compile(X, y, patterns=rm.EnumeratePatterns())
    solution = program.solve()
    again = program.inverse.repair(program, solution.point)
    assert program.objective(again) <= solution.objective


def test_noise_in_zero_blocks_is_dropped():
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(reduction="sum"), rm.WeightDecay(0.1))
    program = model.compile([[1.0], [-2.0]], [2.0, 0.0], patterns=rm.EnumeratePatterns())
    clean = np.where(np.arange(4) == np.flatnonzero(program.patterns[0])[0], 1.9, 0.0)
    noisy = program.inverse.repair(program, clean + 1e-9)
    np.testing.assert_array_equal(noisy, np.where(clean > 0, 1.9 + 1e-9, 0))
    assert program.inverse.network(noisy).n_neurons == 1


def test_a_block_whose_nearest_point_is_the_apex_becomes_zero():
    """v >= 0 and 2 v >= 0 at v = -1: nearest is 0 exactly, not the rounding of 0, which would be a neuron of size 1e-320."""
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(0.1))
    program = model.compile([[1.0], [2.0]], [1.0, 2.0], patterns=rm.GivenPatterns([[1], [1]]))
    np.testing.assert_array_equal(program.inverse.feasible(np.array([[-1.0], [3.0]])), [[0], [3]])


def test_blocks_too_small_to_have_a_norm_are_no_neurons():
    """|v|_2 underflows to 0 at 1e-170, and dividing by it would give infinite weights."""
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(0.1))
    program = model.compile([[1.0]], [1.0], patterns=rm.GivenPatterns([[1]]))
    network = program.inverse.network(np.array([1e-170, 2.0]))
    np.testing.assert_allclose(network.output_weights, [-np.sqrt(2)])


def test_blocks_become_balanced_neurons_by_hand():
    """v = (3, -4) of norm 5: u = v / sqrt 5, a = sqrt 5, so |u| = a. In w the output is negative."""
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(0.1))
    program = model.compile([[1.0, 0.0]], [1.0], patterns=rm.GivenPatterns([[1]]))
    network = program.inverse.network(np.array([3.0, -4.0, 5.0, 0.0]))
    root = np.sqrt(5)
    np.testing.assert_allclose(network.hidden_weights, [[3 / root, root], [-4 / root, 0]], rtol=1e-15)
    np.testing.assert_allclose(network.output_weights, [root, -root], rtol=1e-15)


@pytest.mark.parametrize("model", LOSS_AND_PENALTY, ids=label)
def test_the_zero_point_is_a_network_without_neurons(model, tmp_path):
    X, y = example(model)
    program = model.compile(X, y, patterns=rm.EnumeratePatterns())
    zero = np.zeros(program.n_variables)
    network = program.inverse.network(zero)
    assert network.n_neurons == 0
    assert network.hidden_weights.shape == (3, 0)
    np.testing.assert_array_equal(network(X), np.zeros(len(X)))
    assert set(network.predict(X)) == ({1.0} if model.loss.reads == "margin" else {0.0})
    assert network.objective(model, X, y) == pytest.approx(program.objective(zero), rel=1e-15)
    again = rm.load(network.save(tmp_path / "zero.npz"))
    assert again.n_neurons == 0
    np.testing.assert_array_equal(again(X), np.zeros(len(X)))
