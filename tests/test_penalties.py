import math

import numpy as np
import pytest

import relumodel as rm

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
