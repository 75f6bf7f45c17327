"""The indicator of sum_b |z_b|_2 <= radius over blocks of equal size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy
from array_api_compat import array_namespace

from .base import Function, GroupNorm, block_norms
from .norms import onto_ball
from .rows import NONNEGATIVE, ConicRows, Rows


@dataclass(frozen=True, eq=False)
class BlockBudget(Function):
    """sum_b |z_b|_2 <= radius; its conjugate is radius max_b |q_b|_2."""

    radius: float
    size: int
    indicator: ClassVar[bool] = True

    def value(self, z: Any) -> Any:
        return 0.0

    def spent(self, z: Any) -> float:
        """sum_b |z_b|_2."""
        return float(block_norms(z, self.size).sum())

    def direction(self, z: Any) -> Any:
        """The gradient of `spent`, 0 on blocks of zeros."""
        xp = array_namespace(z)
        norms = block_norms(z, self.size)
        unit = xp.reshape(z, (-1, self.size)) / xp.where(norms > 0, norms, 1.0 + 0 * norms)[:, None]
        return xp.reshape(unit, (-1,))

    def violation(self, z: Any) -> float:
        return max(self.spent(z) - self.radius, 0.0)

    def prox(self, z: Any, t: Any) -> Any:
        xp = array_namespace(z)
        norms = block_norms(z, self.size)
        kept = onto_ball(norms, 1, self.radius) / xp.where(norms > 0, norms, 1.0 + 0 * norms)
        return xp.reshape(xp.reshape(z, (-1, self.size)) * kept[:, None], (-1,))

    def conjugate(self, q: Any) -> Any:
        return self.radius * float(block_norms(q, self.size).max())

    def project_dual(self, q: Any) -> Any:
        return q

    def few_rows(self, m: int) -> ConicRows:
        return self.rows(self.size)

    def rows(self, m: int) -> ConicRows:
        """The cones of the group norm, and a budget for their heads."""
        inner = GroupNorm(1.0, self.size).rows(m)
        k = len(inner.cost)
        total = scipy.sparse.csr_array(np.ones((1, k)))
        budget = Rows(NONNEGATIVE, [1], scipy.sparse.csr_array((1, m)), total, np.full(1, self.radius))
        return ConicRows(np.zeros(k), np.zeros(k), (*inner.pieces, budget))
