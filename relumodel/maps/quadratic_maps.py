"""Linear maps of polynomial networks, on two symmetric matrices Z, W of order d + 1 as svecs, one after the other.

A network of neurons sigma(t) = a t^2 + b t + c is one quadratic: with A = [x, 1] and C = [a, b/2; b/2, c] (a in the first d rows and
columns),

    f(x) = A' H A,     H = C * (Z - W)   (elementwise),     and   f(x + delta) = f(x) + 2 (A'H)_1..d . delta + delta' H_1..d,1..d delta.

(Bartan & Pilanci 2021)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy
from array_api_compat import array_namespace
from numpy.typing import NDArray

from .symmetric import packed_size, smat, svec, triangle

Matrix = NDArray[np.float64]


def coefficients(d: int, a: float, b: float, c: float) -> Matrix:
    """C, of order d + 1."""
    C = np.full((d + 1, d + 1), a)
    C[-1, :] = C[:, -1] = 0.5 * b
    C[-1, -1] = c
    return C


@dataclass(frozen=True, eq=False)
class EachMatrix:
    """The same linear functional of Z and of W: (row . svec Z, row . svec W). row : (s,)."""

    row: Matrix

    @property
    def shape(self) -> tuple[int, int]:
        return 2, 2 * len(self.row)

    @property
    def nonzeros(self) -> int:
        return 2 * int(np.count_nonzero(self.row))

    def forward(self, x: Any) -> Any:
        return array_namespace(x).reshape(x, (2, -1)) @ self.row

    def adjoint(self, z: Any) -> Any:
        return array_namespace(z).reshape(z[:, None] * self.row, (-1,))

    def matrix(self) -> scipy.sparse.csr_array:
        return scipy.sparse.block_diag([scipy.sparse.csr_array(self.row[None])] * 2, format="csr")


@dataclass(frozen=True, eq=False)
class QuadraticPrediction:
    """f at every sample: (n,). A : (n, d + 1) samples with a last 1.  C : (d + 1, d + 1)."""

    A: Matrix
    C: Matrix

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.A), 2 * packed_size(len(self.C))

    @property
    def nonzeros(self) -> int:
        return 2 * len(self.A) * packed_size(len(self.C))

    def forward(self, x: Any) -> Any:
        xp = array_namespace(x)
        return xp.sum((self.A @ quadratic(self.C, x)) * self.A, axis=1)

    def adjoint(self, z: Any) -> Any:
        return on_both(self.C * (self.A.T @ (z[:, None] * self.A)))

    def matrix(self) -> scipy.sparse.csr_array:
        half = scipy.sparse.csr_array(self.features)
        return scipy.sparse.hstack([half, -half], format="csr")

    @cached_property
    def features(self) -> Matrix:
        """svec(C * A_k A_k') in row k: (n, s)."""
        row, column, factor = triangle(len(self.C))
        return (factor * self.C[row, column]) * self.A[:, row] * self.A[:, column]


def quadratic(C: Matrix, x: Any) -> Any:
    """H = C * (Z - W)."""
    Z, W = array_namespace(x).reshape(x, (2, -1))
    return C * smat(Z - W)


def on_both(T: Any) -> Any:
    """The adjoint of Z - W: (svec T, - svec T)."""
    xp = array_namespace(T)
    half = svec(T)
    return xp.concat([half, -half])


@dataclass(frozen=True, eq=False)
class BallQuadratics:
    """f around samples, in the units of an ellipsoid: f(x_k + r * e) = f_k + G_k.e + e'S e as (svec S, G, f), flattened.

    A, C : as above.  samples : (m,) which sample each of the m quadratics is around; a sample may be there twice.
    radii : (d,), 0 where a feature is not perturbed; e has the p others.
    """

    A: Matrix
    C: Matrix
    samples: NDArray[np.intp]
    radii: Matrix

    @cached_property
    def live(self) -> NDArray[np.intp]:
        """The perturbed features."""
        return np.flatnonzero(self.radii)

    @cached_property
    def prediction(self) -> QuadraticPrediction:
        """The part f."""
        return QuadraticPrediction(self.A[self.samples], self.C)

    @property
    def shape(self) -> tuple[int, int]:
        p, m = len(self.live), len(self.samples)
        return packed_size(p) + m * p + m, 2 * packed_size(len(self.C))

    @property
    def nonzeros(self) -> int:
        return 2 * (packed_size(len(self.live)) + len(self.samples) * (len(self.live) * len(self.C) + packed_size(len(self.C))))

    def forward(self, x: Any) -> Any:
        xp = array_namespace(x)
        H, r = quadratic(self.C, x), self.radii[self.live]
        A = self.prediction.A
        inner = A @ H
        S = svec(r[:, None] * H[self.live][:, self.live] * r)
        return xp.concat([S, xp.reshape(2 * inner[:, self.live] * r, (-1,)), xp.sum(inner * A, axis=1)])

    def adjoint(self, z: Any) -> Any:
        p, m = len(self.live), len(self.samples)
        r, A, s = self.radii[self.live], self.prediction.A, packed_size(p)
        T = A.T @ (z[s + m * p :, None] * A)
        cross = A.T @ (z[s : s + m * p].reshape(m, p) * r)
        T[:, self.live] += cross
        T[self.live, :] += cross.T
        T[np.ix_(self.live, self.live)] += r[:, None] * smat(z[:s]) * r
        return on_both(self.C * T)

    def matrix(self) -> scipy.sparse.csr_array:
        r, D, (p, m) = self.radii[self.live], len(self.C), (len(self.live), len(self.samples))
        row, column, _ = triangle(p)
        i, j = self.live[row], self.live[column]
        on_S = scipy.sparse.csr_array(
            (r[row] * r[column] * self.C[i, j], _place(i, j), np.arange(len(i) + 1)), shape=(len(i), packed_size(D))
        )
        # row (k, l) of G has the entries (i, l) of H, i <= d
        i, j = np.broadcast_arrays(np.arange(D), self.live[:, None])
        weight = 2 * r[:, None] * self.C[i, j] / np.where(i == j, 1.0, np.sqrt(2.0))
        values = (self.prediction.A[:, None, :] * weight).reshape(-1)
        places = np.broadcast_to(_place(np.minimum(i, j), np.maximum(i, j)), (m, p, D)).reshape(-1)
        on_G = scipy.sparse.csr_array((values, places, np.arange(m * p + 1) * D), shape=(m * p, packed_size(D)))
        half = scipy.sparse.vstack([on_S, on_G, scipy.sparse.csr_array(self.prediction.features)], format="csr")
        half.eliminate_zeros()
        half.sort_indices()
        return scipy.sparse.hstack([half, -half], format="csr")


def _place(i: NDArray[np.intp], j: NDArray[np.intp]) -> NDArray[np.intp]:
    """Where entry (i, j), i <= j, stands in svec."""
    return j * (j + 1) // 2 + i
