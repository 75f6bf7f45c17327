import dataclasses
import math

import numpy as np
import pytest

import relumodel as rm
from relumodel.pricing import training_bound
from user_losses import Elastic

every_penalty = pytest.mark.parametrize("penalty", [rm.WeightDecay(0.5), rm.PathNorm(0.5)], ids=str)

HIDDEN, OUTPUT = np.array([[3.0, 0.0], [-4.0, 1.0]]), np.array([2.0, -3.0])  # neurons (3, -4) and (0, 1)


def test_values_by_hand():
    # 0.5/2 (25 + 1 + 4 + 9)
    assert rm.WeightDecay(0.5).of_network(HIDDEN, OUTPUT) == pytest.approx(9.75)
    # 0.5 (7 * 2 + 1 * 3)
    assert rm.PathNorm(0.5).of_network(HIDDEN, OUTPUT) == pytest.approx(8.5)
    np.testing.assert_array_equal(rm.WeightDecay(0.5).norms(HIDDEN.T), [5, 1])
    np.testing.assert_array_equal(rm.PathNorm(0.5).norms(HIDDEN.T), [7, 1])


@every_penalty
def test_the_norm_of_a_block_is_the_cheapest_scaling_of_its_neuron(penalty):
    """min over c > 0 of the penalty of (c u, a / c) is beta times the norm of the block |a| u, which is what links the
    network to the convex program."""
    u, a = HIDDEN[:, :1], OUTPUT[:1]
    costs = [penalty.of_network(c * u, a / c) for c in np.geomspace(0.01, 100, 20001)]
    assert min(costs) == pytest.approx(penalty.beta * penalty.norms((u * abs(a)).T)[0], rel=1e-6)


@every_penalty
def test_the_function_of_blocks_is_the_sum_of_their_norms(penalty):
    blocks = np.random.default_rng(0).standard_normal((4, 3))
    value = penalty.function(3).value(blocks.reshape(-1))
    assert value == pytest.approx(penalty.beta * penalty.norms(blocks).sum(), rel=1e-15)


@pytest.mark.parametrize("make", [rm.WeightDecay, rm.PathNorm])
def test_bad_beta(make):
    for beta in (-1e-9, math.nan, math.inf):
        with pytest.raises(rm.InputError, match=r"beta must be a finite number >= 0; got"):
            make(beta)
    for beta in ("1", None, True, [1]):
        with pytest.raises(rm.InputTypeError, match="beta must be a number; got"):
            make(beta)
    assert make(0).beta == 0


@every_penalty
def test_norms_are_the_cheapest_squares(penalty) -> None:
    rng = np.random.default_rng(0)
    blocks = np.vstack([rng.standard_normal((5, 3)), np.zeros((1, 3)), [[0.0, 2.0, 0.0]]])
    factors = penalty.unfold(blocks)
    assert np.allclose(penalty.fold(factors), blocks)
    assert np.allclose((factors**2).sum(axis=1) / 2, penalty.norms(blocks))
    any_factors = rng.standard_normal((50, factors.shape[1]))
    assert (penalty.norms(penalty.fold(any_factors)) <= (any_factors**2).sum(axis=1) / 2 + 1e-12).all()


@every_penalty
def test_gradients_are_pulled_back(penalty) -> None:
    rng = np.random.default_rng(0)
    z = rng.standard_normal((4, penalty.unfold(np.ones((4, 3))).shape[1]))
    towards, direction, step = rng.standard_normal((4, 3)), rng.standard_normal(z.shape), 1e-6
    change = (towards * (penalty.fold(z + step * direction) - penalty.fold(z - step * direction))).sum() / (2 * step)
    assert np.isclose((penalty.pull(z, towards) * direction).sum(), change)


ELASTIC = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), Elastic(1e-2))


class Twice(rm.WeightDecay):
    """A 2-norm, but not of the strength it says."""

    def function(self, size):
        return rm.WeightDecay(2 * self.beta).function(size)


@pytest.mark.parametrize("penalty", [Elastic(1e-2), Twice(1e-2)], ids=lambda p: type(p).__name__)
@pytest.mark.parametrize(
    "ask",
    [
        lambda model, X, y: training_bound(model, X, y, y),
        lambda model, X, y: model.fit(X, y),
        lambda model, X, y: model.fit(X, y, patterns=rm.SamplePatterns(10, seed=0)),
        lambda model, X, y: model.compile_batches((X, y), rm.SamplePatterns(10, seed=0)),
        lambda model, X, y: rm.polish(rm.Network(rm.ReLU(), True, np.ones((3, 1)), np.ones(1)), model, X, y),
    ],
    ids=["training bound", "fit", "fit on patterns", "batches", "polish"],
)
def test_what_knows_two_norms_refuses_others(ask, penalty):
    """Once a "bound" of 0.213 for a user's elastic norm, where a network costs 0.036: it was taken for the 2-norm."""
    X = np.random.default_rng(0).standard_normal((12, 2))
    with pytest.raises(rm.InputError, match=r"knows the dual norm of two penalties, .* on blocks"):
        ask(dataclasses.replace(ELASTIC, penalty=penalty), X, X[:, 0])


@pytest.mark.parametrize("backend", ["clarabel", "admm"])
def test_programs_take_a_norm_of_a_users(backend):
    """The bound asks the penalty's own dual gauge, so it holds."""
    X = np.random.default_rng(0).standard_normal((12, 2))
    solution = ELASTIC.compile(X, X[:, 0], rm.SamplePatterns(5, seed=0)).solve(backend=backend)
    assert solution.status == "optimal"
    assert solution.bound <= solution.objective
    assert solution.network().objective(ELASTIC, X, X[:, 0]) == pytest.approx(solution.objective)
