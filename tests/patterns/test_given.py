import json
import time

import numpy as np
import pytest

import relumodel as rm
from relumodel.patterns import EnumeratePatterns, GivenPatterns, PatternStrategy


def test_patterns_are_kept_in_their_order_with_repeats():
    X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    D = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 1]])
    found = GivenPatterns(D).find(X, False)
    np.testing.assert_array_equal(found.D, D.astype(bool))
    assert found.D.dtype == bool
    assert not found.complete
    assert found.origin == "4 given"
    product = X @ found.witnesses[:3].T
    np.testing.assert_array_equal(product > 0, D[:, :3] == 1)
    assert (product != 0).all()
    assert np.isnan(found.witnesses[3]).all()  # x_3 = x_1 + x_2 cannot be positive alone


def test_every_enumerated_pattern_gets_a_witness(check):
    X = np.random.default_rng(0).standard_normal((12, 3))
    D = EnumeratePatterns().find(X, False).D
    check(GivenPatterns(D).find(X, False), X)


@pytest.mark.parametrize("array", [[[True], [False]], [[1], [0]], np.array([[1], [0]], dtype=np.uint8)])
def test_booleans_and_zeros_and_ones_are_taken(array):
    assert GivenPatterns(array).array.tolist() == [[True], [False]]


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        ([[1.0], [0.0]], rm.InputTypeError, "booleans, or whole numbers 0 and 1; got dtype float64"),
        ([["a"]], rm.InputTypeError, "got dtype <U1"),
        ([[2], [0]], rm.InputError, "the array holds 2"),
        ([[-1], [1]], rm.InputError, "the array holds -1"),
        ([True, False], rm.InputError, r"at least one row .* and one column .*; got shape \(2,\)"),
        (np.zeros((4, 0), dtype=bool), rm.InputError, r"got shape \(4, 0\)"),
        (np.zeros((0, 4), dtype=bool), rm.InputError, r"got shape \(0, 4\)"),
        ([[1, 0], [1]], rm.InputError, "rows of one length"),
    ],
)
def test_anything_else_is_refused(array, error, message):
    with pytest.raises(error, match=message):
        GivenPatterns(array)


def test_wrong_number_of_samples():
    with pytest.raises(rm.InputError, match="has 2 rows but X has 3 samples"):
        GivenPatterns([[1], [0]]).find(np.ones((3, 1)), False)


def test_declaration():
    strategy = GivenPatterns([[1, 0], [0, 0]])
    assert repr(strategy) == "GivenPatterns(2 x 2 array)"
    written = json.loads(json.dumps(strategy.to_dict()))
    assert GivenPatterns.from_dict(written) == strategy == PatternStrategy.from_dict(written)


def test_large_arrays_are_declared_and_written_quickly():
    array = np.random.default_rng(0).random((2000, 500)) < 0.5
    start = time.perf_counter()
    assert GivenPatterns(GivenPatterns(array).to_dict()["array"]) == GivenPatterns(array)
    assert time.perf_counter() - start < 2
