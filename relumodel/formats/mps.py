"""MPS, free format, one entry a line: linear and quadratic programs, and second-order cones as quadratic rows.

    minimise  1/2 x'P x + c'x + offset   subject to   A x = b,  A x <= b,  and second-order cones on variables

Rows are r0, r1, ... as in the conic form; the objective is obj, with minus the offset as its right-hand side. P goes to QUADOBJ,
which has the 1/2. A row of a cone that is a variable as it stands (b - A x = x_j) is that variable; any other gets a variable
soc[i] with a row A x + soc[i] = b. A cone k is then, with t >= 0 its head,

    cones="qcmatrix"   a row qk <= 0 with the quadratic part -t t + sum z z (QCMATRIX, without a 1/2): most readers
    cones="csection"   CSECTION k of type QUAD: MOSEK, Xpress
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import scipy
from numpy.typing import NDArray

from ..conic.form import ConicForm
from ..conic.quadratic import diagonal_of
from ..errors import InputError
from .columns import PIECE, coalesced, pieces

Out = Callable[[str], object]
Step = Callable[[int], object]

#: The cones that the format can hold.
HOLDS = ("zero", "nonnegative", "second-order")


@dataclass(frozen=True, eq=False)
class Layout:
    """A conic form as the file has it.

    member : for every row the column that stands for it in a cone, -1 for rows of other kinds.  own : rows with a line in ROWS.
    slack : the rows of the variables soc[i], which follow the form's own columns.
    """

    form: ConicForm
    A: scipy.sparse.csc_array
    name: str
    cones: str
    member: NDArray[np.intp]
    own: NDArray[np.bool_]
    slack: NDArray[np.intp]
    step: Step

    def column(self, j: int) -> str:
        """The name of a column."""
        N = self.A.shape[1]
        return self.form.names[j] if j < N else f"soc[{self.slack[j - N]}]"

    def members(self) -> Iterator[list[str]]:
        """The variables of every cone, head first."""
        columns = iter(self.member[self.form.rows("second-order")].tolist())
        for size in self.form.sizes("second-order"):
            yield [self.column(j) for j in islice(columns, size)]


def write_mps(form: ConicForm, name: str, out: Out, step: Step, cones: str = "qcmatrix") -> None:
    """Write `form` piece by piece; `step` is told how many coefficients of A each piece held."""
    refuse_cones(form.kinds)
    if len(set(form.names)) != len(form.names) or any(name.split() != [name] for name in form.names):
        raise InputError("MPS needs names that are unique and without spaces; those of this conic form are not.")
    A = coalesced(form.A)
    member = _members(form, A)
    soc = form.rows("second-order")
    slack = soc.start + np.flatnonzero(member[soc] < 0)
    own = member < 0
    member[slack] = A.shape[1] + np.arange(len(slack))
    layout = Layout(form, A, name, cones, member, own, slack, step)
    for section in SECTIONS:
        section(layout, out)
    out("ENDATA\n")


def slack_names(form: ConicForm) -> list[str]:
    """The variables soc[i] that the file has after the form's own."""
    soc = form.rows("second-order")
    return [f"soc[{soc.start + k}]" for k in np.flatnonzero(_members(form, coalesced(form.A))[soc] < 0).tolist()]


def refuse_cones(kinds: frozenset[str]) -> None:
    """Raise for what the format cannot hold."""
    lost = sorted(kinds - {*HOLDS, "quadratic"})
    if lost:
        raise InputError(f"MPS cannot hold {', '.join(lost)} cones, which this program has; CBF can: write a .cbf file.")


def _members(form: ConicForm, A: scipy.sparse.csc_array) -> NDArray[np.intp]:
    """For every row of a second-order cone the variable it is, each variable once; -1 for all others."""
    M = A.shape[0]
    counts, column = np.zeros(M, dtype=np.intp), np.full(M, -1)
    for _, rows, cols, values in pieces(A):
        counts += np.bincount(rows, minlength=M)
        column[rows[values == -1]] = cols[values == -1]
    inside = np.zeros(M, dtype=bool)
    inside[form.rows("second-order")] = True
    column[~inside | (counts != 1) | (form.b != 0)] = -1
    _, first = np.unique(column, return_index=True)
    once = np.zeros(M, dtype=bool)
    once[first] = True
    return np.where(once, column, -1)


