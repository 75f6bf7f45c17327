import time
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

import relumodel as rm
from data_strategies import matrices
from relumodel.patterns import EnumeratePatterns, pattern_bound


def patterns_by_linear_programs(X):
    """All patterns of X, every sign vector decided by a linear program of its own."""
    out = set()
    n, d = X.shape
    rows = X.any(axis=1)
    for signs in product([True, False], repeat=int(rows.sum())):
        T = np.where(signs, 1.0, -1.0)[:, None]
        lp = linprog(np.zeros(d), A_ub=-T * X[rows], b_ub=-np.ones(len(T)), bounds=[(None, None)] * d) if len(T) else None
        if lp is None or lp.status == 0:
            pattern = np.ones(n, dtype=bool)
            pattern[rows] = signs
            out.add(tuple(pattern))
    return out


@settings(max_examples=25)
@given(matrices(rows=(1, 6), columns=(1, 4)))
def test_all_patterns_are_listed_and_no_others(check, X):
    found = EnumeratePatterns().find(X, False)
    check(found, X)
    assert found.complete
    assert {tuple(column) for column in found.D.T} == patterns_by_linear_programs(X)


@pytest.mark.parametrize(("n", "d"), [(20, 1), (50, 2), (40, 3), (20, 4), (14, 5)])
def test_counts_in_general_position(check, n, d):
    X = np.random.default_rng(d).standard_normal((n, d))
    found = EnumeratePatterns().find(X, False)
    check(found, X)
    assert found.count == pattern_bound(X) == 2 * sum(comb(n - 1, k) if d > 1 else k == 0 for k in range(d))


def test_a_bias_column_is_a_column_like_others(check):
    x = np.array([[0.0], [1.0], [2.0]])
    X = np.hstack([x, np.ones((3, 1))])
    found = EnumeratePatterns().find(X, True)
    check(found, X)
    assert [tuple(p) for p in found.D.T.astype(int)] == [(0, 0, 0), (0, 0, 1), (0, 1, 1), (1, 0, 0), (1, 1, 0), (1, 1, 1)]


@pytest.mark.parametrize(
    ("X", "wanted"),
    [
        ([[0.0, 0.0], [0.0, 0.0]], {(1, 1)}),
        ([[2.0]], {(1,), (0,)}),
        ([[2.0], [-1.0], [0.0]], {(1, 0, 1), (0, 1, 1)}),
        ([[1.0, 1.0], [2.0, 2.0], [-1.0, -1.0]], {(1, 1, 0), (0, 0, 1)}),
        ([[1.0, 0.0], [0.0, 1.0]], {(0, 0), (0, 1), (1, 0), (1, 1)}),
    ],
)
def test_smallest_cases(check, X, wanted):
    found = EnumeratePatterns().find(np.array(X), False)
    check(found, np.array(X))
    assert {tuple(p) for p in found.D.T.astype(int)} == wanted


@given(matrices(rows=(1, 8), columns=(1, 4)), st.integers(0, 99))
def test_scaling_rows_changes_nothing(X, seed):
    scales = 10.0 ** np.random.default_rng(seed).uniform(-8, 8, (len(X), 1))
    np.testing.assert_array_equal(EnumeratePatterns().find(X, False).D, EnumeratePatterns().find(X * scales, False).D)


def test_order_is_lexicographic_and_reproducible():
    X = np.random.default_rng(0).standard_normal((70, 2))
    first, second = EnumeratePatterns().find(X, False), EnumeratePatterns().find(X, False)
    assert first.D.T.tolist() == sorted(first.D.T.tolist())
    np.testing.assert_array_equal(first.D, second.D)
    np.testing.assert_array_equal(first.witnesses, second.witnesses)


def test_too_many_are_refused_before_any_work():
    X = np.random.default_rng(0).standard_normal((500, 6))
    start = time.perf_counter()
    with pytest.raises(rm.InputError, match=r"500 distinct hyperplanes.*limit=100,000.*EnumeratePatterns\(limit=.*SamplePatterns"):
        EnumeratePatterns().find(X, False)
    assert time.perf_counter() - start < 1
    with pytest.raises(
        rm.InputError, match=r"up to 38 activation patterns \(rank 2, 19 distinct hyperplanes\), more than limit=37"
    ):
        EnumeratePatterns(limit=37).find(X[:19, :2], False)
    assert EnumeratePatterns(limit=38).find(X[:19, :2], False).count == 38


def test_two_hundred_samples_of_rank_three():
    X = np.random.default_rng(0).standard_normal((200, 3))
    assert EnumeratePatterns().find(X, False).count == 2 * (1 + 199 + comb(199, 2))


def test_nearly_equal_rows(check):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((10, 3))
    shifted = np.vstack([X, X[:3] + 1e-6 * rng.standard_normal((3, 3))])
    found = EnumeratePatterns().find(shifted, False)
    check(found, shifted)
    assert found.count == pattern_bound(shifted) == 2 * (1 + 12 + comb(12, 2))
    rounded = np.vstack([X, X[:3] * (1 + 1e-15)])
    assert EnumeratePatterns().find(rounded, False).count == 2 * (1 + 9 + comb(9, 2))


def test_declaration():
    strategy = EnumeratePatterns(limit=np.int64(7))
    assert strategy == EnumeratePatterns(7)
    assert strategy != EnumeratePatterns()
    assert strategy.to_dict() == {"type": "EnumeratePatterns", "limit": 7}
    assert EnumeratePatterns.from_dict(strategy.to_dict()) == strategy
    assert repr(EnumeratePatterns()) == "EnumeratePatterns(limit=100000)"
    with pytest.raises(rm.InputError, match="limit must be a whole number >= 1; got 0"):
        EnumeratePatterns(limit=0)
    with pytest.raises(rm.InputTypeError, match="limit must be a whole number"):
        EnumeratePatterns(limit=1e5)
