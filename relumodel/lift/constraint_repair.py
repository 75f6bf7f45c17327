"""Points moved onto the constraints of users: the least change of the blocks in use that keeps the sign cones they touch.

A solver leaves constraints by its tolerance. Here the constraints that are left, and the rows of cones that are touched, become linear
equations in the entries of the non-zero blocks, whose least-norm solution is the move; norms are linearised, and rows that a move makes
violated join, so it is repeated a few times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from ..functions.base import Nonnegative, ZeroIndicator
from ..functions.budget import BlockBudget
from ..functions.norms import NormExcess
from ..functions.several import Mirrored, Several, Shifted
from ..program.program import Program
from ..resources.deadline import current

Vector = NDArray[np.float64]

#: Moves, entries of the equations beyond which none is tried, and the violation, relative to the values, that is as good as none.
MOVES, LARGE, ENOUGH = 12, 4e7, 1e-13

#: How often rows of cones that a move leaves join its equations.
JOINED = 6

#: Rows of cones with less slack than this share of their size are touched.
TOUCHED = 1e-7


def onto_constraints(program: Program, x: Vector, again: Callable[[Vector], Vector]) -> Vector:
    """x, or a point near it that violates the constraints less. again : moves a point into the sign cones."""
    best, least = x, program.violation(x)
    exactly = True
    for _ in range(MOVES):
        if least <= ENOUGH * (1 + float(np.abs(best).max(initial=0.0))) or current().expired():
            break
        move = _move(program, best, exactly)
        moved = None if move is None else again(best + move)
        violation = np.inf if moved is None else program.violation(moved)
        if moved is None or not violation < 0.1 * least:
            if not exactly:
                break
            exactly = False  # the rows in reach of the move are too many to be kept as they are
        if moved is not None and violation < least:
            best, least = moved, violation
    return best


def _move(program: Program, x: Vector, exactly: bool) -> Vector | None:
    """The least change that meets the equations, or None where there are none or too many. exactly : with the rows of cones that it touches
    kept as they are, by linear algebra; else within all cones, by a quadratic program."""
    used = np.flatnonzero(x)
    kept = [(*_equations(t.function, t.map.forward(x)), t) for t in program.kept]
    if not any(len(r) for _, r, _ in kept) or not len(used):
        return None
    rows = [(E @ t.map.matrix()).tocsc()[:, used].toarray() for E, _, t in kept]
    wanted = [r for _, r, _ in kept]
    cones = [t for t in program.terms if t.function.indicator and t not in program.kept and isinstance(t.function, Nonnegative)]
    matrices = [t.map.matrix().tocsc()[:, used].tocsr() for t in cones]
    slack = [G @ x[used] for G in matrices]
    if not exactly:
        if sum(G.nnz for G in matrices) > LARGE / 10:
            return None
        step = np.zeros(len(x))
        step[used] = _within(np.vstack(rows), np.concatenate(wanted), matrices, slack)
        return step if np.isfinite(step).all() else None
    touched = [np.abs(z) <= TOUCHED * float(np.abs(z).max(initial=0.0)) for z in slack]
    step = np.zeros(len(x))
    for _ in range(JOINED):
        picked = [G[at & (np.diff(G.indptr) > 0)].toarray() for G, at in zip(matrices, touched, strict=True)]
        if sum(map(len, (*rows, *picked))) * len(used) > LARGE:
            return None
        E, r = np.vstack([*rows, *picked]), np.concatenate([*wanted, *(np.zeros(len(p)) for p in picked)])
        step[used] = scipy.linalg.lstsq(E, r, cond=1e-12, lapack_driver="gelsd")[0]
        left = [G @ step[used] + z < -TOUCHED * np.abs(z).max(initial=0.0) for G, z in zip(matrices, slack, strict=True)]
        fresh = [at & ~known for at, known in zip(left, touched, strict=True)]
        if not any(at.any() for at in fresh):
            break
        touched = [known | at for known, at in zip(touched, fresh, strict=True)]
    return step if np.isfinite(step).all() else None


def _within(E: Vector, r: Vector, matrices: list[Any], slack: list[Vector]) -> Vector:
    """argmin |s|^2 subject to E s = r and slack + G s >= 0, NaN where that fails."""
    import clarabel  # here, because importing relumodel should not wait for it

    n = E.shape[1]
    lines = [np.diff(G.indptr) > 0 for G in matrices]
    A = scipy.sparse.vstack([scipy.sparse.csr_array(E), *(-G[at] for G, at in zip(matrices, lines, strict=True))], format="csc")
    b = np.concatenate([r, *(z[at] for z, at in zip(slack, lines, strict=True))])
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    cones = [clarabel.ZeroConeT(len(r)), clarabel.NonnegativeConeT(len(b) - len(r))]
    found = clarabel.DefaultSolver(scipy.sparse.eye_array(n, format="csc"), np.zeros(n), A, b, cones, settings).solve()
    return np.array(found.x) if "Solved" in str(found.status) else np.full(n, np.nan)


def _equations(function: Any, z: Vector) -> tuple[scipy.sparse.csr_array, Vector]:
    """E dz = r for the parts of z that leave their domain, and for all of those that must be zero."""
    if isinstance(function, Several):
        found = [_equations(f, part) for f, part in zip(function.functions, function.split(z), strict=True)]
        return scipy.sparse.block_diag([E for E, _ in found], format="csr"), np.concatenate([r for _, r in found])
    if isinstance(function, Shifted):
        return _equations(function.inner, z + function.offset)
    if isinstance(function, Mirrored):
        E, r = _equations(function.inner, -z)
        return E, -r
    if isinstance(function, ZeroIndicator):
        return scipy.sparse.eye_array(len(z), format="csr"), -z
    if isinstance(function, Nonnegative):
        at = np.flatnonzero(z <= TOUCHED * float(np.abs(z).max(initial=0.0)))
        return _picked(at, len(z)), -z[at]
    if isinstance(function, NormExcess) and function.indicator and function.violation(z) > 0:
        # g.dz = radius - |z| along the gradient g of the norm
        g = NormExcess(function.p, 0.0, 1.0).gradient(z)
        return scipy.sparse.csr_array(g[None]), np.array([function.radius - float(g @ z)])
    if isinstance(function, BlockBudget) and function.violation(z) > 0:
        return scipy.sparse.csr_array(function.direction(z)[None]), np.array([function.radius - function.spent(z)])
    return scipy.sparse.csr_array((0, len(z))), np.zeros(0)


def _picked(at: NDArray[np.intp], n: int) -> scipy.sparse.csr_array:
    return scipy.sparse.csr_array((np.ones(len(at)), (np.arange(len(at)), at)), shape=(len(at), n))
