"""Linear maps that robust terms read: the weights that act on each sample, and maps side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray
from scipy import sparse

from .maps import LinearMap


@dataclass(frozen=True, eq=False)
class SampleWeights:
    """The weights q_k that act on each sample, with the prediction they give: out = (z (n,), Q (n, d)) flattened.

        Q[k] = sum over c, i of signs[c] mask[i, k] U[c, i],      z_k = x_k . Q[k]

    Variables as in MaskedProduct: U of shape (C, P, d).  X : (n, d).  mask : (P, n).
    """

    X: NDArray[np.float64]
    mask: NDArray[Any]
    signs: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, int]:
        n, d = self.X.shape
        return n + n * d, len(self.signs) * self.mask.shape[0] * d

    def forward(self, x: Any) -> Any:
        xp = array_namespace(x)
        U = xp.reshape(x, (len(self.signs), self.mask.shape[0], self.X.shape[1]))
        total = sum(sign * U[c, :, :] for c, sign in enumerate(self.signs))
        Q = self.mask.T @ total
        return xp.concat([xp.sum(self.X * Q, axis=1), xp.reshape(Q, (-1,))])

    def adjoint(self, z: Any) -> Any:
        xp = array_namespace(z)
        n, d = self.X.shape
        R = xp.reshape(z[n:], (n, d)) + z[:n, None] * self.X
        G = self.mask @ R
        return xp.reshape(xp.stack([sign * G for sign in self.signs]), (-1,))

    def matrix(self) -> sparse.csr_array:
        n, d = self.X.shape
        signed = sparse.csr_array(np.concatenate([sign * self.mask.T for sign in self.signs], axis=1).astype(np.float64))
        Q = _kron_identity(signed, d)
        weights = sparse.csr_array((self.X.reshape(-1), np.arange(n * d), np.arange(n + 1) * d), shape=(n, n * d))
        return sparse.vstack([weights @ Q, Q], format="csr")


def _kron_identity(M: sparse.csr_array, d: int) -> sparse.csr_array:
    """M (x) I_d, written down directly: row (k, j) has the entries of row k of M at columns (., j)."""
    n, m = M.shape
    counts = np.diff(M.indptr)
    starts = np.concatenate([[0], np.cumsum(np.repeat(counts, d))])
    # the entries of row k of M, d times over: positions into M's arrays
    at = np.arange(starts[-1]) - np.repeat(starts[:-1], np.repeat(counts, d)) + np.repeat(M.indptr[:-1], counts * d)
    column = M.indices[at] * d + np.repeat(np.tile(np.arange(d), n), np.repeat(counts, d))
    return sparse.csr_array((M.data[at], column, starts), shape=(n * d, m * d))


@dataclass(frozen=True, eq=False)
class Stacked:
    """Maps on the same variables, their outputs one after the other."""

    maps: tuple[LinearMap, ...]

    @property
    def shape(self) -> tuple[int, int]:
        return sum(K.shape[0] for K in self.maps), self.maps[0].shape[1]

    def forward(self, x: Any) -> Any:
        return array_namespace(x).concat([K.forward(x) for K in self.maps])

    def adjoint(self, z: Any) -> Any:
        out: Any = 0.0
        start = 0
        for K in self.maps:
            out = out + K.adjoint(z[start : start + K.shape[0]])
            start += K.shape[0]
        return out

    def matrix(self) -> sparse.csr_array:
        return sparse.vstack([K.matrix() for K in self.maps], format="csr")
