"""Symmetric matrices as vectors, and the cone of positive semidefinite ones.

svec(Z) lists the upper triangle of Z by columns, off-diagonal entries times sqrt 2:

    Z00, sqrt2 Z01, Z11, sqrt2 Z02, sqrt2 Z12, Z22, ...

so that svec(Y).svec(Z) = <Y, Z> and distances are those of matrices. Entry (i, j), i <= j, is at j (j + 1) / 2 + i: the place does not
depend on the order of the matrix. This is Clarabel's order; SCS wants the lower triangle by columns with the same factors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ..maps.symmetric import packed_size, smat, svec
from .base import Function
from .rows import SEMIDEFINITE, ConicRows, Rows, empty

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Semidefinite(Function):
    """The indicator of matrices that are all positive semidefinite, on their svecs one after the other; one order for all."""

    order: int
    indicator: ClassVar[bool] = True
    cone: ClassVar[bool] = True

    def matrices(self, z: Any) -> Any:
        """(B, order, order) out of the vector z."""
        return smat(array_namespace(z).reshape(z, (-1, packed_size(self.order))))

    def value(self, z: Any) -> Any:
        return 0.0

    def violation(self, z: Any) -> float:
        """Minus the lowest eigenvalue of all; what is less than the rounding of eigenvalues counts as none."""
        values = array_namespace(z).linalg.eigvalsh(self.matrices(z))
        rounding = 2 * np.finfo(float).eps * self.order * abs(values).max()
        lowest = -float(values.min())
        return lowest if lowest > rounding else 0.0

    def prox(self, z: Any, t: Any) -> Any:
        """Projection: negative eigenvalues become 0, all matrices at once."""
        xp = array_namespace(z)
        values, vectors = xp.linalg.eigh(self.matrices(z))
        values = 0.5 * (values + abs(values))
        return xp.reshape(svec((vectors * values[:, None, :]) @ xp.matrix_transpose(vectors)), (-1,))

    def conjugate(self, q: Any) -> Any:
        return 0.0

    def project_dual(self, q: Any) -> Any:
        """The nearest negative semidefinite matrices."""
        return -self.prox(-q, 1.0)

    def few_rows(self, m: int) -> ConicRows:
        return self.rows(packed_size(self.order))

    def rows(self, m: int) -> ConicRows:
        blocks = m // packed_size(self.order)
        piece = Rows(SEMIDEFINITE, [packed_size(self.order)] * blocks, -1.0, empty(m, 0), np.zeros(m))
        return ConicRows(np.zeros(0), np.zeros(0), (piece,))
