"""Symmetric matrices as vectors: the upper triangle by columns, off-diagonal entries times sqrt 2, so that inner products agree."""

from __future__ import annotations

from functools import lru_cache
from math import isqrt, sqrt
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def packed_size(order: int) -> int:
    """The length of svec(Z) for matrices of an order."""
    return order * (order + 1) // 2


def order_of(size: int) -> int:
    """The order of the matrices whose svec has that length; a ValueError where there is none."""
    order = (isqrt(8 * size + 1) - 1) // 2
    if packed_size(order) != size:
        raise ValueError(f"A symmetric matrix has 1, 3, 6, 10, ... entries in its triangle, not {size}.")
    return order


@lru_cache(maxsize=64)
def triangle(order: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Vector]:
    """Row, column and factor (1 or sqrt 2) of every entry of svec."""
    column, row = np.tril_indices(order)
    return row, column, np.where(row == column, 1.0, sqrt(2.0))


def svec(Z: Any) -> Any:
    """Symmetric matrices (..., k, k) as vectors (..., k (k + 1) / 2)."""
    row, column, factor = triangle(Z.shape[-1])
    return Z[..., row, column] * array_namespace(Z).asarray(factor)


def smat(z: Any) -> Any:
    """Vectors (..., k (k + 1) / 2) as symmetric matrices (..., k, k)."""
    at, factor = _square(order_of(z.shape[-1]))
    return z[..., at] * array_namespace(z).asarray(factor)


@lru_cache(maxsize=64)
def _square(order: int) -> tuple[NDArray[np.intp], Vector]:
    """For every entry of the matrix its place in svec, and the factor that undoes svec's."""
    row, column, factor = triangle(order)
    at = np.empty((order, order), dtype=np.intp)
    at[row, column] = at[column, row] = np.arange(len(row))
    return at, 1.0 / factor[at]
