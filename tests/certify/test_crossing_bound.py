import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relumodel as rm
from relumodel.certify.crossing_bound import crossing_bound
from relumodel.certify.neurons import Neurons, neurons_of
from relumodel.data import with_bias
from relumodel.perturbations import Ball
from robust_networks import ACTIVATIONS, SETS, attacked_networks, random_network
from robust_reference import draws


def parts(network, X, perturbation):
    ball = perturbation.ball(network.n_features, bias=network.bias)
    return neurons_of(network), with_bias(X, network.bias), ball


@given(attacked_networks(), st.sampled_from([1.0, -1.0]), st.booleans())
def test_no_point_of_the_set_is_below_the_bound(case, s, chords):
    network, X, _, perturbation = case
    neurons, A, ball = parts(network, X, perturbation)
    if ball is None or (network.gates is not None and not chords):
        return
    bound = crossing_bound(neurons, A, np.full(len(A), s), ball, chords=chords)
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
@pytest.mark.parametrize("chords", [False, True])
def test_ascent_only_raises_the_bound(make, chords):
    """Above the bound of the choices it starts from, whatever they are, and at a choice that no single flip betters."""
    rng = np.random.default_rng(0)
    neurons = Neurons(rng.standard_normal((5, 3)), rng.choice([-1.0, 1.0], 5), 0.1)
    X, s, ball = rng.standard_normal((8, 3)), rng.choice([-1.0, 1.0], 8), make(1.0).ball(3)
    for seed in range(5):
        start = np.random.default_rng(seed).random((5, 8)) < 0.5
        before = crossing_bound(neurons, X, s, ball, active=start, chords=chords, sweeps=0)
        after = crossing_bound(neurons, X, s, ball, active=start, chords=chords, sweeps=20)
        assert (after.value >= before.value - 1e-12).all()
        for j in range(5):
            flipped = after.active.copy()
            flipped[j] ^= True
            other = crossing_bound(neurons, X, s, ball, active=flipped, chords=chords, sweeps=0)
            assert (other.value <= after.value + 1e-12).all()


@pytest.mark.parametrize("make", SETS)
def test_the_choices_mean_what_the_crossing_program_means_by_them(make):
    """Without chords and without ascent, G is the formula of the crossing program at the same choices."""
    rng = np.random.default_rng(1)
    m, n, slope = 4, 6, 0.2
    blocks, signs = rng.standard_normal((m, 3)), np.array([1.0, 1, -1, -1])
    X, ball = rng.standard_normal((n, 3)), make(0.7).ball(3)
    bound = crossing_bound(Neurons(blocks, signs, slope), X, np.ones(n), ball, chords=False)
    T, h = X @ blocks.T, ball.support(blocks)
    slopes = np.where(bound.active.T, 1.0, slope)
    slack = (1 - slope) * np.maximum(h + np.where(bound.active.T, -T, T), 0)[:, signs < 0].sum(axis=1)
    q = (signs * slopes) @ blocks
    np.testing.assert_allclose(bound.q, q, atol=1e-12)
    np.testing.assert_allclose(bound.value, (X * q).sum(axis=1) - ball.support(q) - slack, atol=1e-12)


@pytest.mark.parametrize("make", SETS)
def test_chords_are_never_worse(make):
    neurons = neurons_of(random_network(rm.ReLU(), 3, 8, seed=1, bias=False))
    X, ball = np.random.default_rng(1).standard_normal((40, 3)), make(0.5).ball(3)
    with_chords, without = (crossing_bound(neurons, X, np.ones(40), ball, chords=c) for c in (True, False))
    assert (with_chords.value >= without.value - 1e-12).all()
    assert (with_chords.value > without.value + 1e-3).any()
    # on any choice for the neurons that push up, too
    for active in (np.zeros((8, 40), dtype=bool), without.active):
        pair = [crossing_bound(neurons, X, np.ones(40), ball, active, chords=c, sweeps=0).value for c in (True, False)]
        assert (pair[0] >= pair[1] - 1e-12).all()


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
    -(t - 1) - 1 = -t, the first is t itself: exact. Without chords G = t - 2 (t - 1) - 2 (...)."""
    neurons = Neurons(np.array([[1.0, 0.0], [2.0, -2.0]]), np.array([1.0, -1.0]), 0.0)
    X, ball = np.array([[1.0, 1.0]]), rm.LInf(1.0).ball(1, bias=True)
    assert crossing_bound(neurons, X, np.ones(1), ball).value == pytest.approx([0.0])
    # slope 1: t - 2 (t - 1) - (2 - 0)_+ = -t, lowest -2;  slope 0: t - 2, lowest -2
    assert crossing_bound(neurons, X, np.ones(1), ball, chords=False).value == pytest.approx([-2.0])
