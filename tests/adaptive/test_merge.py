"""Merging and thinning of nearly parallel neurons."""

import numpy as np

from relumodel.fit.merge import merged, spread
from relumodel.robustness.neurons import Neurons


def test_parallel_neurons_of_one_sign_become_one_of_the_same_function():
    rng = np.random.default_rng(0)
    b, c = rng.standard_normal((2, 3))
    neurons = Neurons(np.array([b, 2 * b, 3 * b, c, np.zeros(3)]), np.array([1.0, 1.0, -1.0, 1.0, 1.0]), 0.1)
    found = merged(neurons, 0.999)
    X = rng.standard_normal((20, 3))
    np.testing.assert_allclose(found.output(X), neurons.output(X), atol=1e-12)
    assert len(found.signs) == 4  # b and 2 b are one; the other sign, c and zero stay
    np.testing.assert_allclose(sorted(np.linalg.norm(found.blocks, axis=1))[-1], 3 * np.linalg.norm(b))


def test_merging_never_costs_more():
    """The norm of a sum is at most the sum of the norms."""
    rng = np.random.default_rng(1)
    neurons = Neurons(rng.standard_normal((30, 2)), np.where(np.arange(30) % 2 == 0, 1.0, -1.0), 0.0)
    found = merged(neurons, 0.9)
    assert len(found.signs) < 30
    assert np.linalg.norm(found.blocks, axis=1).sum() <= np.linalg.norm(neurons.blocks, axis=1).sum() + 1e-12


def test_spread_keeps_the_first_of_those_that_are_near():
    directions = np.array([[1.0, 0.0], [1.0, 0.001], [0.0, 1.0], [-1.0, 0.0]])
    np.testing.assert_array_equal(spread(directions, 0.998, 10), directions[[0, 2, 3]])
    np.testing.assert_array_equal(spread(directions, 0.998, 2), directions[[0, 2]])
