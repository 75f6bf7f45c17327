"""One program at several penalty strengths, each solve started from the one before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..data import read
from ..declare.model import Model
from ..declared import number
from ..errors import InputError, InputTypeError
from ..lift.lower import lower
from ..resources.deadline import limited
from .solution import Solution
from .solve import solve


def refuse_of_one_program(options: Mapping[str, Any], who: str, several: bool) -> None:
    """Errors for options of one program that is compiled and solved apart. several : whether `who` solves more than one."""
    if "group" in options:
        raise InputError(
            f"{who} needs all rows in one process. Where several hold them: program = model.compile(X, y, patterns, group=...), then "
            "program.solve(), and program.with_penalty(beta).solve() for another penalty."
        )
    if several and options.get("checkpoint") is not None:
        raise InputError(
            f"A checkpoint is of one program, and {who} solves several. Compile each with model.compile or program.with_penalty, and give its "
            "solve a folder of its own."
        )


def path(model: Model, X: Any, y: Any, betas: Any, patterns: Any, **options: Any) -> list[Solution]:
    """Solve for several penalty strengths, largest first, each started from the one before; returned in the order of `betas`.

    The program is compiled once; options go to `Program.solve`, a time_limit for each. After Ctrl-C the solutions still to come are what is
    known without solving: the point of the one before. Raises `InputError` for options of one program alone: group, checkpoint.
    """
    try:
        values = [number(b, "every beta", low=0) for b in betas]
    except TypeError as error:
        if isinstance(error, InputTypeError):
            raise
        raise InputTypeError(f"betas must be a sequence of numbers; got {betas!r}.") from error
    if not values:
        raise InputError("betas is empty; give at least one penalty strength.")
    refuse_of_one_program(options, "rm.path", len(set(values)) > 1)
    program = lower(model.network, model, read(X, y, model.loss), patterns)
    solutions: dict[float, Solution] = {}
    previous = options.pop("warm_start", None)
    with limited():
        for beta in sorted(set(values), reverse=True):
            previous = solve(program.with_penalty(beta), warm_start=previous, **options)
            solutions[beta] = previous
    return [solutions[beta] for beta in values]
