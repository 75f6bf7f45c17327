import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relumodel as rm
from data_strategies import matrices
from relumodel.patterns.sub_networks import key


def try_sampling(X, width, seed, count=3):
    """As many as there are, up to `count`; degenerate data have few, or none."""
    for smaller in range(count, 0, -1):
        try:
            return rm.SamplePatterns(smaller, seed=seed).find_sub_networks(X, False, width)
        except rm.InputError:
            continue
    return None


@pytest.mark.parametrize(("n", "d", "width"), [(1, 1, 1), (4, 1, 3), (10, 2, 2), (25, 6, 5)])
def test_each_is_produced_by_its_weights(n, d, width):
    X = np.random.default_rng(n).standard_normal((n, d))
    found = try_sampling(X, width, seed=3)
    hidden = X @ found.directions.transpose(0, 2, 1)  # (G, n, m)
    np.testing.assert_array_equal(found.inner, (hidden >= 0).transpose(0, 2, 1))
    value = np.einsum("gnm,gm->gn", np.maximum(hidden, 0), found.weights)
    np.testing.assert_array_equal(found.outer, value >= 0)
    assert (value > 0).any(axis=1).all()
    np.testing.assert_allclose(np.linalg.norm(found.directions, axis=2), 1)


def test_they_differ_even_when_their_neurons_are_reordered():
    X = np.random.default_rng(0).standard_normal((4, 2))
    found = rm.SamplePatterns(40, seed=0).find_sub_networks(X, False, 2)
    for a, b in itertools.combinations(range(40), 2):
        for order in ([0, 1], [1, 0]):
            same = (found.inner[a] == found.inner[b][order]).all() and (found.signs[a] == found.signs[b][order]).all()
            assert not (same and (found.outer[a] == found.outer[b]).all())


@given(st.integers(0, 99))
def test_a_key_forgets_the_order_of_neurons_and_nothing_else(seed):
    rng = np.random.default_rng(seed)
    inner, v, outer = rng.random((3, 5)) < 0.5, rng.standard_normal(3), rng.random(5) < 0.5
    order = rng.permutation(3)
    assert key(inner, v, outer) == key(inner[order], v[order], outer)
    changed = inner.copy()
    changed[0, 0] ^= True
    assert key(inner, v, outer) != key(inner, v, ~outer)
    assert key(inner, v, outer) != key(inner, np.abs(v) * [-1, 1, 1] * np.sign(v), outer) or v[0] == 0
    assert key(changed, v, outer) != key(inner, v, outer)


def test_more_of_one_seed_begin_with_fewer():
    X = np.random.default_rng(0).standard_normal((8, 3))
    few, many = (rm.SamplePatterns(K, seed=5).find_sub_networks(X, False, 3) for K in (4, 9))
    np.testing.assert_array_equal(many.directions[:4], few.directions)
    np.testing.assert_array_equal(many.weights[:4], few.weights)


@given(matrices(), st.integers(1, 2))
def test_degenerate_data_give_strict_witnesses_or_an_error(X, width):
    found = try_sampling(X, width, seed=0, count=2)
    if found is None:
        return
    rows = X.any(axis=1)
    blocks = found.witnesses @ X[rows].T  # (G, m, n)
    side = np.where(found.inner, 1, -1)[:, :, rows]
    assert (blocks * side > 0).all()
    second = (found.inner[:, :, rows] * found.signs[:, :, None] * blocks).sum(axis=1) * np.where(found.outer, 1, -1)[:, rows]
    assert (second[found.used[:, rows]] > 0).all()


def test_asking_for_more_than_there_are():
    with pytest.raises(
        rm.InputError, match=r"SamplePatterns found 1 sub-networks with distinct patterns in .* draws, not the 3 asked"
    ):
        rm.SamplePatterns(3).find_sub_networks(np.ones((1, 1)), False, 1)


def test_other_sources_say_that_they_have_none():
    with pytest.raises(rm.InputError, match=r"GivenPatterns does not give patterns of three-layer sub-networks; use rm.Sample"):
        rm.GivenPatterns(np.ones((2, 1), bool)).find_sub_networks(np.ones((2, 1)), False, 1)
