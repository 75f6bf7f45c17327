"""Linear maps that robust terms read: the weights that act on each sample, and maps side by side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy
from array_api_compat import array_namespace
from numpy.typing import NDArray

from .base import LinearMap, MaskedProduct


@dataclass(frozen=True, eq=False)
class SampleWeights:
    """The weights that act on each sample, with the prediction they give: out = (z (n,), Q (groups, d)) flattened.

        q[k] = sum over c, i of signs[c] mask[i, k] U[c, i],      z_k = x_k . q[k]

    Samples whose column of the mask is the same share their q: Q holds one row a group. With few patterns there are few
    groups, and everything that costs per row of Q becomes cheap.
    Variables as in MaskedProduct: U of shape (C, P, d).  X : (n, d).  mask : (P, n).
    """

    X: NDArray[np.float64]
    mask: NDArray[Any]
    signs: tuple[float, ...]

    @cached_property
    def grouping(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The group of every sample (n,), and one sample of every group."""
        _, first, group = np.unique(self.mask.T, axis=0, return_index=True, return_inverse=True)
        return group.reshape(-1), first

    @cached_property
    def prediction(self) -> MaskedProduct:
        """The z part alone."""
        return MaskedProduct(self.X, self.mask, self.signs, summed=True)

    @property
    def shape(self) -> tuple[int, int]:
        n, d = self.X.shape
        return n + len(self.grouping[1]) * d, len(self.signs) * self.mask.shape[0] * d

    @property
    def nonzeros(self) -> int:
        return self.prediction.nonzeros + len(self.signs) * self.X.shape[1] * np.count_nonzero(self.mask[:, self.grouping[1]])

    def forward(self, x: Any) -> Any:
        xp = array_namespace(x)
        U = xp.reshape(x, (len(self.signs), self.mask.shape[0], self.X.shape[1]))
        total = sum(sign * U[c, :, :] for c, sign in enumerate(self.signs))
        group, first = self.grouping
        Q = self.mask[:, first].T @ total
        return xp.concat([xp.sum(self.X * Q[group, :], axis=1), xp.reshape(Q, (-1,))])

    def adjoint(self, z: Any) -> Any:
        xp = array_namespace(z)
        n, d = self.X.shape
        G = self.mask[:, self.grouping[1]] @ xp.reshape(z[n:], (-1, d))
        return self.prediction.adjoint(z[:n]) + xp.reshape(xp.stack([sign * G for sign in self.signs]), (-1,))

    def matrix(self) -> scipy.sparse.csr_array:
        slopes = self.mask[:, self.grouping[1]].T
        signed = scipy.sparse.csr_array(np.concatenate([sign * slopes for sign in self.signs], axis=1).astype(np.float64))
        return scipy.sparse.vstack([self.prediction.matrix(), kron_identity(signed, self.X.shape[1])], format="csr")


def kron_identity(M: scipy.sparse.csr_array, d: int) -> scipy.sparse.csr_array:
    """M (x) I_d, written down directly: row (k, j) has the entries of row k of M at columns (., j)."""
    n, m = M.shape
    counts = np.diff(M.indptr)
    starts = np.concatenate([[0], np.cumsum(np.repeat(counts, d))])
    # the entries of row k of M, d times over: positions into M's arrays
    at = np.arange(starts[-1]) - np.repeat(starts[:-1], np.repeat(counts, d)) + np.repeat(M.indptr[:-1], counts * d)
    column = M.indices[at] * d + np.repeat(np.tile(np.arange(d), n), np.repeat(counts, d))
    return scipy.sparse.csr_array((M.data[at], column, starts), shape=(n * d, m * d))


@dataclass(frozen=True, eq=False)
class Stacked:
    """Maps on the same variables, their outputs one after the other."""

    maps: tuple[LinearMap, ...]

    @property
    def shape(self) -> tuple[int, int]:
        return sum(K.shape[0] for K in self.maps), self.maps[0].shape[1]

    @property
    def nonzeros(self) -> int:
        return sum(int(getattr(K, "nonzeros", K.shape[0])) for K in self.maps)

    def forward(self, x: Any) -> Any:
        return array_namespace(x).concat([K.forward(x) for K in self.maps])

    def adjoint(self, z: Any) -> Any:
        out: Any = 0.0
        start = 0
        for K in self.maps:
            out = out + K.adjoint(z[start : start + K.shape[0]])
            start += K.shape[0]
        return out

    def matrix(self) -> scipy.sparse.csr_array:
        return scipy.sparse.vstack([K.matrix() for K in self.maps], format="csr")
