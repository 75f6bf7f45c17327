"""A solution file -> the point of a program, and its multipliers where the file has them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..conic.assemble import assemble
from ..conic.form import ConicForm, relative_violation
from ..errors import FileError
from ..maps.symmetric import order_of, triangle
from ..program.program import Program
from .cbf import row_order
from .mps import HOLDS, slack_names
from .sidecar import program_name
from .solutions import read_solution_file
from .solutions.found import ALL, NONZERO, FoundSolution

Vector = NDArray[np.float64]

#: Names that a reader of CBF gives to columns without names: C0000000, X1, x[0], ...
NUMBERED = re.compile(r"([A-Za-z_]*\[?)([0-9]{1,15})\]?")

CBF = "columns of its .cbf file"

#: How far the stated objective may be from that of the file's own values, relative to the sum of the objective's parts. Files with six
#: digits and the tolerances of solvers cost 1e-5; a column that is cut off and was not zero costs more, or nothing that matters.
STATED = 1e-4

#: How far the values may be outside the program's constraints, relative to each one's size. First-order solvers leave 1e-4.
OUTSIDE = 1e-2


class Imported(NamedTuple):
    """What a file gives a program. point : the program's own variables.  duals : of its terms, or None."""

    point: Vector
    duals: dict[str, Vector] | None
    message: str


def import_solution(program: Program, path: str | Path) -> Imported:
    """What a solution file says of this program, or a `FileError` that says why it cannot be its solution."""
    found = read_solution_file(path)
    name = program_name(program)
    if found.name is not None and found.name.startswith("relumodel-") and found.name != name:
        raise FileError(f"{path} is a solution of another program: of {found.name}; this one is {name}.")
    assembled = assemble(program)
    values, left_out = _values(program, assembled.form, found, path)
    _check(program, assembled.form, values, left_out, found, path)
    z = _multipliers(assembled.form, found)
    notes = [f"read from a file ({found.form})"]
    if found.objective is not None:
        notes.append(f"which states the objective {found.objective:.8g}")
    if left_out:
        notes.append(f"{left_out} of {len(assembled.form.names)} columns are not in it and count as zero")
    if found.doubt:
        notes.append(found.doubt)
    point = values[: program.n_variables]
    return Imported(point, None if z is None else assembled.duals(z), ", ".join(notes))


def _values(program: Program, form: ConicForm, found: FoundSolution, path: str | Path) -> tuple[Vector, int]:
    """The values of all columns of the form, or of the program's own variables only; and how many the file has left out."""
    values, sizes = found.values, _sizes(program, form)
    if isinstance(values, dict):
        if values.keys() & set(form.names) or not _numbered(list(values)):
            return _by_name(program, form, found, values, path)
        values = list(values.values())
        sizes = {size: what for size, what in sizes.items() if what == CBF}
    if len(values) not in sizes:
        allowed = ", ".join(f"{size} ({what})" for size, what in sorted(sizes.items()))
        raise FileError(
            f"{path} has {len(values)} values where this program has {allowed}; is it of another program, or cut short?"
        )
    return np.array(values[: len(form.names)]), 0


def _sizes(program: Program, form: ConicForm) -> dict[int, str]:
    """How many values a list without names may have."""
    N = len(form.names)
    sizes = {program.n_variables: "variables", N: "columns of its conic form"}
    if form.kinds <= {*HOLDS, "quadratic"}:
        sizes[N + len(slack_names(form))] = "columns of its .mps file"
    return {**sizes, N + (form.P.nnz > 0): CBF}


