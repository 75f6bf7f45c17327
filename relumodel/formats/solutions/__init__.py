"""Solution files of other solvers: read strictly, every error with its line. One module a kind of file."""

from __future__ import annotations

from pathlib import Path

from ...errors import FileError
from ...files import read_text
from . import cbc, cplex, glpk, highs, miplib, mosek, plain, scip, xpress
from .found import FoundSolution, Lines

#: The first that recognises a file's first line reads it. A new kind of file is a module with a `Format`, and its line here; `plain`
#: takes what is left.
FORMATS = (
    *highs.FORMATS,
    *glpk.FORMATS,
    mosek.FORMAT,
    scip.FORMAT,
    cbc.FORMAT,
    cplex.FORMAT,
    xpress.FORMAT,
    miplib.FORMAT,
    plain.FORMAT,
)


def read_solution_file(path: str | Path) -> FoundSolution:
    """What a solution file says. Raises `FileError` for a file that cannot be read, is none of the known kinds, or is cut short."""
    path, text = read_text(path, "solution file")
    lines = Lines.of(path, text)
    first = next((text.strip() for text in lines.texts if text.strip()), None)
    if first is None:
        raise FileError(f"{path} is empty.")
    for format in FORMATS:
        if format.recognises(first):
            return format.read(lines)
    names = ", ".join(dict.fromkeys(format.name for format in FORMATS))
    raise FileError(f"{path}, line 1: not a solution file that relumodel reads; it reads {names}.")
