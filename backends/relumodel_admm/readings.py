"""What the rows of a program's functions read of the values at its points: the values themselves, or a sparse matrix of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Readings:
    """r = A p. matrix : (m, n), None where A is the identity; values then carry the signs of the rows already."""

    matrix: scipy.sparse.csr_array | None = None

    def read(self, p: Vector) -> Vector:
        """(m,) the readings of values (n,)."""
        return p if self.matrix is None else self.matrix @ p

    def back(self, q: Vector) -> Vector:
        """(n,) the adjoint at q (m,)."""
        return q if self.matrix is None else self.matrix.T @ q

    @property
    def single(self) -> bool:
        """Whether every reading is of one value."""
        return self.matrix is None or bool((np.diff(self.matrix.indptr) <= 1).all())

    def squared_back(self, w: Vector) -> Vector:
        """(n,) the diagonal of A' diag(w) A."""
        return w if self.matrix is None else self.matrix.multiply(self.matrix).T @ w

    def count(self, n: int) -> int:
        """m, at n points."""
        return n if self.matrix is None else self.matrix.shape[0]

    def products(self, roots: Any, masks: Any, XT: Any) -> Any:
        """(k, d, m) the matrices  R_b X' diag(mask_b) A'  for roots (k, d, d) and masks (k, n), in their precision."""
        if self.matrix is None:
            out = np.matmul(roots, XT)
            out *= masks[:, None, :]
            return out
        (k, n), d = masks.shape, len(XT)
        masked = (masks.T[:, :, None] * XT.T[:, None, :]).reshape(n, k * d)
        read = self.matrix.astype(masks.dtype) @ masked
        return np.matmul(roots, read.reshape(-1, k, d).transpose(1, 2, 0))
