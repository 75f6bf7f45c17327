"""The conic face of a function: its epigraph as rows in cones.

A function f of z in R^m is described with k auxiliary variables t:

    f(z) = min over t of  cost . t + 1/2 sum_i quadratic_i t_i^2   s.t.  b - on_z z - on_t t  in  cone,   for every piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

ZERO, NONNEGATIVE, SECOND_ORDER = "zero", "nonnegative", "second-order"
EXPONENTIAL, SEMIDEFINITE = "exponential", "semidefinite"

#: The order of cones in every conic form. Exponential cones are (x, y, z) with y exp(x / y) <= z, second-order cones head first,
#: semidefinite ones the upper triangle by columns, off-diagonal entries times sqrt 2 (see relumodel.functions.semidefinite).
CONE_KINDS = (ZERO, NONNEGATIVE, SECOND_ORDER, EXPONENTIAL, SEMIDEFINITE)


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows b - on_z z - on_t t in one kind of cone; `sizes` are the sizes of the cones stacked in them.

    `on_z` is a sparse matrix (r, m), or a number c that stands for c times the identity (then r = m).
    """

    kind: str
    sizes: Sequence[int]
    on_z: scipy.sparse.csr_array | float
    on_t: scipy.sparse.csr_array
    b: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ConicRows:
    """The epigraph of one function: k auxiliary variables with their linear and (diagonal) quadratic cost, and rows."""

    cost: NDArray[np.float64]
    quadratic: NDArray[np.float64]
    pieces: tuple[Rows, ...]


def diagonal(values: NDArray[np.float64], column: int = 0, columns: int | None = None, stride: int = 1) -> scipy.sparse.csr_array:
    """A (len(values), columns) matrix with values[i] at (i, column + stride * i)."""
    n = len(values)
    cols = column + stride * np.arange(n, dtype=np.int32)
    return scipy.sparse.csr_array((values, cols, np.arange(n + 1, dtype=np.int32)), shape=(n, columns or n))


def empty(rows: int, columns: int) -> scipy.sparse.csr_array:
    return scipy.sparse.csr_array((rows, columns))


def placed(M: scipy.sparse.csr_array, column: int, columns: int) -> scipy.sparse.csr_array:
    """M with its columns moved to start at `column`."""
    return scipy.sparse.csr_array((M.data, M.indices + column, M.indptr), shape=(M.shape[0], columns))


def shifted(piece: Rows, on_z: int, m: int, on_t: int, k: int) -> Rows:
    """A piece whose inputs and auxiliaries start elsewhere in a larger z (m,) and t (k,)."""
    assert not isinstance(piece.on_z, float)
    return Rows(piece.kind, piece.sizes, placed(piece.on_z.tocsr(), on_z, m), placed(piece.on_t.tocsr(), on_t, k), piece.b)
