"""Attacks from a thousand random starts never contradict a certificate, and come within 1 % of the exact ones of polynomial networks."""

import numpy as np
import pytest

import relumodel as rm

STARTS = 1000


def trained(network, perturbation=None, n=24):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (n, 2))
    y = np.where(X[:, 0] * X[:, 1] > 0, 1.0, -1.0)
    model = rm.Model(network, rm.Hinge(), rm.WeightDecay(5e-3), perturbation)
    patterns = {} if isinstance(network.activation, rm.Polynomial) else {"patterns": rm.SamplePatterns(20, seed=0)}
    return model, model.compile(X, y, **patterns).solve().network(), X, y


def sphere(shape, seed):
    """Gaussian directions of length one."""
    steps = np.random.default_rng(seed).standard_normal(shape)
    return steps / np.linalg.norm(steps, axis=-1, keepdims=True)


def lowest_in_ball(f, X, s, radius, steps=60):
    """The smallest s f found by projected gradient descent from STARTS random points of every Euclidean ball."""
    n, d = X.shape
    delta = radius * np.random.default_rng(1).random((STARTS, n, 1)) ** (1 / d) * sphere((STARTS, n, d), 2)
    best = np.full(n, np.inf)
    for k in range(steps + 1):
        points = (X + delta).reshape(-1, d)
        best = np.minimum(best, (s * f(points).reshape(STARTS, n)).min(axis=0))
        gradient = (f.input_gradient(points).reshape(STARTS, n, d)) * s[:, None]
        size = np.linalg.norm(gradient, axis=2, keepdims=True)
        delta = delta - 0.3 * radius * 0.93**k * gradient / np.where(size > 0, size, 1)
        length = np.linalg.norm(delta, axis=2, keepdims=True)
        delta = delta * np.minimum(1.0, radius / np.where(length > 0, length, 1))
    return best


def nearest_change(f, X, reach=8.0):
    """The distance to the nearest change of sign along STARTS rays each, then refined around the best ray."""
    n, d = X.shape
    sign = np.where(f(X) >= 0, 1.0, -1.0)
    rays, best = sphere((STARTS, n, d), 3), np.full(n, np.inf)
    spread = 0.3
    for _ in range(6):
        low, high = np.zeros((STARTS, n)), np.full((STARTS, n), reach)
        grid = np.linspace(0, 1, 33)[1:]
        for share in grid[::-1]:  # the first change on a grid
            changed = sign * f((X + reach * share * rays).reshape(-1, d)).reshape(STARTS, n) <= 0
            high = np.where(changed, reach * share, high)
        low = high - reach / 32
        found = sign * f((X + high[..., None] * rays).reshape(-1, d)).reshape(STARTS, n) <= 0
        for _ in range(20):
            middle = 0.5 * (low + high)
            changed = sign * f((X + middle[..., None] * rays).reshape(-1, d)).reshape(STARTS, n) <= 0
            low, high = np.where(changed, low, middle), np.where(changed, middle, high)
        high = np.where(found, high, np.inf)
        at = high.argmin(axis=0)
        best = np.minimum(best, high[at, np.arange(n)])
        around = rays[at, np.arange(n)] + spread * sphere((STARTS, n, d), 4)
        rays, spread = around / np.linalg.norm(around, axis=2, keepdims=True), 0.3 * spread
    return best


@pytest.mark.parametrize("radius", [0.1, 0.4])
def test_the_worst_case_of_a_polynomial_network(radius):
    model, network, X, y = trained(rm.TwoLayer(rm.Polynomial(), bias=True), rm.L2(radius))
    found = lowest_in_ball(network, X, y, radius)
    exact = 1 - network.worst_case(model, X, y).losses
    active = exact < 1  # where the hinge says what the margin is
    assert active.sum() > 5
    assert (found >= np.minimum(exact, 1) - 1e-9)[active].all()
    assert (found[active] - exact[active] <= 0.01 * (1 - exact[active]) + 1e-9).all()
    verdict = network.certified(X, y, rm.L2(radius))
    np.testing.assert_array_equal(verdict == "certified", found > 0)


def test_the_distance_of_a_polynomial_network():
    _, network, X, _ = trained(rm.TwoLayer(rm.Polynomial(), bias=True), n=12)
    distance, found = network.distance_to_boundary(X), nearest_change(network, X)
    assert (found >= distance * (1 - 1e-6)).all()
    near = distance < 4
    assert near.sum() > 5
    assert (found[near] <= 1.01 * distance[near]).all()


@pytest.mark.parametrize("radius", [0.02, 0.1])
def test_no_attack_beats_the_certificate_of_a_relu_network(radius):
    model, network, X, y = trained(rm.TwoLayer(rm.ReLU(), bias=True))
    found = lowest_in_ball(network, X, y, radius, steps=30)
    robust = rm.Model(model.network, model.loss, model.penalty, rm.L2(radius))
    losses = network.worst_case(robust, X, y).losses
    assert (np.maximum(0, 1 - found) <= losses + 1e-9).all()
    assert (found[network.certified(X, y, rm.L2(radius)) == "certified"] > 0).all()


def test_no_attack_beats_the_certificate_of_classes():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (18, 2))
    y = np.arange(18) % 3
    model = rm.Model(rm.TwoLayer(rm.Polynomial(), bias=True), rm.SoftmaxCrossEntropy(), rm.WeightDecay(1e-3))
    network = model.compile(X, y).solve().network()
    radius, chosen = 0.1, network.predict(X)
    certain = network.certified(X, chosen, rm.L2(radius)) == "certified"
    found = np.min(
        [
            np.where(
                chosen == one,
                lowest_in_ball(network.between(one, other), X, np.ones(18), radius, steps=20),
                np.inf,
            )
            for one in range(3)
            for other in range(3)
            if one != other
        ],
        axis=0,
    )
    np.testing.assert_array_equal(certain, found > 0)
