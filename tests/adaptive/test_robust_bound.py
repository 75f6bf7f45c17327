"""The bound that is descended on: sound, the certificate's where its shares are the best, its gradient the true one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relumodel as rm
from relumodel.data import with_bias
from relumodel.fit.robust_bound import bound
from relumodel.robustness.neurons import Neurons, neurons_of
from relumodel.robustness.relaxation import relaxed_bound
from robust_networks import SETS, attacked_networks
from robust_reference import draws

SELF_GATED = [rm.ReLU(), rm.LeakyReLU(0.3)]


@given(attacked_networks(activations=SELF_GATED), st.sampled_from([1.0, -1.0]), st.integers(0, 99))
def test_no_point_of_the_set_is_below_it_whatever_the_shares(case, s, seed):
    network, X, _, perturbation = case
    ball = perturbation.ball(network.n_features, bias=network.bias)
    if ball is None:
        return
    neurons, A = neurons_of(network), with_bias(X, network.bias)
    signs = np.full(len(A), s)
    shares = np.random.default_rng(seed).random((len(A), len(neurons.signs)))
    found = bound(neurons, A, signs, ball, shares)
    for delta in draws(perturbation, ball.radii, (50, len(A)), np.random.default_rng(seed)):
        assert (s * neurons.output(A + delta) >= found.value - 1e-9).all()
    best = relaxed_bound(neurons, A, signs, ball)
    assert (found.value <= best.value + 1e-6 * (1 + np.abs(best.value))).all()
    if len(neurons.signs):
        shares = (best.slopes.T - neurons.slope) / (1 - neurons.slope)
        np.testing.assert_allclose(bound(neurons, A, signs, ball, shares).value, best.value, atol=1e-9)


@pytest.mark.parametrize("make", SETS)
@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_the_gradient_in_the_blocks(make, slope):
    """Against central differences at random weights, where it is smooth."""
    rng = np.random.default_rng(5)
    blocks, signs = rng.standard_normal((6, 3)), np.array([1.0, 1, 1, -1, -1, -1])
    X, s, ball = rng.standard_normal((9, 3)), rng.choice([-1.0, 1.0], 9), make((0.5, 0.0, 0.9)).ball(3)
    shares, rate = rng.random((9, 6)), rng.standard_normal(9)

    def at(blocks):
        return bound(Neurons(blocks, signs, slope), X, s, ball, shares)

    gradient, step = at(blocks).pull(rate), 1e-6
    for j, c in np.ndindex(blocks.shape):
        move = np.zeros_like(blocks)
        move[j, c] = step
        slope_there = rate @ (at(blocks + move).value - at(blocks - move).value) / (2 * step)
        assert gradient[j, c] == pytest.approx(slope_there, abs=1e-6)


@pytest.mark.parametrize("make", SETS)
def test_replies_lead_near_the_best_shares(make):
    rng = np.random.default_rng(3)
    neurons = Neurons(rng.standard_normal((9, 3)), rng.choice([-1.0, 1.0], 9), 0.0)
    X, s, ball = rng.standard_normal((20, 3)), rng.choice([-1.0, 1.0], 20), make((0.5, 0.0, 0.9)).ball(3)
    shares, first = np.full((20, 9), 0.5), None
    for k in range(300):
        found = bound(neurons, X, s, ball, shares)
        first = found.value if first is None else first
        shares += (found.reply - shares) / (k + 2)
    best = relaxed_bound(neurons, X, s, ball).value
    assert (best - first).mean() > 0.1
    assert (best - found.value).mean() < 0.2 * (best - first).mean()
