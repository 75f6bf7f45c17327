"""What a crossing program reads of its blocks, see relumodel.functions.crossing: for both signs the linear parts, and the weights of the rest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy
from array_api_compat import array_namespace
from numpy.typing import NDArray

from .robust_maps import kron_identity

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CrossingMap:
    """(U, p) -> for s = +1, then for s = -1, on the samples of that sign:  z (m,), Q (m, d), R (m, P), flattened.

    X : (n, d).  samples : the row numbers for s = +1 and for s = -1.  slope : l.
    shares : (2, 2, P, n) in [0, 1], [sign, copy]: the chosen slope lies this share of the way from l to 1. Copy v is up for
        s = +1, w for s = -1.
    As max(a, b) = a + (b - a)_+,  z = x.q - (1 - l) sum_i e_i (p_i - x.u'_i)  and  R_i = x.u'_i + (1 - 2 e_i) p_i.
    """

    X: Vector
    samples: tuple[NDArray[np.intp], NDArray[np.intp]]
    shares: Vector
    slope: float

    @property
    def sizes(self) -> tuple[int, int, int]:
        """(P, n, d)."""
        return self.shares.shape[2], self.X.shape[0], self.X.shape[1]

    @property
    def shape(self) -> tuple[int, int]:
        P, _, d = self.sizes
        return sum(len(k) for k in self.samples) * (1 + d + P), 2 * P * d + 2 * P

    @cached_property
    def sides(self) -> list[tuple[Vector, Vector, Vector, Vector]]:
        """For each sign: the samples (m, d), the slopes of the up copy (P, m) and, negated, of the down copy (P, m), and the
        shares of the down copy (m, P)."""
        xp, out = array_namespace(self.X), []
        for s, k in enumerate(self.samples):
            up, down = self.shares[s, s][:, k], self.shares[s, 1 - s][:, k]
            slopes = [self.slope + (1 - self.slope) * share for share in (up, down)]
            rows = xp.reshape(xp.reshape(down.T, (-1,)), (-1, down.shape[0]))  # row by row in memory, too
            out.append((self.X[k], slopes[0], -slopes[1], rows))
        return out

    @property
    def nonzeros(self) -> int:
        """Of rows z, Q and R, half of the slopes being 0."""
        return 3 * self.shares.shape[2] * self.X.shape[1] * sum(len(k) for k in self.samples)

    def forward(self, x: Any) -> Any:
        xp = array_namespace(x)
        P, _, d = self.sizes
        U, p = xp.reshape(x[: 2 * P * d], (2, P, d)), xp.reshape(x[2 * P * d :], (2, P))
        parts = []
        for s, (X, up, down, share) in enumerate(self.sides):
            Q = up.T @ U[s, :, :] + down.T @ U[1 - s, :, :]
            T = X @ U[1 - s, :, :].T
            z = xp.sum(X * Q, axis=1) - (1 - self.slope) * xp.sum(share * (p[1 - s, :] - T), axis=1)
            R = T + (1 - 2 * share) * p[1 - s, :]
            parts += [z, xp.reshape(Q, (-1,)), xp.reshape(R, (-1,))]
        return xp.concat(parts)

    def adjoint(self, z: Any) -> Any:
        xp = array_namespace(z)
        P, _, d = self.sizes
        blocks: list[Any] = [0.0, 0.0]
        sizes: list[Any] = [0.0, 0.0]
        start = 0
        for s, (X, up, down, share) in enumerate(self.sides):
            m = X.shape[0]
            on_z, on_q, on_r = (z[start + a : start + b] for a, b in ((0, m), (m, m + m * d), (m + m * d, m * (1 + d + P))))
            start += m * (1 + d + P)
            on_q = xp.reshape(on_q, (m, d)) + on_z[:, None] * X
            R = xp.reshape(on_r, (m, P))
            lift = (1 - self.slope) * share * on_z[:, None]
            blocks[s] = blocks[s] + up @ on_q
            blocks[1 - s] = blocks[1 - s] + down @ on_q + (R + lift).T @ X
            sizes[1 - s] = sizes[1 - s] + xp.sum((1 - 2 * share) * R - lift, axis=0)
        return xp.concat([xp.reshape(xp.stack(blocks), (-1,)), xp.reshape(xp.stack(sizes), (-1,))])

    def matrix(self) -> scipy.sparse.csr_array:
        P, _, d = self.sizes
        parts = []
        for s, (X, up, down, share) in enumerate(self.sides):
            m = X.shape[0]
            Q = kron_identity(scipy.sparse.csr_array(np.hstack([a.T for a in ((up, down) if s == 0 else (down, up))])), d)
            weights = scipy.sparse.csr_array((X.reshape(-1), np.arange(m * d), np.arange(m + 1) * d), shape=(m, m * d))
            columns = np.tile((1 - s) * P * d + np.arange(P * d), m)
            entries = np.repeat(X[:, None, :], P, axis=1).reshape(-1)
            T = scipy.sparse.csr_array((entries, columns, np.arange(m * P + 1) * d), shape=(m * P, 2 * P * d))
            at = np.arange(m * P)
            spread = scipy.sparse.csr_array(((1 - self.slope) * share.reshape(-1), at, np.arange(m + 1) * P), shape=(m, m * P))
            own = np.tile((1 - s) * P + np.arange(P), m)
            size, scaled = (
                scipy.sparse.csr_array((v.reshape(-1), own, np.arange(m * P + 1)), shape=(m * P, 2 * P))
                for v in (np.ones((m, P)), 1 - 2 * share)
            )
            parts += [
                scipy.sparse.hstack([weights @ Q + spread @ T, -(spread @ size)]),
                scipy.sparse.hstack([Q, scipy.sparse.csr_array((m * d, 2 * P))]),
                scipy.sparse.hstack([T, scaled]),
            ]
        out = scipy.sparse.vstack(parts, format="csr")
        out.eliminate_zeros()
        return out
