"""A sparse matrix on the values of a network at points, as a linear map of the program's variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from .base import LinearMap


@dataclass(frozen=True, eq=False)
class Composed:
    """x -> A (K x), A sparse; NumPy arrays only."""

    A: scipy.sparse.csr_array
    K: LinearMap

    @property
    def shape(self) -> tuple[int, int]:
        return self.A.shape[0], self.K.shape[1]

    @property
    def nonzeros(self) -> int:
        """At most: every row of A reads whole rows of K."""
        per_row = int(getattr(self.K, "nonzeros", self.K.shape[0])) / max(self.K.shape[0], 1)
        return int(min(self.A.nnz * per_row, float(np.prod(self.shape))))

    def forward(self, x: Any) -> Any:
        return self.A @ self.K.forward(x)

    def adjoint(self, z: Any) -> Any:
        return self.K.adjoint(self.A.T @ z)

    def matrix(self) -> scipy.sparse.csr_array:
        return scipy.sparse.csr_array(self.A @ self.K.matrix())
