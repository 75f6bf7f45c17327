import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relumodel as rm
from relumodel.data import with_bias
from relumodel.declare.perturbations import Ball
from relumodel.robustness.crossing_bound import crossing_bound
from relumodel.robustness.neurons import Neurons, neurons_of
from robust_networks import ACTIVATIONS, SETS, attacked_networks
from robust_reference import draws


def parts(network, X, perturbation):
    ball = perturbation.ball(network.n_features, bias=network.bias)
    return neurons_of(network), with_bias(X, network.bias), ball


@given(attacked_networks(), st.sampled_from([1.0, -1.0]))
def test_no_point_of_the_set_is_below_the_bound(case, s):
    network, X, _, perturbation = case
    neurons, A, ball = parts(network, X, perturbation)
    if ball is None:
        return
    bound = crossing_bound(neurons, A, np.full(len(A), s), ball)
    for delta in draws(perturbation, ball.radii, (200, len(A)), np.random.default_rng(0)):
        assert (s * neurons.output(A + delta) >= bound.value - 1e-9).all()


@given(attacked_networks(), st.sampled_from([1.0, -1.0]))
def test_where_nothing_crosses_the_bound_is_attained(case, s):
    network, X, _, perturbation = case
    neurons, A, ball = parts(network, X, perturbation)
    if ball is None:
        return
    bound = crossing_bound(neurons, A, np.full(len(A), s), ball)
    attained = s * neurons.output(A - ball.worst(bound.q))
    np.testing.assert_allclose(attained[~bound.crossing], bound.value[~bound.crossing], atol=1e-9)


@pytest.mark.parametrize("make", SETS)
def test_ascent_only_raises_the_bound(make):
    """Above the bound of the choices it starts from, whatever they are, and at a choice that no single flip betters."""
    rng = np.random.default_rng(0)
    neurons = Neurons(rng.standard_normal((5, 3)), rng.choice([-1.0, 1.0], 5), 0.1)
    X, s, ball = rng.standard_normal((8, 3)), rng.choice([-1.0, 1.0], 8), make(1.0).ball(3)
    for seed in range(5):
        start = np.random.default_rng(seed).random((5, 8)) < 0.5
        before = crossing_bound(neurons, X, s, ball, active=start, sweeps=0)
        after = crossing_bound(neurons, X, s, ball, active=start, sweeps=20)
        assert (after.value >= before.value - 1e-12).all()
        for j in range(5):
            flipped = after.slopes == 1
            flipped[j] ^= True
            other = crossing_bound(neurons, X, s, ball, active=flipped, sweeps=0)
            assert (other.value <= after.value + 1e-12).all()


@pytest.mark.parametrize("make", SETS)
def test_no_line_from_above_is_better_than_the_chord(make):
    """The slack of a line of slope l + (1 - l) e above both ends is (1 - l) max(e (h - t), (1 - e) (h + t))."""
    least = 0.2
    neurons = Neurons(np.random.default_rng(1).standard_normal((6, 3)), np.array([1.0, 1, 1, -1, -1, -1]), least)
    X, ball = np.random.default_rng(2).standard_normal((40, 3)), make(0.5).ball(3)
    found = crossing_bound(neurons, X, np.ones(40), ball)
    T, h, down = X @ neurons.blocks.T, ball.support(neurons.blocks), neurons.signs < 0
    for seed in range(20):
        share = (found.slopes.T - least) / (1 - least)
        other = np.clip(share + np.random.default_rng(seed).choice([-1, -0.1, 0.1, 1]), 0, 1)
        share = np.where(down, other, share)
        q = (neurons.signs * (least + (1 - least) * share)) @ neurons.blocks
        slack = (1 - least) * np.maximum(share * (h - T), (1 - share) * (h + T))[:, down].sum(axis=1)
        value = (X * q).sum(axis=1) - ball.support(q) - slack
        assert (value <= found.value + 1e-12).all()
        assert (value < found.value - 1e-3).any()


@pytest.mark.parametrize("activation", ACTIVATIONS[:2], ids=lambda a: type(a).__name__)
def test_one_neuron_on_the_line_is_exact(activation):
    """There is nothing it could be relaxed together with."""
    for w, a, x, r, s in itertools.product((1.0, -2.0), (1.0, -1.0), (-0.5, 0.2, 1.0), (0.3, 1.0), (1.0, -1.0)):
        network = rm.Network(activation, False, np.array([[w]]), np.array([a]))
        bound = crossing_bound(neurons_of(network), np.array([[x]]), np.array([s]), Ball(rm.LInf(1.0), np.array([r])))
        ends = s * network(np.array([[x - r], [x + r], [np.clip(0.0, x - r, x + r)]]))
        assert bound.value[0] == pytest.approx(ends.min(), abs=1e-12)


def test_a_gate_that_may_flip():
    """The value is anything between 0 and t where the gate may flip, known elsewhere."""
    blocks, gates = np.ones((1, 1)), np.array([[-1.0]])
    for x, push, expected in ((-2.0, 1.0, -2.5), (2.0, 1.0, 0.0), (0.2, 1.0, -0.3), (0.2, -1.0, -0.7), (-0.2, -1.0, -0.3)):
        neurons = Neurons(blocks, np.array([push]), 0.0, gates)
        bound = crossing_bound(neurons, np.array([[x]]), np.ones(1), rm.LInf(0.5).ball(1))
        assert bound.value[0] == pytest.approx(expected)
        assert bound.crossing[0] == (abs(x) < 0.5)
    # t does not move, only its gate does: the value is 0 or t = 0.3
    for push, t, expected in ((1.0, 0.3, 0.0), (-1.0, 0.3, -0.3), (1.0, -0.3, -0.3), (-1.0, -0.3, 0.0)):
        neurons = Neurons(np.array([[0.0, 1.0]]), np.array([push]), 0.0, np.array([[1.0, 0.0]]))
        bound = crossing_bound(neurons, np.array([[0.1, t]]), np.ones(1), rm.LInf(0.5, fixed=1).ball(2))
        assert bound.value[0] == pytest.approx(expected)
        assert bound.crossing[0]


def test_by_hand():
    """f = (t)_+ - 2 (t - 1)_+ on t in [0, 2]: lowest 0 at both ends. The chord of the second neuron over [-1, 1] gives
    -(t - 1) - 1 = -t, the first is t itself: exact."""
    neurons = Neurons(np.array([[1.0, 0.0], [2.0, -2.0]]), np.array([1.0, -1.0]), 0.0)
    X, ball = np.array([[1.0, 1.0]]), rm.LInf(1.0).ball(1, bias=True)
    found = crossing_bound(neurons, X, np.ones(1), ball)
    assert found.value == pytest.approx([0.0])
    np.testing.assert_allclose(found.slopes, [[1.0], [0.5]])
