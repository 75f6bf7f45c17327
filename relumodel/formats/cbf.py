"""Conic Benchmark Format, version 3 (Friberg 2016; https://cblib.zib.de): text, indices from 0.

    minimise  c'x + offset   subject to   A x + b  in  cones        (b is added, so A is minus ours)

A cone is written as CBF has it: F free, L= zero, L+ nonnegative, Q second-order (head first), QR rotated (2 p q >= |x|^2), EXP
(u0 >= u1 exp(u2 / u1), our exponential cone backwards). CBF has no quadratic objective: 1/2 x'P x becomes a last variable u of
cost 1 with a last cone QR on (u, 1, P^(1/2) x). There are no names; the JSON file beside it has them.

A semidefinite cone becomes a matrix  sum_j x_j H_j + D >= 0  of PSDCON, with H in HCOORD and D in DCOORD: its natural entries, lower
triangle, so our off-diagonal ones divided by sqrt 2. There are no matrix variables (PSDVAR): ours are scalars.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from ..conic.form import ConicForm
from ..conic.quadratic import diagonal_of
from ..maps.symmetric import order_of, triangle
from .columns import coalesced, pieces

Out = Callable[[str], object]
Step = Callable[[int], object]

CONES = {"zero": "L=", "nonnegative": "L+", "second-order": "Q", "exponential": "EXP"}


@dataclass(frozen=True, eq=False)
class Layout:
    """A conic form as the file has it. A, H : its scalar rows, and those of its matrices.  rows : the row of the file for every scalar
    row of the form.  at, roots : the diagonal of P^(1/2)."""

    form: ConicForm
    A: scipy.sparse.csc_array
    H: scipy.sparse.csc_array
    rows: NDArray[np.intp]
    at: NDArray[np.intp]
    roots: NDArray[np.float64]
    step: Step

    @property
    def columns(self) -> int:
        """The number of variables in the file."""
        return self.A.shape[1] + (len(self.at) > 0)


def write_cbf(form: ConicForm, out: Out, step: Step) -> None:
    """Write `form` piece by piece; `step` is told how many coefficients of A each piece held."""
    at, squares = diagonal_of(form.P)
    A, scalars = coalesced(form.A), form.rows("semidefinite").start
    A, H = (A, A[:0]) if scalars == A.shape[0] else (A[:scalars], A[scalars:])
    layout = Layout(form, A, H, row_order(form), at, np.sqrt(squares), step)
    for section in SECTIONS:
        section(layout, out)


def row_order(form: ConicForm) -> NDArray[np.intp]:
    """The row of the file for every scalar row of the form: the same but in exponential cones, which are written backwards."""
    rows = np.arange(form.rows("semidefinite").start)
    triples = rows[form.rows("exponential")].reshape(-1, 3)
    triples[:] = triples[:, ::-1].copy()
    return rows


def _ver(layout: Layout, out: Out) -> None:
    out("VER\n3\n\n")


def _objsense(layout: Layout, out: Out) -> None:
    out("OBJSENSE\nMIN\n\n")


def _var(layout: Layout, out: Out) -> None:
    N = layout.columns
    out(f"VAR\n{N} 1\nF {N}\n\n")


def _psdcon(layout: Layout, out: Out) -> None:
    sizes = layout.form.sizes("semidefinite")
    if sizes:
        out(f"PSDCON\n{len(sizes)}\n" + "".join(f"{order_of(size)}\n" for size in sizes) + "\n")


def _con(layout: Layout, out: Out) -> None:
    cones = [(CONES[cone.kind], cone.size) for cone in layout.form.cones if cone.kind != "semidefinite"]
    if len(layout.at):
        cones.append(("QR", len(layout.at) + 2))
    if not cones:
        return
    out(f"CON\n{sum(size for _, size in cones)} {len(cones)}\n")
    out("".join(f"{name} {size}\n" for name, size in cones) + "\n")


def _objacoord(layout: Layout, out: Out) -> None:
    cost = np.append(layout.form.c, 1.0) if len(layout.at) else layout.form.c
    _entries("OBJACOORD", cost, out)


def _objbcoord(layout: Layout, out: Out) -> None:
    if layout.form.offset:
        out(f"OBJBCOORD\n{float(layout.form.offset)!r}\n\n")


def _acoord(layout: Layout, out: Out) -> None:
    (M, N), k = layout.A.shape, len(layout.at)
    count = layout.A.nnz + (k + 1 if k else 0)
    if not count:
        return
    out(f"ACOORD\n{count}\n")
    for _, rows, cols, values in pieces(layout.A):
        triplets = zip(layout.rows[rows].tolist(), cols.tolist(), (-values).tolist(), strict=True)
        out("".join([f"{i} {j} {value!r}\n" for i, j, value in triplets]))
        layout.step(len(values))
    if k:
        squares = zip(range(M + 2, M + 2 + k), layout.at.tolist(), layout.roots.tolist(), strict=True)
        out(f"{M} {N} 1.0\n" + "".join([f"{i} {j} {value!r}\n" for i, j, value in squares]))
    out("\n")


def _bcoord(layout: Layout, out: Out) -> None:
    b = np.zeros(len(layout.rows) + (len(layout.at) + 2 if len(layout.at) else 0))
    b[layout.rows] = layout.form.b[: len(layout.rows)]
    if len(layout.at):
        b[len(layout.rows) + 1] = 1.0
    _entries("BCOORD", b, out)


def _matrix_entries(layout: Layout) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """For every row of H: its matrix, its place (row, column) in the lower triangle, and svec's factor, by which it is divided."""
    parts = [(np.full(size, k), *triangle(order_of(size))) for k, size in enumerate(layout.form.sizes("semidefinite"))]
    matrix, column, row, factor = (np.concatenate(part) for part in zip(*parts, strict=True))
    return matrix, row, column, factor


def _hcoord(layout: Layout, out: Out) -> None:
    if not layout.H.nnz:
        return
    matrix, i, j, factor = _matrix_entries(layout)
    out(f"HCOORD\n{layout.H.nnz}\n")
    for _, rows, cols, values in pieces(layout.H):
        parts = (matrix[rows], cols, i[rows], j[rows], -values / factor[rows])
        entries = zip(*(part.tolist() for part in parts), strict=True)
        out("".join([f"{k} {x} {row} {col} {value!r}\n" for k, x, row, col, value in entries]))
        layout.step(len(values))
    out("\n")


def _dcoord(layout: Layout, out: Out) -> None:
    constant = layout.form.b[len(layout.rows) :]
    at = np.flatnonzero(constant)
    if len(at):
        matrix, i, j, factor = _matrix_entries(layout)
        parts = (matrix[at], i[at], j[at], constant[at] / factor[at])
        entries = zip(*(part.tolist() for part in parts), strict=True)
        out(f"DCOORD\n{len(at)}\n" + "".join([f"{k} {row} {col} {value!r}\n" for k, row, col, value in entries]) + "\n")


def _entries(keyword: str, values: NDArray[np.float64], out: Out) -> None:
    """The non-zero entries of a vector; nothing at all when there are none."""
    at = np.flatnonzero(values)
    if len(at):
        lines = [f"{i} {value!r}\n" for i, value in zip(at.tolist(), values[at].tolist(), strict=True)]
        out(f"{keyword}\n{len(at)}\n" + "".join(lines) + "\n")


SECTIONS = (_ver, _objsense, _var, _psdcon, _con, _objacoord, _objbcoord, _acoord, _bcoord, _hcoord, _dcoord)
