"""The price of a direction, F(u) = sum_k nu_k sigma(x_k.u), as a difference of two convex functions.

sigma(t) = (1 + s)/2 t + (1 - s)/2 |t| for a slope s on the inactive side, so with unit normals y_j and numbers m_j, p_j > 0

    F(u) = c.u + sum_j p_j |y_j.u| - sum_j m_j |z_j.u| :

the support function of one zonotope minus that of another. Hence max { F(u) : |u| <= 1 } is how far the first one reaches out of
the second, and |F| is largest where the two are furthest apart (their Hausdorff distance).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrangement.parallel import merge_parallel
from ..arrangement.scaling import unit_rows

Matrix = NDArray[np.float64]

#: Unit normals closer than this are merged into one hyperplane; what that changes is counted.
SAME = 1e-13


@dataclass(frozen=True, eq=False)
class PriceFunction:
    """F(u) = c.u + |Y u|.up - |Z u|.down on R^r, with up, down > 0. c : (r,), Y : (p, r), Z : (m, r), unit rows."""

    c: Matrix
    Y: Matrix
    up: Matrix
    Z: Matrix
    down: Matrix

    def value(self, U: Matrix) -> Matrix:
        """F at the rows of U (N, r): (N,)."""
        return U @ self.c + np.abs(U @ self.Y.T) @ self.up - np.abs(U @ self.Z.T) @ self.down

    def gradient(self, U: Matrix) -> Matrix:
        """A generalised gradient at every row of U (N, r)."""
        return self.c + (np.sign(U @ self.Y.T) * self.up) @ self.Y - (np.sign(U @ self.Z.T) * self.down) @ self.Z

    def negated(self) -> PriceFunction:
        """-F."""
        return PriceFunction(-self.c, self.Z, self.down, self.Y, self.up)


@dataclass(frozen=True, eq=False)
class Reduced:
    """F in few coordinates. function : on R^r.  basis : (r, d) with u = t @ basis in R^d.
    error : the most by which |F| can differ from the given one on the unit ball, rounding of either included."""

    function: PriceFunction
    basis: Matrix
    error: float


def reduced(X: Matrix, nu: Matrix, slope: float, rotate: bool) -> Reduced:
    """The price function of X (n, d) and nu (n,), parallel rows merged.

    rotate : go to the row space of X (the unit ball must be the Euclidean one); else only columns of zeros are dropped.
    Samples with nu_k = 0 do not matter.
    """
    live = (nu != 0) & X.any(axis=1)
    X, nu = X[live], nu[live]
    basis = _row_space(X) if rotate else np.eye(X.shape[1])[X.any(axis=0)]
    T = X @ basis.T
    length = np.linalg.norm(T, axis=1)
    keep = length > 0
    size = float(np.abs(nu) @ np.linalg.norm(X, axis=1))
    lost = float(np.abs(nu) @ np.linalg.norm(X - T @ basis, axis=1))
    normals, weight = unit_rows(T[keep]), 0.5 * (1 - slope) * nu[keep] * length[keep]
    c = 0.5 * (1 + slope) * (nu @ T)
    if len(normals):
        lines = merge_parallel(normals, np.full(len(normals), SAME / 2))
        first = normals[lines.first]
        along = np.where(lines.along, 1.0, -1.0)[:, None]
        lost += float(np.abs(weight) @ np.linalg.norm(normals - along * first[lines.line], axis=1))
        normals, weight = first, np.bincount(lines.line, weights=weight, minlength=len(first))
    rounding = 4 * np.finfo(float).eps * (sum(X.shape) + 64)
    # what is left where parallel rows cancel is rounding
    negligible = np.abs(weight) <= np.finfo(float).eps * size
    lost += float(np.abs(weight[negligible]).sum())
    up, down = ~negligible & (weight > 0), ~negligible & (weight < 0)
    function = PriceFunction(c, normals[up], weight[up], normals[down], -weight[down])
    return Reduced(function, basis, lost + rounding * size)


def _row_space(X: Matrix) -> Matrix:
    """Orthonormal rows that span those of X, up to rounding."""
    if not len(X):
        return np.empty((0, X.shape[1]))
    _, size, right = np.linalg.svd(X, full_matrices=False)
    return right[size > 1e-13 * size[0]]