def _names(layout: Layout, out: Out) -> None:
    # no OBJSENSE: to minimise is what readers do without one, and GLPK refuses the section
    out(f"NAME {layout.name}\n")


def _rows(layout: Layout, out: Out) -> None:
    equal, soc = layout.form.rows("zero").stop, layout.form.rows("second-order")
    out("ROWS\n N obj\n")
    own = np.flatnonzero(layout.own).tolist()
    out("".join([f" {'E' if i < equal or i >= soc.start else 'L'} r{i}\n" for i in own]))
    if layout.cones == "qcmatrix":
        out("".join([f" L q{k}\n" for k in range(len(layout.form.sizes("second-order")))]))


def _columns(layout: Layout, out: Out) -> None:
    """Every column has a line, the objective's first: with cost 0 where there is nothing else."""
    out("COLUMNS\n")
    names, cost = layout.form.names, layout.form.c
    for columns, rows, cols, values in pieces(layout.A):
        kept = layout.own[rows]
        rows, cols, entries = rows[kept], cols[kept], values[kept]
        here = np.arange(columns.start, columns.stop)
        empty = np.bincount(cols - columns.start, minlength=len(here)) == 0
        priced = here[(cost[columns] != 0) | empty]
        # -1 stands for the objective; a stable sort puts it first in its column
        rows, cols = np.concatenate([np.full(len(priced), -1), rows]), np.concatenate([priced, cols])
        order = np.argsort(cols, kind="stable")
        triplets = zip(
            cols[order].tolist(), rows[order].tolist(), np.concatenate([cost[priced], entries])[order].tolist(), strict=True
        )
        out("".join([f" {names[j]} r{i} {v!r}\n" if i >= 0 else f" {names[j]} obj {v!r}\n" for j, i, v in triplets]))
        layout.step(len(values))
    out("".join([f" soc[{i}] r{i} 1.0\n" for i in layout.slack.tolist()]))


def _rhs(layout: Layout, out: Out) -> None:
    out("RHS\n")
    if layout.form.offset:
        out(f" RHS obj {-float(layout.form.offset)!r}\n")
    at = np.flatnonzero((layout.form.b != 0) & layout.own)
    out("".join([f" RHS r{i} {value!r}\n" for i, value in zip(at.tolist(), layout.form.b[at].tolist(), strict=True)]))


def _bounds(layout: Layout, out: Out) -> None:
    """All variables are free but the heads of cones."""
    out("BOUNDS\n")
    soc, sizes = layout.form.rows("second-order"), layout.form.sizes("second-order")
    heads = set(layout.member[soc.start + np.cumsum([0, *sizes])[:-1]].tolist()) if sizes else set()
    N = layout.A.shape[1] + len(layout.slack)
    for start in range(0, N, PIECE):
        here = range(start, min(start + PIECE, N))
        names = [(layout.column(j), j in heads) for j in here]
        out("".join([f" LO BND {name} 0.0\n PL BND {name}\n" if head else f" FR BND {name}\n" for name, head in names]))


def _quadobj(layout: Layout, out: Out) -> None:
    at, values = diagonal_of(layout.form.P)
    if len(at):
        names = [layout.form.names[j] for j in at.tolist()]
        out("QUADOBJ\n" + "".join([f" {name} {name} {value!r}\n" for name, value in zip(names, values.tolist(), strict=True)]))


def _cones(layout: Layout, out: Out) -> None:
    for k, (head, *tail) in enumerate(layout.members()):
        if layout.cones == "csection":
            out(f"CSECTION k{k} 0.0 QUAD\n" + "".join([f" {name}\n" for name in (head, *tail)]))
        else:
            out(f"QCMATRIX q{k}\n {head} {head} -1.0\n" + "".join([f" {name} {name} 1.0\n" for name in tail]))


SECTIONS = (_names, _rows, _columns, _rhs, _bounds, _quadobj, _cones)
