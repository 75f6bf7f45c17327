"""Linear algebra of all blocks at once: per iteration of an interior point there are B Hessians H_b = X' diag(w_b) X + ..., of which only the
products with one matrix X are ever needed. And factors of symmetric matrices, with errors where there are none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtri, spotrf, spotrs

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Stack = NDArray[np.float64]


class Gram:
    """X' diag(w) X for many weights. The products of pairs of columns of X are kept, which makes all of them one matrix
    product with half the arithmetic; when they would not fit in `memory` bytes, blocks are done one by one."""

    def __init__(self, X: Matrix, memory: float = 1e9) -> None:
        self.X = X
        self.XT = np.ascontiguousarray(X.T)
        n, d = X.shape
        self.lower = np.tril_indices(d)
        self.pairs = None
        if 4 * n * d * (d + 1) <= memory:
            self.pairs = np.empty((n, d * (d + 1) // 2))
            for j in range(d):
                at = j * (j + 1) // 2
                np.multiply(X[:, : j + 1], X[:, j : j + 1], out=self.pairs[:, at : at + j + 1])

    def weighted(self, weights: Matrix) -> Stack:
        """(B, d, d) for weights (B, n), lower triangles only."""
        d = self.X.shape[1]
        if self.pairs is not None:
            out = np.zeros((len(weights), d, d))
            out[:, self.lower[0], self.lower[1]] = weights @ self.pairs
            return out
        return np.stack([(self.XT * w) @ self.X for w in weights])


def inverse_factors(H: Stack) -> Stack:
    """L^-1 of the Cholesky factors H = L L', (B, d, d). Raises LinAlgError when one is not positive definite."""
    L = np.asarray(np.linalg.cholesky(H), dtype=np.float64)
    for factor in L:  # a loop over LAPACK's triangular inverse beats the general one in a batch three times
        _, info = dtrtri(factor.T, lower=0, overwrite_c=1)
        if info:
            raise np.linalg.LinAlgError("a block of the Hessian is singular")
    return L


def apply_inverse(factors: Stack, R: Matrix) -> Matrix:
    """H_b^-1 R_b for all blocks, R (B, d)."""
    return np.matmul(np.matmul(factors, R[:, :, None])[:, None, :, 0], factors)[:, 0, :]


def triangle(A: Matrix) -> Matrix:
    return np.asarray(np.linalg.qr(A, mode="r"))


def lower_factor(R: Matrix) -> Matrix:
    """The factor L = R' of a triangle R with R'R = S, its diagonal positive."""
    return np.asfortranarray((R * np.where(np.diag(R) < 0, -1.0, 1.0)[:, None]).T)


def cholesky(S: Matrix) -> Matrix:
    """The lower factor, in place, from the upper triangle. Raises LinAlgError."""
    factorise = dpotrf if S.dtype == np.float64 else spotrf
    factor, info = factorise(S.T, lower=1, overwrite_a=1, clean=0)
    if info:
        raise np.linalg.LinAlgError("the coupling matrix is not positive definite")
    return factor


def solve_factored(factor: Matrix, r: Vector) -> Vector:
    """(L L')^-1 r for a lower factor in either precision."""
    solve = dpotrs if factor.dtype == np.float64 else spotrs
    return solve(factor, r, lower=1)[0].astype(np.float64, copy=False)
