import numpy as np
from hypothesis import given

from data_strategies import matrices
from relumodel.arrangement.witness import find_witnesses, is_strict
from relumodel.patterns import EnumeratePatterns


def test_strict_means_beyond_rounding():
    X = np.array([[1.0, 1.0], [0.0, 0.0]])
    vectors = np.array([[1.0, 1.0], [1.0, -1.0], [1.0, -1.0 + 5e-16], [1.0, -1.0 + 1e-12]])
    D = X @ vectors.T >= 0
    assert is_strict(X, vectors, D).tolist() == [True, False, False, True]
    assert is_strict(X, vectors, ~D).tolist() == [False] * 4
    assert is_strict(np.zeros((2, 2)), vectors, D).all()
    assert is_strict(X, vectors[:0], D[:, :0]).shape == (0,)


def test_strictness_does_not_depend_on_units():
    X, a = np.array([[1e8, 1e-8]]), np.array([[1e-8, -0.5e8]])
    assert is_strict(X, a, np.array([[True]])).all()
    assert is_strict(X * 1e150, a, np.array([[True]])).all()


@given(matrices(rows=(1, 7), columns=(1, 3)))
def test_a_witness_is_found_exactly_when_the_pattern_exists(X):
    codes = np.arange(2 ** len(X))
    D = (codes >> np.arange(len(X))[:, None] & 1).astype(bool)
    found = find_witnesses(X, D)
    exists = ~np.isnan(found).any(axis=1)
    assert is_strict(X, found[exists], D[:, exists]).all()
    rows = X.any(axis=1)
    listed = EnumeratePatterns().find(X, False).D[rows]
    np.testing.assert_array_equal(np.unique(D[rows][:, exists].T, axis=0), np.unique(listed.T, axis=0))
    np.testing.assert_allclose(np.linalg.norm(found[exists], axis=1), 1)


def test_patterns_of_many_samples_are_found_with_a_wide_margin():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((150, 6)) * 10.0 ** rng.uniform(-8, 8, (150, 1))
    D = X @ rng.standard_normal((6, 5)) >= 0
    found = find_witnesses(X, D)
    np.testing.assert_array_equal(X @ found.T >= 0, D)
    assert is_strict(X, found, D).all()
