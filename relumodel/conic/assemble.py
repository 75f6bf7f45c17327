"""Program -> standard conic form, and the way back for points and duals.

Each term contributes the rows of its function, composed with its linear map, in one vectorised pass; rows are stacked
kind by kind so that every solver finds its cones as slices. The form's first variables are the program's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from ..functions.rows import CONE_KINDS, NONNEGATIVE, ZERO, ConicRows, Rows
from ..program.program import Program, Term
from ..resources.memory import require
from .form import Cone, ConicForm
from .size import form_bytes, instead

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

    @np.errstate(over="ignore", invalid="ignore")  # z may be garbage; `certify` refuses what is not finite
    def duals(self, z: Vector) -> dict[str, Vector]:
        """Conic duals z (in the dual cones) -> one multiplier q_j a term, sum_j K_j' q_j = 0 at the optimum, q_j a subgradient."""
        out = {name: np.zeros(size) for name, size in self.term_sizes.items()}
        for at in self.placed:
            part = z[at.rows]
            out[at.term] += at.piece.on_z * part if isinstance(at.piece.on_z, float) else at.piece.on_z.T @ part
        return out


def assemble(program: Program) -> Assembled:
    """The standard conic form of a program. Peak memory is about twice that of the resulting matrix; `MemoryLimitError` where there is
    less."""
    require(form_bytes(program), "The conic form of this program", instead(program))
    faces = [(term, term.rows()) for term in program.terms]
    starts = np.cumsum([program.n_variables, *(len(rows.cost) for _, rows in faces)])
    n_total = int(starts[-1])

    # term by term, so that each linear map is written down once; then kind by kind
    parts = [part for (term, rows), start in zip(faces, starts, strict=False) for part in _parts(term, rows, int(start), n_total)]
    parts.sort(key=lambda part: CONE_KINDS.index(part[1].kind))
    placed: list[Placed] = []
    cones: list[Cone] = []
    row = 0
    for name, piece, _ in parts:
        placed.append(Placed(name, piece, slice(row, row + len(piece.b))))
        row += len(piece.b)
        if piece.kind not in (ZERO, NONNEGATIVE):
            cones.extend(Cone(piece.kind, size) for size in piece.sizes)
    linear = [Cone(kind, size) for kind in (ZERO, NONNEGATIVE) if (size := sum(len(p.b) for _, p, _ in parts if p.kind == kind))]
    offsets = [piece.b for _, piece, _ in parts]
    matrices = [matrix for _, _, matrix in parts]
    del parts

    A = _stacked(matrices, n_total)
    cost = np.concatenate([np.zeros(program.n_variables), *(rows.cost for _, rows in faces)])
    quadratic = np.concatenate([np.zeros(program.n_variables), *(rows.quadratic for _, rows in faces)])
    form = ConicForm(
        P=_diagonal_csc(quadratic),
        c=cost,
        A=A,
        b=np.concatenate(offsets),
        cones=(*linear, *cones),
        offset=0.0,
        names=_names(program, faces),
    )
    sizes = {term.name: term.map.shape[0] for term, _ in faces}
    return Assembled(form, program.n_variables, sizes, tuple(placed))


def _parts(term: Term, rows: ConicRows, start: int, n_total: int) -> list[tuple[str, Rows, scipy.sparse.csr_array]]:
    """The pieces of one term, each with its rows of the form's matrix."""
    uses = [isinstance(piece.on_z, float) or piece.on_z.nnz > 0 for piece in rows.pieces]
    K = term.map.matrix() if any(uses) else None
    shared = sum(uses) > 1
    return [(term.name, piece, _composed(K, piece, shared, start, n_total, term.map.shape[1])) for piece in rows.pieces]


def _composed(
    K: scipy.sparse.csr_array | None, piece: Rows, shared: bool, start: int, n_total: int, width: int
) -> scipy.sparse.csr_array:
    """[on_z K | 0 | on_t | 0] with the auxiliaries of the term at column `start`."""
    if isinstance(piece.on_z, float):
        assert K is not None
        out = K.copy() if shared else K
        out.data *= piece.on_z
    elif piece.on_z.nnz:
        out = (piece.on_z @ K).tocsr()
    else:
        out = scipy.sparse.csr_array((piece.on_z.shape[0], width))
    if piece.on_t.nnz:
        gap = scipy.sparse.csr_array((out.shape[0], start - width))
        out = scipy.sparse.hstack([out, gap, piece.on_t], format="csr")
    out.resize(out.shape[0], n_total)
    return out


def _stacked(parts: list[scipy.sparse.csr_array], n_total: int) -> scipy.sparse.csc_array:
    """The parts on top of each other, by columns; parts are released as soon as they are copied."""
    if not parts:
        return scipy.sparse.csc_array((0, n_total))
    stacked = scipy.sparse.vstack(parts, format="csr") if len(parts) > 1 else parts[0]
    parts.clear()
    return stacked.tocsc()


def _diagonal_csc(values: Vector) -> scipy.sparse.csc_array:
    at = np.flatnonzero(values)
    counts = np.concatenate([[0], np.cumsum(values != 0)]).astype(np.int32)
    return scipy.sparse.csc_array((values[at], at.astype(np.int32), counts), shape=(len(values), len(values)))


def _names(program: Program, faces: list[tuple[Term, ConicRows]]) -> tuple[str, ...]:
    own = [name for variable in program.variables for name in variable.names()]
    auxiliary = [f"{term.name}.{i}" for term, rows in faces for i in range(len(rows.cost))]
    return tuple(own + auxiliary)
