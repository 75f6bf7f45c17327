"""A linear map of a slice: the first entries of x alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import scipy
from array_api_compat import array_namespace, device

from .base import LinearMap


@dataclass(frozen=True, eq=False)
class OnSlice:
    """x -> K of its first entries, of `total`."""

    one: LinearMap
    total: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.one.shape[0], self.total

    @property
    def nonzeros(self) -> int:
        return int(getattr(self.one, "nonzeros", self.one.shape[0]))

    def forward(self, x: Any) -> Any:
        return self.one.forward(x[: self.one.shape[1]])

    def adjoint(self, z: Any) -> Any:
        first = self.one.adjoint(z)
        xp = array_namespace(first)
        rest = xp.zeros((self.total - self.one.shape[1],), dtype=first.dtype, device=device(first))
        return xp.concat([first, rest])

    def matrix(self) -> scipy.sparse.csr_array:
        out = self.one.matrix().copy()
        out.resize(out.shape[0], self.total)
        return out
