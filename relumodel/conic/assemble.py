"""Program -> standard conic form, and the way back for points and duals.

Each term contributes the rows of its function, composed with its linear map, in one vectorised pass; rows are stacked
kind by kind so that every solver finds its cones as slices. The form's first variables are the program's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..program.program import Program, Term
from ..program.rows import CONE_KINDS, NONNEGATIVE, ZERO, ConicRows, Rows
from .form import Cone, ConicForm

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Placed:
    """One piece of a term's rows and where it stands in the form."""

    term: str
    piece: Rows
    rows: slice


@dataclass(frozen=True, eq=False)
class Assembled:
    """A conic form and what its inversion needs."""

    form: ConicForm
    n_variables: int
    term_sizes: dict[str, int]
    placed: tuple[Placed, ...]

    def point(self, x: Vector) -> Vector:
        """The program's variables out of the form's."""
        return x[: self.n_variables]

    def duals(self, z: Vector) -> dict[str, Vector]:
        """Conic duals z (in the dual cones) -> one multiplier q_j a term, sum_j K_j' q_j = 0 at the optimum, q_j a subgradient."""
        out = {name: np.zeros(size) for name, size in self.term_sizes.items()}
        for at in self.placed:
            part = z[at.rows]
            out[at.term] += at.piece.on_z * part if isinstance(at.piece.on_z, float) else at.piece.on_z.T @ part
        return out


def assemble(program: Program) -> Assembled:
    """The standard conic form of a program. Peak memory is about twice that of the resulting matrix."""
    faces = [(term, term.function.rows(term.map.shape[0])) for term in program.terms]
    starts = np.cumsum([program.n_variables, *(len(rows.cost) for _, rows in faces)])
    n_total = int(starts[-1])

    parts: list[sparse.csr_array] = []
    offsets: list[Vector] = []
    cones: list[Cone] = []
    placed: list[Placed] = []
    row = 0
    for kind in CONE_KINDS:
        first = row
        for (term, rows), start in zip(faces, starts, strict=False):
            for piece in rows.pieces:
                if piece.kind != kind:
                    continue
                parts.append(_composed(term, piece, int(start), n_total))
                offsets.append(piece.b)
                placed.append(Placed(term.name, piece, slice(row, row + len(piece.b))))
                row += len(piece.b)
                if kind not in (ZERO, NONNEGATIVE):
                    cones.extend(Cone(kind, size) for size in piece.sizes)
        if kind in (ZERO, NONNEGATIVE) and row > first:
            cones.append(Cone(kind, row - first))

    A = _stacked(parts, n_total)
    cost = np.concatenate([np.zeros(program.n_variables), *(rows.cost for _, rows in faces)])
    quadratic = np.concatenate([np.zeros(program.n_variables), *(rows.quadratic for _, rows in faces)])
    form = ConicForm(
        P=_diagonal_csc(quadratic), c=cost, A=A, b=np.concatenate(offsets), cones=tuple(cones), offset=0.0, names=_names(program, faces)
    )
    sizes = {term.name: term.map.shape[0] for term, _ in faces}
    return Assembled(form, program.n_variables, sizes, tuple(placed))


def _composed(term: Term, piece: Rows, start: int, n_total: int) -> sparse.csr_array:
    """[on_z K | 0 | on_t | 0] with the auxiliaries of the term at column `start`."""
    if isinstance(piece.on_z, float):
        K = term.map.matrix()
        K.data *= piece.on_z
    elif piece.on_z.nnz:
        K = (piece.on_z @ term.map.matrix()).tocsr()
    else:
        K = sparse.csr_array((piece.on_z.shape[0], term.map.shape[1]))
    if piece.on_t.nnz:
        gap = sparse.csr_array((K.shape[0], start - K.shape[1]))
        K = sparse.hstack([K, gap, piece.on_t], format="csr")
    K.resize(K.shape[0], n_total)
    return K


def _stacked(parts: list[sparse.csr_array], n_total: int) -> sparse.csc_array:
    """The parts on top of each other, by columns; parts are released as soon as they are copied."""
    if not parts:
        return sparse.csc_array((0, n_total))
    stacked = sparse.vstack(parts, format="csr") if len(parts) > 1 else parts[0]
    parts.clear()
    return stacked.tocsc()


def _diagonal_csc(values: Vector) -> sparse.csc_array:
    at = np.flatnonzero(values)
    counts = np.concatenate([[0], np.cumsum(values != 0)]).astype(np.int32)
    return sparse.csc_array((values[at], at.astype(np.int32), counts), shape=(len(values), len(values)))


def _names(program: Program, faces: list[tuple[Term, ConicRows]]) -> tuple[str, ...]:
    own = [name for variable in program.variables for name in variable.names()]
    auxiliary = [f"{term.name}.{i}" for term, rows in faces for i in range(len(rows.cost))]
    return tuple(own + auxiliary)
