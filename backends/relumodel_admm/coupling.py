"""The one matrix that couples the blocks,  S = diag(E) + sum_b A F_b H_b^-1 F_b'A',  F_b = diag(mask_b) X, on the side that takes less work.

Blocks of one pattern share F up to a sign, so their inverses are added first. Of m readings and P' patterns of d unknowns, S is m x m, and what
Woodbury's identity puts in its place P'd x P'd (narrow.py).
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .linear_algebra import Gram, apply_inverse, cholesky, lower_factor, solve_factored, triangle
from .narrow import Narrow, narrow_work
from .readings import Readings
from .scaled import Blocks

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Stack = NDArray[np.float64]

#: Bytes a temporary may take before work is cut into pieces.
PIECE = 2**28

#: The narrow form is worth its lower accuracy where it takes this many times fewer operations.
WORTH = 2.0

#: How the coupling matrix is factorised, from the fastest to the most accurate; the last up to an order of FINE, for its memory.
FORMS, FINE = ("single", "double", "rotations"), 4000


class Schur(Protocol):
    """A factor of S."""

    def solve(self, r: Vector) -> Vector:
        """S^-1 r."""
        ...


class Coupling:
    """Solves  H du + F'A'dq = R,  A F du - E dq = r  for all blocks, given the inverse factors of H.

    form : one of FORMS. Forming S in float32 halves the work, and refinement repairs it while it is not too badly conditioned (the narrow
    form is not made in float32, where refinement took as long as that saved); where even float64 loses too much, the factor is found without the matrix.
    """

    def __init__(self, blocks: Blocks, readings: Readings, gram: Gram, factors: Stack, E: Vector, form: str = "double") -> None:
        self.blocks, self.readings, self.gram, self.factors = blocks, readings, gram, factors
        kind = np.dtype(np.float32 if form == "single" else np.float64)
        self.schur: Schur
        self.share = float("inf")  # of operations, in those of a product with all blocks
        if form == "rotations" and len(E) <= FINE:  # the narrow form divides by E, which is tiny where samples sit at a kink
            self.schur = Rotated(blocks, readings, gram, factors, E)
            return
        roots, masks = pattern_roots(blocks, factors)
        narrow, wide = narrow_work(readings, gram, masks), wide_work(len(E), roots)
        tall = WORTH * narrow < wide
        # a third of the speed of large products is usual for the narrow form, twice that of float64 for float32
        self.share = (3 * narrow if tall else wide * kind.itemsize / 8) / (blocks.count * gram.X.size)
        self.schur = Narrow(readings, gram, roots, masks, E) if tall else Wide(readings, gram, roots, masks, E, kind)

    def solve(self, R: Matrix, r: Vector) -> tuple[Matrix, Vector]:
        """du, dq, with the regularised H."""
        first = apply_inverse(self.factors, R)
        mask, readings = self.blocks.mask, self.readings
        dq = self.schur.solve(readings.read(np.einsum("bn,bn->n", mask, first @ self.gram.XT)) - r)
        return first - apply_inverse(self.factors, (mask * readings.back(dq)) @ self.gram.X), dq


def wide_work(m: int, roots: Stack) -> float:
    """Floating-point operations of `Wide`, nearly."""
    return float(m) ** 2 * len(roots) * roots.shape[1] + m**3 / 3


class Wide:
    """S, piece by piece."""

    def __init__(self, readings: Readings, gram: Gram, roots: Stack, masks: Matrix, E: Vector, kind: Any) -> None:
        m, (n, d) = len(E), gram.X.shape
        S = np.zeros((m, m), dtype=kind)
        step = max(1, PIECE // (8 * max(m, n) * d))
        some, XT, active = (v.astype(kind, copy=False) for v in (roots, gram.XT, masks))
        for at in range(0, len(roots), step):
            piece = slice(at, at + step)
            Y = readings.products(some[piece], active[piece], XT).reshape(-1, m)
            S += Y.T @ Y
        S[np.diag_indices(m)] += E
        self.factor = cholesky(S)

    def solve(self, r: Vector) -> Vector:
        return solve_factored(self.factor, r)


class Rotated:
    """The factor of S without S, from the triangle of [A F_b H_b^-1/2 ..., E^1/2]: half the digits that S would lose are kept, for four
    times the work."""

    def __init__(self, blocks: Blocks, readings: Readings, gram: Gram, factors: Stack, E: Vector) -> None:
        m, d = len(E), gram.X.shape[1]
        R = np.diag(np.sqrt(E))
        step = max(1, m // d)
        for at in range(0, len(factors), step):
            piece = slice(at, at + step)
            Y = readings.products(factors[piece], blocks.mask[piece], gram.XT)
            R = triangle(np.concatenate([R, Y.reshape(-1, m)]))
        self.factor = lower_factor(R)

    def solve(self, r: Vector) -> Vector:
        return solve_factored(self.factor, r)


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
