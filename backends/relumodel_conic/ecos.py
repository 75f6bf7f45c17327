"""ECOS: an embedded interior-point solver for linear, second-order and exponential cones (Domahidi et al. 2013; Serrano 2015).

ECOS takes  min c'x  s.t.  A x = b,  h - G x in cones:  our rows with the zero cone split off. Its exponential cone is our
(x, y, z) in the order (x, z, y), so those rows are permuted on the way in, and their duals on the way out.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from relumodel.backend import (
    ConicForm,
    Options,
    Program,
    RawSolution,
    forwarding_interrupts,
    matrix_bytes,
    package_missing,
    refuse_time_limit,
)

#: What ECOS returns after Ctrl-C.
SIGNALLED = -4
#: Above it: close to infeasible, close to unbounded.
INACCURATE = 10

STATUS = {
    0: "solved",
    10: "inaccurate",
    1: "infeasible",
    11: "infeasible",
    2: "unbounded",
    12: "unbounded",
    -1: "iteration limit",
    SIGNALLED: "interrupted",
}


class EcosBackend:
    """No quadratic objective (relumodel hands over a second-order cone instead), no callback and no clock: ECOS runs until it is
    done or Ctrl-C, which its own handler turns into an early return with the point it has."""

    name = "ecos"
    accepts = ConicForm
    supports: ClassVar[set[str]] = {"zero", "nonnegative", "second-order", "exponential"}
    keeps_time_limit = False
    options: ClassVar[dict[str, str]] = {
        "max_iters": "largest number of interior-point iterations (500)",
        "abstol": "absolute duality gap (0.01 tol, at most 1e-8)",
        "reltol": "relative duality gap (0.01 tol, at most 1e-8)",
        "feastol": "primal and dual residuals (0.01 tol, at most 1e-8)",
        "nitref": "steps of iterative refinement (9)",
    }

    def unavailable(self) -> str | None:
        return package_missing("ecos", "ecos")

    def bytes_needed(self, problem: Program) -> float:
        """The form, ECOS's copies, its KKT matrix and the factor: 10 to 11 times the matrix measured."""
        return 9 * matrix_bytes(problem)

    def solve(self, problem: ConicForm, options: Options) -> RawSolution:
        refuse_time_limit(self.name, options)
        import ecos

        order = _order(problem)
        rows = sparse.csr_array(problem.A)[order]
        b = problem.b[order]
        split = problem.rows("zero").stop
        dims = {
            "l": sum(problem.sizes("nonnegative")),
            "q": problem.sizes("second-order"),
            "e": len(problem.sizes("exponential")),
        }
        equal = (sparse.csc_matrix(rows[:split]), b[:split]) if split else (None, None)
        cones = (sparse.csc_matrix(rows[split:]), b[split:]) if split < len(b) else (None, None)
        settings = _settings(options)
        with options.catching_interrupt(), forwarding_interrupts():
            answer = ecos.solve(problem.c, *cones, dims, *equal, **settings)
            info = answer["info"]
            # on Ctrl-C ECOS looks once more, with loose tolerances, and may call its start "close to infeasible" before any iteration
            if info["exitFlag"] > INACCURATE and info["iter"] == 0:
                info["exitFlag"] = SIGNALLED
            if info["exitFlag"] == SIGNALLED:
                options.interrupt()
        return _raw(answer, problem, order)


def _order(problem: ConicForm) -> NDArray[np.intp]:
    """ECOS's rows in terms of ours."""
    order = np.arange(len(problem.b))
    triples = order[problem.rows("exponential")].reshape(-1, 3)
    triples[:] = triples[:, [0, 2, 1]]
    return order


def _settings(options: Options) -> dict[str, Any]:
    wanted = min(1e-8, 1e-2 * options.tol)
    settings = {"max_iters": 500, "abstol": wanted, "reltol": wanted, "feastol": wanted, "verbose": options.verbose}
    return settings | dict(options.extra)


def _raw(answer: dict[str, Any], problem: ConicForm, order: NDArray[np.intp]) -> RawSolution:
    info = answer["info"]
    status = STATUS.get(info["exitFlag"], "failed")
    message = f"ECOS: {'interrupted' if status == 'interrupted' else info['infostring']}"  # it has no words for that itself
    x = np.asarray(answer["x"])
    if status in ("infeasible", "unbounded") or not np.isfinite(x).all():  # a ray or nothing, not a point
        return RawSolution(status, iterations=info["iter"], message=message)
    dual = np.empty(len(order))
    dual[order] = np.concatenate([answer["y"], answer["z"]])
    return RawSolution(status, x, dual, problem.objective(x), info["iter"], message)
