"""A solution that was made elsewhere: measured here, and proved where its file has no multipliers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ..certify.bound import DualPoint, relative_gap
from ..certify.contradiction import refuse_contradiction
from ..declared import number
from ..errors import RelumodelError
from ..program.program import Program
from .protocol import Options, RawSolution
from .solution import Solution
from .solve import earned_status, measured, solve


def read_solution(program: Program, path: Any, tol: float, prove: bool, time_limit: float | None) -> Solution:
    """See `relumodel.api.Program.read_solution`."""
    from ..formats.import_solution import import_solution

    asked = Options(number(tol, "tol", above=0))
    limit = None if time_limit is None else number(time_limit, "time_limit", above=0)
    found = import_solution(program, path)
    raw = RawSolution("inaccurate", message=found.message)
    solution = measured(program, ((found.point, 0.1 * asked.tol),), found.duals, raw, Path(path).name, asked)
    with_multipliers = "its multipliers prove" if found.duals is not None else "it has no multipliers; the point alone proves"
    solution = dataclasses.replace(solution, message=f"{found.message}; {with_multipliers} the bound")
    if solution.status == "optimal" or not prove:
        return solution
    return _proved(solution, found.message, limit)


def _proved(solution: Solution, message: str, limit: float | None) -> Solution:
    """A point as it is, with the better bound of multipliers that a solver finds when it starts there."""
    try:
        proof = solve(solution.program, tol=solution.tol, time_limit=limit, warm_start=solution.point)
    except RelumodelError as error:
        return dataclasses.replace(solution, message=f"{solution.message}; no solver here could improve it: {error}")
    time_taken = solution.time + proof.time
    if proof.bound <= solution.bound:
        return dataclasses.replace(solution, time=time_taken)
    refuse_contradiction(solution.program, solution.point, solution.objective, DualPoint(proof.bound, proof.dual))
    gap = relative_gap(solution.objective, proof.bound)
    ended = proof.status if proof.status in ("time limit", "interrupted") else solution.status
    status = earned_status(solution.program, solution.point, ended, gap, solution.tol)
    return dataclasses.replace(
        solution,
        status=status,
        bound=proof.bound,
        dual=proof.dual,
        gap=gap,
        time=time_taken,
        message=f"{message}; the bound is of multipliers computed here ({proof.backend}, {proof.time:.2g} s)",
    )
