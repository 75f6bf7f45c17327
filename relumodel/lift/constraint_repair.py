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

from ..functions.base import Nonnegative, Vanishing
from ..functions.norms import NormExcess
from ..functions.several import Several, Shifted
from ..program.program import Program
from ..resources.deadline import current

Vector = NDArray[np.float64]

#: Moves, entries of the equations beyond which none is tried, and the violation, relative to the values, that is as good as none.
MOVES, LARGE, ENOUGH = 12, 4e7, 1e-13

#: Rows of cones with less slack than this share of their size are touched.
TOUCHED = 1e-7


def onto_constraints(program: Program, x: Vector, again: Callable[[Vector], Vector]) -> Vector:
    """x, or a point near it that violates the constraints less. again : moves a point into the sign cones."""
    best, least = x, program.violation(x)
    for _ in range(MOVES):
        if least <= ENOUGH * (1 + float(np.abs(best).max(initial=0.0))) or current().expired():
            break
        move = _move(program, best)
        if move is None:
            break
        moved = again(best + move)
        violation = program.violation(moved)
        if not violation < least:
            break
        best, least = moved, violation
    return best


def _move(program: Program, x: Vector) -> Vector | None:
    """The least change that meets the equations, or None where there are none or too many."""
    used = np.flatnonzero(x)
    rows: list[Vector] = []
    wanted: list[Vector] = []
    for term in program.terms:
        if not term.constrains:
            continue
        z = term.map.forward(x)
        own = term in program.kept
        E, r = _equations(term.function, z) if own else _touched(z)
        if not len(r):
            continue
        if (len(r) + sum(len(w) for w in wanted)) * len(used) > LARGE:
            return None
        rows.append((E @ term.map.matrix()).tocsc()[:, used].toarray())
        wanted.append(r)
    if not rows or not len(used):
        return None
    step = np.zeros(len(x))
    step[used] = scipy.linalg.lstsq(np.vstack(rows), np.concatenate(wanted), cond=1e-12, lapack_driver="gelsd")[0]
    return step if np.isfinite(step).all() else None


def _touched(z: Vector) -> tuple[scipy.sparse.csr_array, Vector]:
    """The rows of z >= 0 without slack, which are to stay as they are; those of zero blocks are not in use."""
    at = np.flatnonzero(np.abs(z) <= TOUCHED * float(np.abs(z).max(initial=0.0)))
    return _picked(at, len(z)), np.zeros(len(at))


def _equations(function: Any, z: Vector) -> tuple[scipy.sparse.csr_array, Vector]:
    """E dz = r for the parts of z that leave their domain, and for all of those that must be zero."""
    if isinstance(function, Several):
        found = [_equations(f, part) for f, part in zip(function.functions, function.split(z), strict=True)]
        return scipy.sparse.block_diag([E for E, _ in found], format="csr"), np.concatenate([r for _, r in found])
    if isinstance(function, Shifted):
        return _equations(function.inner, z + function.offset)
    if isinstance(function, Vanishing):
        return scipy.sparse.eye_array(len(z), format="csr"), -z
    if isinstance(function, Nonnegative):
        at = np.flatnonzero(z <= TOUCHED * float(np.abs(z).max(initial=0.0)))
        return _picked(at, len(z)), -z[at]
    if isinstance(function, NormExcess) and function.indicator and function.violation(z) > 0:
        # g.dz = radius - |z| along the gradient g of the norm
        g = NormExcess(function.p, 0.0, 1.0).gradient(z)
        return scipy.sparse.csr_array(g[None]), np.array([function.radius - float(g @ z)])
    return scipy.sparse.csr_array((0, len(z))), np.zeros(0)


def _picked(at: NDArray[np.intp], n: int) -> scipy.sparse.csr_array:
    return scipy.sparse.csr_array((np.ones(len(at)), (np.arange(len(at)), at)), shape=(len(at), n))
