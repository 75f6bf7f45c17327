"""The units of steps: a basis and a size of the data in which one rate serves all problems."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..functions.penalties import Penalty, known_norm

Matrix = NDArray[np.float64]

#: Columns up to which the whole Gram matrix is summed and factored.
LARGEST = 2048


@dataclass(frozen=True, eq=False)
class Units:
    """basis : (d, d) orthonormal, the principal axes of the data, in which blocks are stepped; None for their own coordinates.
    values : (d,) the mean squares along them.
    size : the factors of a neuron whose values are as large as the targets.  share : |x|_2 / |x|_1 of a typical sample: a step of
    equal length in all coordinates moves a neuron's value by that much less than it could."""

    basis: Matrix | None
    values: Matrix
    size: float
    share: float


def units_of(gram: Matrix, penalty: Penalty, spread: float, some: Matrix) -> Units:
    """The units of data. gram : (d, d) mean of x x', or its diagonal (d,).  spread : the size of the targets.  some : (n, d) samples."""
    diagonal = gram if gram.ndim == 1 else np.diag(gram)
    length = float(np.sqrt(diagonal.sum())) or 1.0
    basis, values = None, diagonal
    if gram.ndim == 2 and known_norm(penalty, "Training by batches") == "l2":  # a 1-norm knows its coordinates
        values, basis = np.linalg.eigh(gram)
        values, basis = np.maximum(values[::-1], 0), np.ascontiguousarray(basis[:, ::-1])
        some = some @ basis
    entries = float(np.abs(some).sum(axis=1).mean()) or 1.0
    return Units(basis, values, float(np.sqrt(spread / length)), length / entries)
