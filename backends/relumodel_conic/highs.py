"""HiGHS: simplex and interior point for linear programs, an active-set method for quadratic ones (Huangfu & Hall 2018).

Our rows b - A x >= 0 or = 0 become row bounds on A x, all variables free. HiGHS's multiplier of a row is the rise of the optimum
with its bound, so for P x + c + A'z = 0 the dual is z = - row dual.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from relumodel.backend import BackendError, ConicForm, InputError, Options, RawSolution, package_missing

STATUS = {
    "kOptimal": "solved",
    "kInfeasible": "infeasible",
    "kUnbounded": "unbounded",
    "kTimeLimit": "time limit",
    "kIterationLimit": "iteration limit",
    "kInterrupt": "interrupted",
    "kUnknown": "inaccurate",
}

#: Seconds between two looks at the callback; HiGHS calls thousands of times a second.
PAUSE = 0.05


class _StoppedError(Exception):
    """Raised from HiGHS's log to leave its active-set method, which has no other ear."""


class HighsBackend:
    """Linear and convex quadratic programs, which two-layer programs are with `rm.PathNorm`.

    Its active-set method for quadratic objectives is for small ones: from about 200 samples it is slow, and may give up.
    """

    name = "highs"
    accepts = ConicForm
    supports: ClassVar[set[str]] = {"zero", "nonnegative", "quadratic"}
    options: ClassVar[dict[str, str]] = {
        "solver": "for linear programs only: ipm, simplex, choose, or pdlp, which cannot be interrupted (ipm)",
        "presolve": "reduce the problem first: on, off, choose (choose)",
        "run_crossover": "go on from an interior point to a vertex: on, off, choose (on)",
        "threads": "largest number of threads, 0 for its choice (0)",
        "primal_feasibility_tolerance": "largest violation of a row (0.01 tol, at most 1e-7)",
        "dual_feasibility_tolerance": "largest violation of a reduced cost (0.01 tol, at most 1e-7)",
        "ipm_optimality_tolerance": "relative gap of the interior-point method (0.01 tol, at most 1e-8)",
        "simplex_iteration_limit": "largest number of simplex iterations (none)",
        "ipm_iteration_limit": "largest number of interior-point iterations (none)",
        "qp_iteration_limit": "largest number of active-set iterations (none)",
    }

    def unavailable(self) -> str | None:
        return package_missing("highspy", "highs")

    def solve(self, problem: ConicForm, options: Options) -> RawSolution:
        import highspy

        solver = highspy.Highs()
        _set_options(solver, problem, options, highspy)
        _pass_model(solver, problem, highspy)
        _listen(solver, problem, options, highspy)
        with options.catching_interrupt():
            try:
                solver.run()
            except _StoppedError:
                return RawSolution(
                    options.stopped or "interrupted", message="HiGHS: stopped during its active-set method, which leaves no point"
                )
        return _raw(solver, problem, options)


def _set_options(solver: Any, problem: ConicForm, options: Options, highspy: Any) -> None:
    quadratic = problem.P.nnz > 0
    if quadratic and options.extra.get("solver", "choose") != "choose":  # some versions would drop the quadratic part
        raise InputError(f"HiGHS's solver={options.extra['solver']!r} is for linear programs; this one has a quadratic objective.")
    wanted = max(min(1e-7, 1e-2 * options.tol), 1e-10)  # its smallest
    settings: dict[str, Any] = {
        "output_flag": options.verbose,
        "solver": "choose" if quadratic else "ipm",
        "primal_feasibility_tolerance": wanted,
        "dual_feasibility_tolerance": wanted,
        "ipm_optimality_tolerance": min(wanted, 1e-8),
        "qp_nullspace_limit": max(4000, len(problem.c)),  # beyond it HiGHS refuses
    }
    remaining = options.remaining()
    if remaining is not None:
        settings["time_limit"] = max(remaining, 1e-3)
    for key, value in (settings | dict(options.extra)).items():
        if solver.setOptionValue(key, value) != highspy.HighsStatus.kOk:
            raise InputError(f"HiGHS refuses {key}={value!r}; its options are described at https://highs.dev.")


def _pass_model(solver: Any, problem: ConicForm, highspy: Any) -> None:
    rows, variables = problem.A.shape
    A, Q = problem.A, sparse.tril(problem.P, format="csc")
    free = np.full(variables, np.inf)
    lower = np.full(rows, -np.inf)
    lower[problem.rows("zero")] = problem.b[problem.rows("zero")]
    whole = np.int32
    by_column, minimise, triangular, continuous = 1, 1, 1, np.zeros(variables, dtype=whole)
    matrix = (A.indptr.astype(whole), A.indices.astype(whole), A.data)
    done = solver.passModel(
        variables, rows, A.nnz, by_column, minimise, problem.offset, problem.c, -free, free, lower, problem.b, *matrix, continuous
    )
    if Q.nnz and done != highspy.HighsStatus.kError:
        done = solver.passHessian(variables, Q.nnz, triangular, Q.indptr.astype(whole), Q.indices.astype(whole), Q.data)
    if done == highspy.HighsStatus.kError:
        raise BackendError("HiGHS does not take the problem; solve with verbose='solver' to see what it says.")


def _listen(solver: Any, problem: ConicForm, options: Options, highspy: Any) -> None:
    """Report progress, and stop when asked. The active-set method offers no interrupt; it is left by an exception from its log."""
    kinds = highspy.cb.HighsCallbackType
    quadratic = problem.P.nnz > 0
    last, iterations = -np.inf, 0

    def watch(kind: Any, message: str, out: Any, reply: Any, data: Any) -> None:
        nonlocal last, iterations
        if kind == kinds.kCallbackLogging:
            line = message.split()  # iteration, objective, ...
            if len(line) == 4 and line[0].isdigit() and options.report(int(line[0]), float(line[1])):
                raise _StoppedError
            return
        now = time.perf_counter()
        if options.stopped is None and now - last < PAUSE:
            return
        last = now
        iterations = max(iterations, out.simplex_iteration_count, out.ipm_iteration_count)  # each -1 while the other works
        if options.report(iterations):
            reply.user_interrupt = True

    solver.setCallback(watch, None)
    if quadratic:
        if not options.verbose:
            solver.setOptionValue("log_to_console", False)
            solver.setOptionValue("output_flag", True)
        solver.startCallback(kinds.kCallbackLogging)
    else:
        solver.startCallback(kinds.kCallbackSimplexInterrupt)
        solver.startCallback(kinds.kCallbackIpmInterrupt)


def _raw(solver: Any, problem: ConicForm, options: Options) -> RawSolution:
    word = str(solver.getModelStatus()).rpartition(".")[2]
    status = STATUS.get(word, "failed")
    if status == "interrupted":
        status = options.stopped or status
    info, found = solver.getInfo(), solver.getSolution()
    iterations = max(info.simplex_iteration_count, 0) + max(info.ipm_iteration_count, 0) + max(info.qp_iteration_count, 0)
    x: NDArray[np.float64] = np.asarray(found.col_value, dtype=np.float64)
    known = found.value_valid and x.shape == problem.c.shape and bool(np.isfinite(x).all())
    if status in ("infeasible", "unbounded") or not known:
        return RawSolution(status, iterations=iterations, message=f"HiGHS: {word}")
    dual = -np.asarray(found.row_dual, dtype=np.float64) if found.dual_valid else None
    return RawSolution(status, x, dual, problem.objective(x), iterations, f"HiGHS: {word}")
