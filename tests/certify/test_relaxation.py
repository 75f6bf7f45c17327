"""The best bound by lines is the triangle relaxation, written down here in CVXPY."""

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relumodel as rm
from relumodel.data import with_bias
from relumodel.robustness.crossing_bound import crossing_bound
from relumodel.robustness.neurons import Neurons, neurons_of
from relumodel.robustness.relaxation import relaxed_bound
from robust_networks import SETS, attacked_networks
from robust_reference import draws


def triangle(neurons, x, s, ball) -> float:
    """min over delta of s f with each neuron that pushes down replaced by its chord."""
    make, live = type(ball.perturbation), ball.radii > 0
    omega = cp.Variable(int(live.sum()))
    norm = {rm.LInf: cp.norm_inf, rm.L2: cp.norm2, rm.L1: cp.norm1}[make](omega)
    least, total = neurons.slope, 0
    for b, sign, h in zip(neurons.blocks, neurons.signs, ball.support(neurons.blocks), strict=True):
        t = b @ x + (b * ball.radii)[live] @ omega
        low, high = b @ x - h, b @ x + h
        if s * sign > 0:
            total = total + cp.maximum(t, least * t)
        elif low >= 0 or high <= 0:
            total = total - (t if low >= 0 else least * t)
        else:
            total = total - ((high - least * low) * t - (1 - least) * low * high) / (high - low)
    problem = cp.Problem(cp.Minimize(total), [norm <= 1])
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return float(problem.value)


@pytest.mark.parametrize("make", SETS)
@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_it_is_the_triangle_relaxation(make, slope):
    rng = np.random.default_rng(3)
    neurons = Neurons(rng.standard_normal((9, 3)), rng.choice([-1.0, 1.0], 9), slope)
    X, s, ball = rng.standard_normal((6, 3)), rng.choice([-1.0, 1.0], 6), make((0.5, 0.0, 0.9)).ball(3)
    found = relaxed_bound(neurons, X, s, ball)
    expected = [triangle(neurons, x, sign, ball) for x, sign in zip(X, s, strict=True)]
    np.testing.assert_allclose(found.value, expected, atol=1e-7)
    ascent = crossing_bound(neurons, X, s, ball).value
    assert (found.value >= ascent).all()
    assert (found.value > ascent + 1e-3).any()


@given(attacked_networks(), st.sampled_from([1.0, -1.0]))
def test_it_is_sound_and_at_least_any_choice_of_slopes(case, s):
    network, X, _, perturbation = case
    ball = perturbation.ball(network.n_features, bias=network.bias)
    if ball is None:
        return
    neurons, A = neurons_of(network), with_bias(X, network.bias)
    signs = np.full(len(A), s)
    bound = relaxed_bound(neurons, A, signs, ball)
    for delta in draws(perturbation, ball.radii, (100, len(A)), np.random.default_rng(0)):
        assert (s * neurons.output(A + delta) >= bound.value - 1e-9).all()
    for seed in range(5):
        active = np.random.default_rng(seed).random((len(neurons.signs), len(A))) < 0.5
        some = crossing_bound(neurons, A, signs, ball, active, sweeps=0).value
        assert (some <= bound.value + 1e-6 * (1 + np.abs(some))).all()


@given(attacked_networks(activations=[rm.ReLU(), rm.LeakyReLU(0.3)]), st.sampled_from([1.0, -1.0]))
def test_its_slopes_are_those_of_the_crossing_program(case, s):
    """G is the formula of the crossing program at the shares that the slopes are."""
    network, X, _, perturbation = case
    ball = perturbation.ball(network.n_features, bias=network.bias)
    if ball is None or not network.n_neurons:
        return
    neurons, A = neurons_of(network), with_bias(X, network.bias)
    bound = relaxed_bound(neurons, A, np.full(len(A), s), ball)
    T, h, least = A @ neurons.blocks.T, ball.support(neurons.blocks), neurons.slope
    assert ((least <= bound.slopes) & (bound.slopes <= 1)).all()
    share = (bound.slopes.T - least) / (1 - least)
    slack = (1 - least) * np.maximum(share * (h - T), (1 - share) * (h + T))[:, s * neurons.signs < 0].sum(axis=1)
    q = s * (neurons.signs * bound.slopes.T) @ neurons.blocks
    np.testing.assert_allclose(bound.q, q, atol=1e-9)
    np.testing.assert_allclose(bound.value, (A * q).sum(axis=1) - ball.support(q) - slack, atol=1e-9)


def test_bounds_that_are_good_enough_are_left_alone():
    rng = np.random.default_rng(3)
    neurons = Neurons(rng.standard_normal((9, 3)), rng.choice([-1.0, 1.0], 9), 0.0)
    X, ball = rng.standard_normal((30, 3)), rm.LInf(0.5).ball(3)
    ascent = crossing_bound(neurons, X, np.ones(30), ball).value
    found = relaxed_bound(neurons, X, np.ones(30), ball, enough=0.0).value
    np.testing.assert_array_equal(found[ascent >= 0], ascent[ascent >= 0])
    assert (found > ascent + 1e-6).any()
