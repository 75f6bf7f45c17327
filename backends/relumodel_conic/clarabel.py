"""Clarabel: an embedded interior-point solver for every cone relumodel uses. Takes our conic form as it is."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from relumodel.backend import ConicForm, Options, RawSolution, package_missing

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


class ClarabelBackend:
    """Rows b - A x in cones, exponential cones (x, y, z) with y exp(x / y) <= z: both are Clarabel's own conventions."""

    name = "clarabel"
    accepts = ConicForm
    supports: ClassVar[set[str]] = {"zero", "nonnegative", "second-order", "exponential", "quadratic"}
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

    def solve(self, problem: ConicForm, options: Options) -> RawSolution:
        import clarabel

        P = sparse.triu(problem.P, format="csc")
        solver = clarabel.DefaultSolver(P, problem.c, problem.A, problem.b, _cones(problem, clarabel), _settings(options, clarabel))

        def watch(info: Any) -> bool:
            return options.report(
                info.iterations,
                objective=info.cost_primal + problem.offset,
                bound=info.cost_dual + problem.offset,
                gap=info.gap_rel,
                violation=info.res_primal,
            )

        solver.set_termination_callback(watch)
        with options.catching_interrupt():
            answer = solver.solve()
        status = STATUS.get(str(answer.status), "failed")
        if status == "interrupted":
            status = options.stopped or status
        return RawSolution(
            status=status,
            x=np.asarray(answer.x),
            dual=np.asarray(answer.z),
            objective=answer.obj_val + problem.offset,
            iterations=answer.iterations,
            message=f"Clarabel: {answer.status}",
        )


def _settings(options: Options, clarabel: Any) -> Any:
    settings = clarabel.DefaultSettings()
    settings.verbose = options.verbose
    # the repaired point loses a little of what the solver reaches, so more is asked of it than of the gap
    wanted = min(1e-9, 1e-3 * options.tol)
    settings.tol_gap_rel = settings.tol_gap_abs = settings.tol_feas = wanted
    remaining = options.remaining()
    if remaining is not None:
        settings.time_limit = max(remaining, 1e-3)
    for key, value in options.extra.items():
        setattr(settings, key, value)
    return settings


def _cones(problem: ConicForm, clarabel: Any) -> list[Any]:
    make = {
        "zero": clarabel.ZeroConeT,
        "nonnegative": clarabel.NonnegativeConeT,
        "second-order": clarabel.SecondOrderConeT,
        "exponential": lambda size: clarabel.ExponentialConeT(),
    }
    return [make[cone.kind](cone.size) for cone in problem.cones]
