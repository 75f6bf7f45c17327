"""Linear maps with three faces: forward, adjoint, sparse matrix.

Forward and adjoint are written against the array-API operators of their input, so NumPy and torch arrays share them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy
from array_api_compat import array_namespace, device
from numpy.typing import NDArray


class LinearMap(Protocol):
    """A linear map from the N program variables to R^m."""

    @property
    def shape(self) -> tuple[int, int]:
        """(m, N)."""
        ...

    # optionally `nonzeros`, about how many entries `matrix` has: what is known before there is memory for it

    def forward(self, x: Any) -> Any:
        """K x, shape (m,)."""
        ...

    def adjoint(self, z: Any) -> Any:
        """K' z, shape (N,)."""
        ...

    def matrix(self) -> scipy.sparse.csr_array:
        """K itself, explicit zeros left out."""
        ...


@dataclass(frozen=True, eq=False)
class Identity:
    """x -> x on N variables."""

    size: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.size, self.size

    @property
    def nonzeros(self) -> int:
        return self.size

    def forward(self, x: Any) -> Any:
        return x

    def adjoint(self, z: Any) -> Any:
        return z

    def matrix(self) -> scipy.sparse.csr_array:
        return scipy.sparse.eye_array(self.size, format="csr")


@dataclass(frozen=True, eq=False)
class Slice:
    """x -> its first `size` entries, of `total`."""

    size: int
    total: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.size, self.total

    @property
    def nonzeros(self) -> int:
        return self.size

    def forward(self, x: Any) -> Any:
        return x[: self.size]

    def adjoint(self, z: Any) -> Any:
        xp = array_namespace(z)
        return xp.concat([z, xp.zeros((self.total - self.size,), dtype=z.dtype, device=device(z))])

    def matrix(self) -> scipy.sparse.csr_array:
        return scipy.sparse.eye_array(self.size, self.total, format="csr")


@dataclass(frozen=True, eq=False)
class Dense:
    """x -> F x for a dense F (m, N), such as the features of n samples."""

    F: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int]:
        return self.F.shape[0], self.F.shape[1]

    @property
    def nonzeros(self) -> int:
        return self.F.size

    def forward(self, x: Any) -> Any:
        return self.F @ x

    def adjoint(self, z: Any) -> Any:
        return self.F.T @ z

    def matrix(self) -> scipy.sparse.csr_array:
        return scipy.sparse.csr_array(self.F)


@dataclass(frozen=True, eq=False)
class MaskedProduct:
    """The one primitive map of two-layer networks: all blocks times X in one matrix product, masked per pattern.

    Variables: blocks U of shape (C, P, d), C copies (v, then w) of one block a pattern, flattened.
    X : (n, d).  mask : (P, n), row i belongs to pattern i.  signs : (C,), the sign of each copy.

    summed:      out[k]       = sum over c, i of signs[c] mask[i, k] (X U[c, i])[k]      shape (n,),     the prediction
    otherwise:   out[c, i, k] = signs[c] mask[i, k] (X U[c, i])[k]                       shape (C P n,), the sign cones
    """

    X: NDArray[np.float64]
    mask: NDArray[Any]
    signs: tuple[float, ...]
    summed: bool

    @property
    def blocks(self) -> tuple[int, int, int]:
        """(C, P, d), the shape of U."""
        return len(self.signs), self.mask.shape[0], self.X.shape[1]

    @property
    def shape(self) -> tuple[int, int]:
        C, P, d = self.blocks
        n = self.X.shape[0]
        return (n if self.summed else C * P * n), C * P * d

    @property
    def nonzeros(self) -> int:
        return len(self.signs) * self.X.shape[1] * (np.count_nonzero(self.mask) if self.summed else self.mask.size)

    def forward(self, x: Any) -> Any:
        xp = array_namespace(x)
        C, P, d = self.blocks
        U = xp.reshape(x, (C, P, d))
        if self.summed:
            total = sum(sign * U[c, :, :] for c, sign in enumerate(self.signs))
            return xp.sum((total @ self.X.T) * self.mask, axis=0)
        scaled = xp.stack([sign * U[c, :, :] for c, sign in enumerate(self.signs)])
        S = xp.reshape(xp.reshape(scaled, (C * P, d)) @ self.X.T, (C, P, self.X.shape[0]))
        return xp.reshape(S * self.mask, (-1,))

    def adjoint(self, z: Any) -> Any:
        xp = array_namespace(z)
        C, P, d = self.blocks
        if self.summed:
            G = (z * self.mask) @ self.X
            return xp.reshape(xp.stack([sign * G for sign in self.signs]), (-1,))
        masked = xp.reshape(z, (C, P, self.X.shape[0])) * self.mask
        G = xp.reshape(masked, (C * P, self.X.shape[0])) @ self.X
        G = xp.reshape(G, (C, P, d))
        return xp.reshape(xp.stack([sign * G[c, :, :] for c, sign in enumerate(self.signs)]), (-1,))

    def matrix(self) -> scipy.sparse.csr_array:
        return self._summed_matrix() if self.summed else self._block_matrix()

    def _summed_matrix(self) -> scipy.sparse.csr_array:
        """Row k holds the masked copies of x_k side by side: nnz about n C P d / 2."""
        C, P, d = self.blocks
        n = self.X.shape[0]
        half = (self.mask.T[:, :, None] * self.X[:, None, :]).reshape(n, P * d)
        parts = scipy.sparse.csr_array(half)
        if C == 1 and self.signs[0] == 1:
            return parts
        return scipy.sparse.hstack([parts if sign == 1 else parts * sign for sign in self.signs], format="csr")

    def _block_matrix(self) -> scipy.sparse.csr_array:
        """Block diagonal, (n, d) a block; the structure is written down directly, in one pass."""
        C, P, d = self.blocks
        n = self.X.shape[0]
        data = np.empty((C, P, n, d))
        np.multiply(self.mask[:, :, None], self.X, out=data[0])
        for c in range(1, C):
            np.multiply(data[0], self.signs[c], out=data[c])
        if self.signs[0] != 1:
            data[0] *= self.signs[0]
        kind = np.int32 if data.size < 2**31 else np.int64
        columns: NDArray[Any] = np.empty((C * P, n, d), dtype=kind)
        np.add((d * np.arange(C * P, dtype=kind))[:, None, None], np.arange(d, dtype=kind), out=columns)
        starts = np.arange(C * P * n + 1, dtype=kind) * d
        out = scipy.sparse.csr_array((data.reshape(-1), columns.reshape(-1), starts), shape=self.shape)
        if not self.X.all() or not self.mask.all():
            out.eliminate_zeros()
        return out


