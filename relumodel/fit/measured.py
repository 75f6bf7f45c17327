"""A point that no backend solved for, as a `Solution`."""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import NDArray

from ..certify.bound import certify, relative_gap
from ..certify.contradiction import refuse_contradiction
from ..program.program import Program
from ..resources.deadline import wrapping_up
from ..solve.solution import Solution


def measured(program: Program, point: NDArray[np.float64], tol: float, spent: float, tightened: bool = True) -> Solution:
    """The point with its objective and the bound that its loss gradient proves.

    spent : seconds that finding it took.  tightened : False leaves the multipliers of cones at zero, for programs where better ones take long.
    """
    started = time.perf_counter()
    with wrapping_up():
        certificate, objective = certify(program, point, None, tol if tightened else math.inf), program.objective(point)
    refuse_contradiction(program, point, objective, certificate)
    gap = relative_gap(objective, certificate.bound)
    return Solution(
        program=program,
        status="optimal" if gap <= tol else "tolerance not reached",
        objective=objective,
        bound=certificate.bound,
        gap=gap,
        violation=program.violation(point),
        point=point,
        dual=certificate.multipliers,
        iterations=None,
        time=spent + time.perf_counter() - started,
        backend="descent",
        tol=tol,
    )
