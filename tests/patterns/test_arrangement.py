from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_strategies import matrices
from relumodel.arrangement.arrangement import arrangement, cell_bound, readable
from relumodel.patterns import pattern_bound


@pytest.mark.parametrize(("n", "d"), [(1, 1), (5, 1), (6, 2), (7, 3), (4, 6), (9, 5)])
def test_bound_in_general_position_is_covers_count(n, d):
    X = np.random.default_rng(0).standard_normal((n, d))
    assert pattern_bound(X) == 2 * sum(comb(n - 1, k) for k in range(min(n, d)))


def test_zero_data_has_one_pattern():
    reduced = arrangement(np.zeros((3, 2)))
    assert (reduced.rank, reduced.hyperplanes, reduced.bound) == (0, 0, 1)


def test_repeated_parallel_and_zero_rows_are_not_new_hyperplanes():
    X = np.array([[1.0, 2, 0], [0, 0, 0], [2, 4, 0], [-1, -2, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0]])
    reduced = arrangement(X)
    assert (reduced.rank, reduced.hyperplanes) == (2, 3)
    assert reduced.hyperplane.tolist() == [0, -1, 0, 0, 1, 2, 1]
    assert reduced.along.tolist() == [True, True, True, False, True, True, True]
    assert reduced.bound == 2 * (1 + 2)


def test_rank_of_products_is_seen_through_rounding():
    rng = np.random.default_rng(0)
    for rank in (1, 2, 3):
        X = rng.standard_normal((20, rank)) @ rng.standard_normal((rank, 7)) * 10.0 ** rng.uniform(-8, 8, (20, 1))
        assert arrangement(X).rank == rank


@given(matrices(rows=(1, 8), columns=(1, 4)), st.integers(0, 99))
def test_scales_of_rows_and_columns_do_not_matter(X, seed):
    rng = np.random.default_rng(seed)
    scaled = X * 10.0 ** rng.uniform(-8, 8, (len(X), 1)) * 10.0 ** rng.uniform(-8, 8, X.shape[1])
    plain, other = arrangement(X), arrangement(scaled)
    assert (plain.rank, plain.hyperplanes) == (other.rank, other.hyperplanes)
    np.testing.assert_array_equal(plain.hyperplane, other.hyperplane)
    np.testing.assert_array_equal(plain.along, other.along)


@given(matrices(rows=(1, 8), columns=(1, 4)))
def test_lift_and_signs_agree_with_the_data(X):
    reduced = arrangement(X)
    if reduced.rank == 0:
        return
    points = np.random.default_rng(0).standard_normal((10, reduced.rank))
    signs = points @ reduced.normals.T > 0
    D = reduced.on_samples(signs)
    np.testing.assert_array_equal(D, X @ reduced.lifted(points).T * X.any(axis=1)[:, None] >= 0)
    back, alike = reduced.on_hyperplanes(D)
    assert alike.all()
    np.testing.assert_array_equal(back, signs)


def test_patterns_that_split_parallel_rows_are_told():
    X = np.array([[1.0, 0], [2.0, 0], [0, 1.0]])
    D = np.array([[1, 1], [1, 0], [0, 0]], dtype=bool)
    assert arrangement(X).on_hyperplanes(D)[1].tolist() == [True, False]


def test_large_counts():
    assert cell_bound(3, 5) == 8
    assert cell_bound(10_000, 2) == 20_000
    assert readable(1_234_567) == "1,234,567"
    assert readable(2**40) == "about 1.1e12"
    assert readable(cell_bound(20_000, 10_000)) == "about 2.0e6020"
