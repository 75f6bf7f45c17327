"""The coupling of blocks on the side of their unknowns, by Woodbury's identity: with C_i = R_i R_i' the sum of the inverses of pattern i,

    S^-1 = E^-1/2 (I - B'(I + B B')^-1 B) E^-1/2,   B = R'F'A'E^-1/2,   the blocks of B B' being  R_i' X' diag(m_i m_j / E) X R_j.

It is as small as the patterns allow, and never worse conditioned than S. For few features all blocks are products of one matrix, the pairs
of columns of X, with weights m_i m_j / E: half the operations of B B', and half of these where half of
the rows of a pattern are idle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .linear_algebra import Gram, cholesky, solve_factored
from .readings import Readings

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Stack = NDArray[np.float64]


def _by_pairs(readings: Readings, gram: Gram) -> bool:
    """Whether pairs of columns serve: they are at hand, and every reading is of one value."""
    return gram.pairs is not None and readings.single


def narrow_work(readings: Readings, gram: Gram, masks: Matrix) -> float:
    """Floating-point operations of `Narrow`, nearly."""
    (P, n), d = masks.shape, gram.X.shape[1]
    m = readings.count(n)
    by_pairs = P * np.count_nonzero(masks) * 0.5 * d * (d + 1)
    formed = min(by_pairs, (P * d) ** 2.0 * m) if _by_pairs(readings, gram) else (P * d) ** 2.0 * m
    return formed + (P * d) ** 3 / 3


class Narrow:
    """I + B B', factorised."""

    def __init__(self, readings: Readings, gram: Gram, roots: Stack, masks: Matrix, E: Vector) -> None:
        self.readings, self.gram, self.roots, self.masks, self.root = readings, gram, roots, masks, np.sqrt(E)
        M = self._of_pairs() if _by_pairs(readings, gram) else self._of_products()
        M[np.diag_indices(len(M))] += 1
        self.factor = cholesky(M)

    def _of_pairs(self) -> Matrix:
        """B B', the upper blocks only, which is what `cholesky` reads."""
        P, d = len(self.roots), self.roots.shape[1]
        pairs, masks, roots = self.gram.pairs, self.masks, self.roots
        assert pairs is not None
        P, d = len(roots), roots.shape[1]
        weights = self.readings.squared_back(1 / self.root**2)
        low, high = self.gram.lower
        M = np.zeros((P, d, P, d))
        for i in range(P):
            rows = np.flatnonzero(masks[i])  # in few, a cache holds what one product needs
            some = masks[i:, rows] * (masks[i, rows] * weights[rows])
            G = np.empty((P - i, d, d))
            G[:, low, high] = G[:, high, low] = some @ pairs[rows]
            below = np.matmul(roots[i:], (G.reshape(-1, d) @ roots[i].T).reshape(-1, d, d))  # R_j' G_ji R_i
            M[i, :, i:, :] = below.transpose(2, 0, 1)
        return M.reshape(P * d, P * d)

    def _of_products(self) -> Matrix:
        """The same from B."""
        B = self.readings.products(self.roots, self.masks, self.gram.XT).reshape(-1, len(self.root)) / self.root
        return B @ B.T

    def solve(self, r: Vector) -> Vector:
        """S^-1 r."""
        scaled = r / self.root
        on_values = self.masks * self.readings.back(scaled / self.root)
        along = np.matmul(self.roots, (on_values @ self.gram.X)[:, :, None])
        found = solve_factored(self.factor, along.reshape(-1)).reshape(along.shape)
        U = np.matmul(self.roots.transpose(0, 2, 1), found)[:, :, 0] @ self.gram.XT
        return (scaled - self.readings.read(np.einsum("pn,pn->n", self.masks, U)) / self.root) / self.root
