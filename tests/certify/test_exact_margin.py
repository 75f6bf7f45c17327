import numpy as np
import pytest
from hypothesis import given, settings

import relumodel as rm
from relumodel.data import with_bias
from relumodel.robustness.crossing_bound import crossing_bound
from relumodel.robustness.exact_margin import lowest_margin
from relumodel.robustness.neurons import neurons_of
from robust_networks import attacked_networks, random_network
from robust_reference import draws, inside


@settings(max_examples=60)
@given(attacked_networks(sets=[rm.LInf, rm.L1], rows=(1, 2)))
def test_the_margin_is_sound_and_its_minimiser_in_the_set(case):
    network, X, y, perturbation = case
    ball = perturbation.ball(X.shape[1], bias=network.bias)
    if ball is None:
        return
    neurons, A = neurons_of(network), with_bias(X, network.bias)
    for x, s in zip(A, y, strict=True):
        margin = lowest_margin(neurons, x, s, ball)
        assert (inside(perturbation, ball.radii, margin.delta[None]) <= 1 + 1e-6).all()
        points = x + draws(perturbation, ball.radii, (500,), np.random.default_rng(0))
        lowest = min((s * neurons.output(points)).min(), (s * neurons.output((x + margin.delta)[None]))[0])
        assert margin.bound <= lowest + 1e-9


@pytest.mark.parametrize("make", [rm.LInf, rm.L1])
@pytest.mark.parametrize("activation", [rm.ReLU(), rm.LeakyReLU(0.3)], ids=lambda a: type(a).__name__)
def test_a_positive_margin_is_proved_up_to_half_of_it(make, activation):
    """The search stops when the sign is settled; where it is positive the bound is at least half of it, less the tolerance."""
    neurons = neurons_of(random_network(activation, 3, 8, seed=5, bias=False))
    X, ball = np.random.default_rng(5).standard_normal((20, 3)), make(0.3).ball(3)
    s = np.sign(neurons.output(X))
    weak = crossing_bound(neurons, X, s, ball).value
    for x, sign, below in zip(X, s, weak, strict=True):
        margin = lowest_margin(neurons, x, sign, ball)
        attained = sign * neurons.output((x + margin.delta)[None])[0]
        assert margin.bound <= attained + 1e-9
        if attained > 0.01:
            assert margin.bound >= 0.5 * attained - 0.005
        if below > 0:
            assert margin.bound > 0.5 * below - 0.005


def test_without_time_nothing_is_proved():
    neurons = neurons_of(random_network(rm.ReLU(), 10, 60, seed=3, bias=False))
    margin = lowest_margin(neurons, 0.1 * np.ones(10), 1.0, rm.LInf(1.0).ball(10), time_limit=1e-9)
    assert margin == (-np.inf, None)