@dataclass(frozen=True, eq=False)
class SegmentSums:
    """The rows of a MaskedProduct summed over every `size` consecutive patterns: the second layer of sub-networks of `size` neurons.

    out[r] = sum over j of (inner x)[c, g size + j, k],  with (c, g, k) the r-th of the `rows` kept, in C order.
    """

    inner: MaskedProduct
    size: int
    rows: NDArray[np.intp]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows), self.inner.shape[1]

    @property
    def nonzeros(self) -> int:
        return len(self.rows) * self.size * self.inner.X.shape[1]

    def forward(self, x: Any) -> Any:
        xp = array_namespace(x)
        parts = xp.reshape(self.inner.forward(x), (-1, self.size, self.inner.X.shape[0]))
        return xp.reshape(xp.sum(parts, axis=1), (-1,))[self.rows]

    def adjoint(self, z: Any) -> Any:
        xp = array_namespace(z)
        n = self.inner.X.shape[0]
        full = xp.zeros((self.inner.shape[0] // self.size,), dtype=z.dtype)
        full[self.rows] = z
        spread = xp.reshape(full, (-1, 1, n)) + xp.zeros((1, self.size, 1), dtype=z.dtype)
        return self.inner.adjoint(xp.reshape(spread, (-1,)))

    def matrix(self) -> scipy.sparse.csr_array:
        n, m = self.inner.X.shape[0], self.inner.shape[0]
        segment, k = np.divmod(self.rows, n)
        columns = (segment * self.size * n + k)[:, None] + n * np.arange(self.size)
        ones = np.ones(columns.size)
        starts = np.arange(len(self.rows) + 1) * self.size
        summed = scipy.sparse.csr_array((ones, columns.ravel(), starts), shape=(len(self.rows), m))
        out = scipy.sparse.csr_array(summed @ self.inner.matrix())
        out.sum_duplicates()
        return out


@dataclass(frozen=True, eq=False)
class Kron:
    """I_c (x) K: the same map on each of c equal parts of x, one an output of the network. Images one after the other."""

    one: LinearMap
    times: int

    @property
    def shape(self) -> tuple[int, int]:
        m, N = self.one.shape
        return self.times * m, self.times * N

    @property
    def nonzeros(self) -> int:
        return self.times * int(getattr(self.one, "nonzeros", self.one.shape[0]))

    def forward(self, x: Any) -> Any:
        return self._each(self.one.forward, x)

    def adjoint(self, z: Any) -> Any:
        return self._each(self.one.adjoint, z)

    def matrix(self) -> scipy.sparse.csr_array:
        return scipy.sparse.csr_array(scipy.sparse.kron(scipy.sparse.eye_array(self.times), self.one.matrix(), format="csr"))

    def _each(self, apply: Callable[[Any], Any], x: Any) -> Any:
        xp = array_namespace(x)
        parts = xp.reshape(x, (self.times, -1))
        return xp.concat([apply(parts[r, :]) for r in range(self.times)])
