"""Clarabel: an embedded interior-point solver for every cone relumodel uses. Takes our conic form as it is."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from relumodel.backend import ConicForm, Options, Program, RawSolution, matrix_bytes, package_missing, semidefinite_bytes
from relumodel.maps.symmetric import order_of

from .cost import refused

STATUS = {
    "Solved": "solved",
    "AlmostSolved": "inaccurate",
    "MaxIterations": "iteration limit",
    "MaxTime": "time limit",
    "CallbackTerminated": "interrupted",
    "PrimalInfeasible": "infeasible",
    "AlmostPrimalInfeasible": "infeasible",
    "DualInfeasible": "unbounded",
    "AlmostDualInfeasible": "unbounded",
    "InsufficientProgress": "inaccurate",
}

#: Endings where other settings may get further.
STALLED = ("AlmostSolved", "InsufficientProgress", "NumericalError")


class ClarabelBackend:
    """Rows b - A x in cones, exponential cones (x, y, z) with y exp(x / y) <= z: and semidefinite ones as
    scaled upper triangles by columns: all are Clarabel's own conventions."""

    name = "clarabel"
    accepts = ConicForm
    supports: ClassVar[set[str]] = {"zero", "nonnegative", "second-order", "exponential", "semidefinite", "quadratic"}
    options: ClassVar[dict[str, str]] = {
        "max_iter": "largest number of interior-point iterations (200)",
        "max_threads": "threads of the linear solver (0: its choice)",
        "direct_solve_method": "linear solver: auto, qdldl, faer (auto)",
        "equilibrate_enable": "scale the data first (True)",
        "presolve_enable": "remove redundant rows first (True)",
        "max_step_fraction": "share of the longest step taken (0.99)",
    }

    def unavailable(self) -> str | None:
        return package_missing("clarabel", "demo")

    def bytes_needed(self, problem: Program) -> float:
        """The form, Clarabel's copy, its KKT matrix and the factor: 8 to 9 times the matrix measured, and dense scalings of semidefinite cones."""
        return 7 * matrix_bytes(problem) + 2 * semidefinite_bytes(problem)

    def solve(self, problem: ConicForm, options: Options) -> RawSolution:
        late = refused("Clarabel", problem, options)
        if late is not None:
            return late
        answer = _run(problem, options, {})
        if str(answer.status) in STALLED and options.stopped is None and "max_step_fraction" not in options.extra:
            # steps of 0.99 can run into the boundary of exponential cones; shorter ones take more iterations and arrive
            again = _run(problem, options, {"max_step_fraction": 0.9})
            message = f"Clarabel: {answer.status}; again with shorter steps: {again.status}"
            better = str(again.status) == "Solved" or (options.stopped is None and again.obj_val <= answer.obj_val)
            return _raw(again if better else answer, problem, options, message)
        return _raw(answer, problem, options, f"Clarabel: {answer.status}")


def _run(problem: ConicForm, options: Options, settings: dict[str, Any]) -> Any:
    """One run of Clarabel, telling the callback and heeding Ctrl-C."""
    import clarabel

    P = sparse.triu(problem.P, format="csc")
    wanted = _settings(options, settings, clarabel)
    solver = clarabel.DefaultSolver(P, problem.c, problem.A, problem.b, _cones(problem, clarabel), wanted)

    before = options.deadline.remaining()

    def watch(info: Any) -> bool:
        nonlocal before
        left = options.deadline.remaining()
        took, before = before - left, left
        stop = options.report(
            info.iterations,
            objective=info.cost_primal + problem.offset,
            bound=info.cost_dual + problem.offset,
            gap=info.gap_rel,
            violation=info.res_primal,
        )
        if not stop and info.iterations > 0 and left < took:  # another such iteration would end late
            options.stopped = "time limit"
            return True
        return stop

    solver.set_termination_callback(watch)
    with options.catching_interrupt():
        return solver.solve()


def _raw(answer: Any, problem: ConicForm, options: Options, message: str) -> RawSolution:
    status = STATUS.get(str(answer.status), "failed")
    return RawSolution(
        status=options.stopped or status if status == "interrupted" else status,
        x=np.asarray(answer.x),
        dual=np.asarray(answer.z),
        objective=answer.obj_val + problem.offset,
        iterations=answer.iterations,
        message=message,
    )


def _settings(options: Options, own: dict[str, Any], clarabel: Any) -> Any:
    settings = clarabel.DefaultSettings()
    settings.verbose = options.verbose
    # the repaired point loses a little of what the solver reaches, so more is asked of it than of the gap
    wanted = min(1e-9, 1e-3 * options.tol)
    settings.tol_gap_rel = settings.tol_gap_abs = settings.tol_feas = wanted
    remaining = options.remaining()
    if remaining is not None:
        settings.time_limit = max(remaining, 1e-3)
    for key, value in {**own, **options.extra}.items():
        setattr(settings, key, value)
    return settings


def _cones(problem: ConicForm, clarabel: Any) -> list[Any]:
    make = {
        "zero": clarabel.ZeroConeT,
        "nonnegative": clarabel.NonnegativeConeT,
        "second-order": clarabel.SecondOrderConeT,
        "exponential": lambda size: clarabel.ExponentialConeT(),
        "semidefinite": lambda size: clarabel.PSDTriangleConeT(order_of(size)),
    }
    return [make[cone.kind](cone.size) for cone in problem.cones]
