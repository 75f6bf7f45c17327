"""Linear algebra by structure: the Hessians of all blocks at once, and the one matrix that couples them.

Per iteration of an interior point there are B blocks H_b = X' diag(w_b) X + ..., of which only the products with one
matrix X are ever needed, and the coupling  S = diag(E) + sum_b A F_b H_b^-1 F_b'A',  F_b = diag(mask_b) X. Blocks of one
pattern share F up to a sign, so their inverses are added first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtri, spotrf, spotrs

from .readings import Readings
from .scaled import Blocks

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Stack = NDArray[np.float64]

#: Bytes a temporary may take before work is cut into pieces.
PIECE = 2**28

#: The narrow form pays, and is worth its lower accuracy, when there are this many times more samples than unknowns.
TALL = 3


#: How the coupling matrix is factorised, from the fastest to the most accurate; the last up to an order of FINE, for its memory.
FORMS, FINE = ("single", "double", "rotations"), 4000


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


class Coupling:
    """Solves  H du + F'A'dq = R,  A F du - E dq = r  for all blocks, given the inverse factors of H.

    Either S (m x m) is formed and factorised, or, when the m readings outnumber the d P' unknowns of the P' patterns, the
    matrix  blockdiag(C_i^-1) + F'A' diag(1/E) A F  with C_i = sum of the inverses of the copies of pattern i (Woodbury).
    form : one of FORMS. Forming S in float32 halves the work, and refinement repairs it while S is not too badly conditioned;
    where even float64 loses too much, the factor is found without S.
    """

    def __init__(
        self, blocks: Blocks, readings: Readings, X: Matrix, XT: Matrix, factors: Stack, E: Vector, form: str = "double"
    ) -> None:
        self.kind = np.float32 if form == "single" else np.float64
        self.blocks, self.readings, self.X, self.XT, self.factors, self.E = blocks, readings, X, XT, factors, E
        self.tall = len(E) > TALL * X.shape[1] * len(np.unique(blocks.pattern))
        rotated = form == "rotations"
        if rotated and len(E) <= FINE:  # the narrow form divides by E, which is tiny where samples sit at a kink
            self.tall = False
            self._rotated()
            return
        self.roots, self.masks = pattern_roots(blocks, factors)
        if self.tall:
            self._narrow(rotated)
        else:
            self._wide()

    def _wide(self) -> None:
        """S, piece by piece."""
        m, (n, d) = len(self.E), self.X.shape
        S = np.zeros((m, m), dtype=self.kind)
        step = max(1, PIECE // (8 * max(m, n) * d))
        roots, XT, masks = (v.astype(self.kind, copy=False) for v in (self.roots, self.XT, self.masks))
        for at in range(0, len(roots), step):
            piece = slice(at, at + step)
            Y = self.readings.products(roots[piece], masks[piece], XT).reshape(-1, m)
            S += Y.T @ Y
        S[np.diag_indices(m)] += self.E
        self.factor = _cholesky(S)

    def _rotated(self) -> None:
        """The factor of S without S, from the triangle of [F_b H_b^-1/2 ..., E^1/2]: half the digits that S would lose are kept,
        for four times the work."""
        m, d = len(self.E), self.X.shape[1]
        R = np.diag(np.sqrt(self.E))
        step = max(1, m // d)
        for at in range(0, len(self.factors), step):
            piece = slice(at, at + step)
            Y = self.readings.products(self.factors[piece], self.blocks.mask[piece], self.XT)
            R = _triangle(np.concatenate([R, Y.reshape(-1, m)]))
        self.factor = _lower(R)

    def _narrow(self, rotated: bool) -> None:
        """I + R'F' diag(1/E) F R, where C_i = R_i R_i': as small as the patterns allow, and never worse than S."""
        A = self.readings.products(self.roots, self.masks, self.XT).reshape(-1, len(self.E))
        self.A = A / np.sqrt(self.E)
        if rotated:
            self.factor = _lower(_triangle(np.concatenate([self.A.T, np.eye(len(self.A))])))
            return
        M = self.A @ self.A.T
        M[np.diag_indices(len(M))] += 1
        self.factor = _cholesky(M)

    def schur(self, r: Vector) -> Vector:
        """S^-1 r."""
        if not self.tall:
            solve = dpotrs if self.factor.dtype == np.float64 else spotrs
            return solve(self.factor, r, lower=1)[0].astype(np.float64, copy=False)
        root = np.sqrt(self.E)
        scaled = r / root
        return (scaled - self.A.T @ dpotrs(self.factor, self.A @ scaled, lower=1)[0]) / root

    def solve(self, R: Matrix, r: Vector) -> tuple[Matrix, Vector]:
        """du, dq, with the regularised H."""
        first = apply_inverse(self.factors, R)
        mask, readings = self.blocks.mask, self.readings
        dq = self.schur(readings.read(np.einsum("bn,bn->n", mask, first @ self.XT)) - r)
        return first - apply_inverse(self.factors, (mask * readings.back(dq)) @ self.X), dq


def pattern_roots(blocks: Blocks, factors: Stack) -> tuple[Stack, Matrix]:
    """For every pattern present R' with R R' = the sum of its copies' inverses, and its mask."""
    first = np.flatnonzero(np.diff(blocks.pattern, prepend=-1))
    roots = factors[first].copy()
    twice = np.flatnonzero(np.diff(np.append(first, len(blocks.pattern))) == 2)
    if len(twice):
        one, two = factors[first[twice]], factors[first[twice] + 1]
        total = np.matmul(one.transpose(0, 2, 1), one) + np.matmul(two.transpose(0, 2, 1), two)
        diagonal = np.einsum("bii->bi", total)
        diagonal += 1e-15 * total.shape[1] * diagonal
        roots[twice] = np.linalg.cholesky(total).transpose(0, 2, 1)
    return roots, blocks.mask[first]


def _triangle(A: Matrix) -> Matrix:
    return np.asarray(np.linalg.qr(A, mode="r"))


def _lower(R: Matrix) -> Matrix:
    """The factor L = R' of a triangle R with R'R = S, its diagonal positive."""
    return np.asfortranarray((R * np.where(np.diag(R) < 0, -1.0, 1.0)[:, None]).T)


def _cholesky(S: Matrix) -> Matrix:
    """The lower factor, in place. Raises LinAlgError."""
    factorise = dpotrf if S.dtype == np.float64 else spotrf
    factor, info = factorise(S.T, lower=1, overwrite_a=1, clean=0)
    if info:
        raise np.linalg.LinAlgError("the coupling matrix is not positive definite")
    return factor
