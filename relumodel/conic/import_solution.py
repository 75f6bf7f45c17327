"""A solution file -> the point of a program, and its multipliers where the file has them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import FileError
from ..program.program import Program
from ..program.semidefinite import order_of, triangle
from .assemble import assemble
from .cbf import row_order
from .form import ConicForm
from .mps import HOLDS, slack_count
from .sidecar import program_name
from .solution_files import FoundSolution, read_solution_file

Vector = NDArray[np.float64]

#: Names that a reader of CBF gives to columns without names: C0000000, X1, x[0], ...
NUMBERED = re.compile(r"([A-Za-z_]*\[?)(\d+)\]?")

CBF = "columns of its .cbf file"


def import_solution(program: Program, path: str | Path) -> tuple[Vector, dict[str, Vector] | None, str]:
    """The point, the multipliers of the terms or None, and where they come from. Nothing is measured yet."""
    found = read_solution_file(path)
    name = program_name(program)
    if found.name is not None and found.name.startswith("relumodel-") and found.name != name:
        raise FileError(f"{path} is a solution of another program: of {found.name}; this one is {name}.")
    assembled = assemble(program)
    point = _point(program, assembled.form, found, path)
    z = _multipliers(assembled.form, found)
    stated = "" if found.objective is None else f", which states the objective {found.objective:.8g}"
    without = "" if z is not None else "; it has no multipliers, so the bound is built from the point alone"
    return point, None if z is None else assembled.duals(z), f"read from a file ({found.kind}){stated}{without}"


def _point(program: Program, form: ConicForm, found: FoundSolution, path: str | Path) -> Vector:
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
    return np.array(values[: program.n_variables])


def _sizes(program: Program, form: ConicForm) -> dict[int, str]:
    """How many values a list without names may have."""
    N = len(form.names)
    sizes = {program.n_variables: "variables", N: "columns of its conic form"}
    if form.kinds <= {*HOLDS, "quadratic"}:
        sizes[N + slack_count(form)] = "columns of its .mps file"
    return {**sizes, N + (form.P.nnz > 0): CBF}


def _numbered(names: list[str]) -> bool:
    """Whether the names are one word with consecutive numbers."""
    matches = [NUMBERED.fullmatch(name) for name in names]
    known = [match for match in matches if match is not None]
    if len(known) < len(names) or len({match[1] for match in known}) != 1:
        return False
    numbers = [int(match[2]) for match in known]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _by_name(program: Program, form: ConicForm, found: FoundSolution, values: dict[str, float], path: str | Path) -> Vector:
    own = form.names[: program.n_variables]
    unknown = values.keys() - set(form.names)
    unknown = {name for name in unknown if not name.startswith("soc[")}
    missing = [] if found.zeros_left_out else [name for name in own if name not in values]
    if unknown or missing:
        what = f"a value for {min(unknown)!r}, which this program does not have" if unknown else f"no value for {missing[0]!r}"
        raise FileError(f"{path} has {what}; is it a solution of another program, or cut short?")
    return np.array([values.get(name, 0.0) for name in own])


def _multipliers(form: ConicForm, found: FoundSolution) -> Vector | None:
    """z for the rows of the form when the file has them all, else None."""
    M = len(form.b)
    if found.cone_multipliers:
        extra = len(form.P.data) + 2 if form.P.nnz else 0
        if len(found.cone_multipliers) != M + extra:
            return None
        return np.array(found.cone_multipliers)[_mosek_rows(form, extra)]
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
