"""Rows of unit length, and matrices whose rows and columns have one scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def unit_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows (P, d) scaled to unit 2-norm, without overflow or underflow on the way; zero rows stay zero."""
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0.0)
    rows = rows / np.where(largest > 0, largest, 1.0)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1.0)


def column_scales(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """A positive scale for each column of X (n, d), such that X with the columns divided by them, and its rows then
    scaled, has entries of one magnitude: a least-squares fit of log |x_kj| by a term of the row and a term of the
    column, over the non-zero entries (Curtis & Reid 1972)."""
    size = np.abs(X)
    # what is tiny for its row as well as for its column is the rounding error of a zero
    seen = size > 1e-12 * np.minimum(size.max(axis=1, keepdims=True), size.max(axis=0))
    logs = np.log(size, where=seen, out=np.zeros_like(size))
    weight = seen.astype(np.float64)
    in_row, in_column = np.maximum(weight.sum(axis=1), 1), np.maximum(weight.sum(axis=0), 1)
    row_sum, column_sum = logs.sum(axis=1), logs.sum(axis=0)
    column = np.zeros(X.shape[1])
    for _ in range(10):  # alternating least squares; one round is enough when there are no zeros
        row = (row_sum - weight @ column) / in_row
        column = (column_sum - row @ weight) / in_column
    return np.exp(column)
