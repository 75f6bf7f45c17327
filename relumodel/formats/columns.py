"""A sparse matrix in pieces of columns, for files that are written as they are made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

#: Coefficients a piece: a few megabytes as Python numbers.
PIECE = 1 << 16


def coalesced(A: scipy.sparse.csc_array) -> scipy.sparse.csc_array:
    """A with its duplicates summed and its explicit zeros left out: itself where it has neither, else a copy."""
    if A.has_canonical_format and (len(A.data) == A.nnz and A.data.all()):
        return A
    out = A.copy()
    out.sum_duplicates()
    out.eliminate_zeros()
    return out


def pieces(A: scipy.sparse.csc_array) -> Iterator[tuple[slice, NDArray[Any], NDArray[Any], NDArray[np.float64]]]:
    """(columns, and of their coefficients: rows, columns, values), about PIECE coefficients at a time, every column in one piece."""
    start, N = 0, A.shape[1]
    while start < N:
        stop = int(np.searchsorted(A.indptr, A.indptr[start] + PIECE, side="right")) - 1
        stop = min(max(stop, start + 1), start + PIECE, N)
        at = slice(A.indptr[start], A.indptr[stop])
        cols = np.repeat(np.arange(start, stop), np.diff(A.indptr[start : stop + 1]))
        yield slice(start, stop), A.indices[at], cols, A.data[at]
        start = stop
