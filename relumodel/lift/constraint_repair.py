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
from ..maps.base import MaskedProduct
from ..maps.readings import Composed
from ..program.program import Program
from ..resources.deadline import current

Vector = NDArray[np.float64]

#: Moves, entries of the equations beyond which none is tried, and the violation, relative to the values, that is as good as none.
MOVES, LARGE, ENOUGH = 12, 4e7, 1e-13

#: Singular values below these shares of the largest are left out of a move, the first that makes it short.
DEPENDENT = (1e-12, 1e-10, 1e-8, 1e-6, 1e-4)

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


class _Cones:
    """The sign cones of a program on the variables that are in use, whose rows read single blocks."""

    def __init__(self, program: Program, x: Vector, used: NDArray[np.intp]) -> None:
        cones = [t for t in program.terms if t.function.indicator and t not in program.kept and isinstance(t.function, Nonnegative)]
        G = scipy.sparse.vstack([_columns(t.map, used) for t in cones] or [scipy.sparse.csr_array((0, len(used)))], format="csr")
        self.G, self.x = G[np.diff(G.indptr) > 0], x[used]
        self.slack = self.G @ self.x
        m = self.G.shape[0]
        graph = (
            scipy.sparse.block_array([[None, self.G], [self.G.T, None]]) if m else scipy.sparse.csr_array((len(used), len(used)))
        )
        _, label = scipy.sparse.csgraph.connected_components(graph, directed=False)
        self.blocks = [(rows, columns) for rows, columns in zip(_groups(label[:m], label), _groups(label[m:], label), strict=True)]
        self.size = np.zeros(m)  # of the largest row of the same block: small blocks may have slack too
        for rows, _ in self.blocks:
            self.size[rows] = np.abs(self.slack[rows]).max(initial=0.0)

    def kept(self, touched: NDArray[np.bool_]) -> scipy.sparse.csc_array:
        """A basis of the moves that keep the touched rows as they are. Short ones, in its coordinates, change the other rows by little of
        their slack (the metric of Dikin's ellipsoid), and blocks by little of their size."""
        basis = []
        for rows, columns in self.blocks:
            G, at = self.G[rows][:, columns].toarray(), touched[rows]
            N = _null_space(G[at])
            within = np.vstack([G[~at] / self.slack[rows][~at, None], np.eye(len(columns)) / np.linalg.norm(self.x[columns])])
            R = np.linalg.qr(within @ N, mode="r")
            basis.append(scipy.linalg.solve_triangular(R, N.T, trans="T").T if N.shape[1] else N)
        N = scipy.sparse.block_diag(basis, format="csr")
        back = np.empty(len(self.x), dtype=np.intp)
        back[np.concatenate([columns for _, columns in self.blocks])] = np.arange(len(back))
        return N[back].tocsc()


def _groups(label: NDArray[Any], every: NDArray[Any]) -> list[NDArray[np.intp]]:
    """The places of every label in turn."""
    order = np.argsort(label, kind="stable")
    return np.split(order, np.searchsorted(label[order], np.arange(1, int(every.max()) + 1)))


def _null_space(T: Vector) -> Vector:
    """(d, k) an orthonormal basis of T s = 0."""
    if not len(T):
        return np.eye(T.shape[1])
    Q, R, _ = scipy.linalg.qr(T.T, pivoting=True)
    diagonal = np.abs(np.diag(R))
    return Q[:, int((diagonal > 1e-12 * diagonal[0]).sum()) :]


def _columns(K: Any, used: NDArray[np.intp]) -> scipy.sparse.csr_array:
    """Some columns of a map's matrix, without rows of sign cones that are zero there; written out for no other columns where that can be."""
    if isinstance(K, Composed):
        return scipy.sparse.csr_array(K.A @ _columns(K.K, used))
    if not isinstance(K, MaskedProduct):
        return K.matrix().tocsc()[:, used].tocsr()
    _, P, d = K.blocks
    block, feature = used // d, used % d
    sign = np.asarray(K.signs)[block // P]
    values = (K.mask[block % P] * (sign[:, None] * K.X.T[feature])).T  # (n, used)
    if K.summed:
        return scipy.sparse.csr_array(values)
    ends = np.flatnonzero(np.diff(block)) + 1
    return scipy.sparse.block_diag(np.split(values, ends, axis=1), format="csr")


def _move(program: Program, x: Vector, exactly: bool) -> Vector | None:
    """The least change that meets the equations, or None where there are none or too many. exactly : with the rows of cones that it touches
    kept as they are, by linear algebra; else within all cones, by a quadratic program."""
    used = np.flatnonzero(x)
    kept = [(*_equations(t.function, t.map.forward(x)), t) for t in program.kept]
    if not any(len(r) for _, r, _ in kept) or not len(used):
        return None
    if sum(len(r) for _, r, _ in kept) * len(used) > LARGE:
        return None
    E = np.vstack([(E @ _columns(t.map, used)).toarray() for E, _, t in kept])
    r = np.concatenate([wanted for _, wanted, _ in kept])
    cones, step = _Cones(program, x, used), np.zeros(len(x))
    if not exactly:
        if cones.G.nnz > LARGE / 10:
            return None
        step[used] = _within(E, r, cones)
        return step if np.isfinite(step).all() else None
    touched = np.abs(cones.slack) <= TOUCHED * cones.size
    for _ in range(JOINED):
        N = cones.kept(touched)
        step[used] = N @ _short(E @ N, r)
        left = cones.G @ step[used] + cones.slack < -TOUCHED * cones.size
        if not (left & ~touched).any():
            break
        touched |= left
    return step if np.isfinite(step).all() else None


def _short(E: Vector, r: Vector) -> Vector:
    """The least z with E z = r; where equations that nearly depend on each other make it longer than one, without those, in least squares."""
    size = np.linalg.norm(E, axis=1)
    size = np.where(size > 0, size, 1.0)  # equations on small blocks count as much as those on large ones
    U, sizes, Vt = np.linalg.svd(E / size[:, None], full_matrices=False)
    along = U.T @ (r / size)
    for share in DEPENDENT:
        large = sizes > share * sizes.max(initial=0.0)
        z = Vt[large].T @ (along[large] / sizes[large])
        if np.linalg.norm(z) <= 1:
            break
    return z


def _within(E: Vector, r: Vector, cones: _Cones) -> Vector:
    """argmin |s|^2 subject to E s = r and slack + G s >= 0, NaN where that fails."""
    import clarabel  # here, because importing relumodel should not wait for it

    n = E.shape[1]
    A = scipy.sparse.vstack([scipy.sparse.csr_array(E), -cones.G], format="csc")
    b = np.concatenate([r, cones.slack])
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    kinds = [clarabel.ZeroConeT(len(r)), clarabel.NonnegativeConeT(len(b) - len(r))]
    found = clarabel.DefaultSolver(scipy.sparse.eye_array(n, format="csc"), np.zeros(n), A, b, kinds, settings).solve()
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