def _numbered(names: list[str]) -> bool:
    """Whether the names are one word with consecutive numbers."""
    matches = [NUMBERED.fullmatch(name) for name in names]
    known = [match for match in matches if match is not None]
    if not known or len(known) < len(names) or len({match[1] for match in known}) != 1:
        return False
    numbers = [int(match[2]) for match in known]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _by_name(
    program: Program, form: ConicForm, found: FoundSolution, values: dict[str, float], path: str | Path
) -> tuple[Vector, int]:
    own, slack = form.names[: program.n_variables], slack_names(form)
    every = [*form.names, *slack]
    unknown = values.keys() - set(every)
    if unknown:
        raise FileError(
            f"{path} has a value for {min(unknown)[:60]!r}, which this program does not have; is it a solution of another program?"
        )
    only_own = found.columns != ALL and not values.keys() - set(own)
    # a file of our .cbf may come back with names, but without the columns that only .mps needs
    wanted = own if only_own else every if values.keys() & set(slack) or found.columns == ALL else form.names
    missing = [name for name in wanted if name not in values]
    if missing and found.columns != NONZERO:
        raise FileError(
            f"{path} has values for {len(wanted) - len(missing)} of {len(wanted)} columns, and no value for {missing[0]!r}; is it a "
            "solution of another program, or cut short?"
        )
    names = form.names if found.columns == NONZERO or not only_own else own
    return np.array([values.get(name, 0.0) for name in names]), len([name for name in names if name not in values])


def _check(program: Program, form: ConicForm, values: Vector, left_out: int, found: FoundSolution, path: str | Path) -> None:
    """Errors for values that the file itself contradicts, or this program.

    With all columns at hand, the conic form's objective is what the solver minimised, and its rows are what it had to satisfy. With the
    program's own alone, the objective measured here is at most what the solver saw.
    """
    stated, ask = found.objective, "is it cut short, or a solution of another program?"
    with np.errstate(over="ignore", invalid="ignore"):
        if len(values) < len(form.names):
            measured = program.objective(values)
            if stated is not None and not measured - stated <= OUTSIDE * (abs(stated) + abs(measured)):
                raise FileError(f"{path} states the objective {stated:.8g}, and its values give {measured:.8g}; {ask}")
            return
        here = form.objective(values)
        parts = abs(form.c) @ abs(values) + 0.5 * values @ (form.P @ values)
        if stated is not None and not abs(here - stated) <= STATED * max(parts, abs(stated)):
            without = f" ({left_out} of {len(values)} columns have none and count as zero)" if left_out else ""
            raise FileError(f"{path} states the objective {stated:.8g}, and its values{without} give {here:.8g}; {ask}")
        outside = relative_violation(form, values)
        if not outside <= OUTSIDE:
            raise FileError(
                f"{path} has values that violate a constraint of this program by {outside:.0%} of its size; {ask} Values of the program's "
                f"{program.n_variables} own variables alone are taken as they are."
            )


def _multipliers(form: ConicForm, found: FoundSolution) -> Vector | None:
    """z for the rows of the form when the file has them all, else None."""
    M = len(form.b)
    if found.cone_multipliers:
        extra = len(form.P.data) + 2 if form.P.nnz else 0
        if len(found.cone_multipliers) != M + extra:
            return None
        return np.array(found.cone_multipliers)[_mosek_rows(form, extra)]
    if len(found.row_multipliers) - M in (0, 1) and form.kinds <= {"zero", "nonnegative", "quadratic"}:
        return np.array(found.row_multipliers[-M:])  # HiGHS may count the objective as a first row
    if not all(f"r{i}" in found.multipliers for i in range(M)):
        return None
    return np.array([found.multipliers[f"r{i}"] for i in range(M)])


def _mosek_rows(form: ConicForm, extra: int) -> NDArray[np.intp]:
    """Where MOSEK lists every row of the form: the file's scalar cones, the `extra` rows of the quadratic objective, then the
    matrices, as the lower triangle by columns with svec's factors."""
    rows, at = [row_order(form)], form.rows("semidefinite").start + extra
    for size in form.sizes("semidefinite"):
        order = order_of(size)
        place = np.zeros((order, order), dtype=np.intp)
        place[np.triu_indices(order)] = np.arange(size)  # the upper triangle by rows is the lower one by columns
        row, column, _ = triangle(order)
        rows.append(at + place[row, column])
        at += size
    return np.concatenate(rows)
