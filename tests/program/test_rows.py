import numpy as np

from relumodel.functions.rows import diagonal, empty


def test_diagonal():
    np.testing.assert_array_equal(diagonal(np.array([2.0, 3.0])).toarray(), [[2, 0], [0, 3]])


def test_diagonal_placed():
    placed = diagonal(np.array([2.0, 3.0]), column=1, columns=5, stride=2)
    np.testing.assert_array_equal(placed.toarray(), [[0, 2, 0, 0, 0], [0, 0, 0, 3, 0]])


def test_empty():
    out = empty(2, 0)
    assert out.shape == (2, 0)
    assert empty(2, 3).nnz == 0
