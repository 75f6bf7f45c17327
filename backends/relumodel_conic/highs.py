"""HiGHS: simplex and interior point for linear programs, an active-set method for quadratic ones (Huangfu & Hall 2018).

Our rows b - A x >= 0 or = 0 become row bounds on A x, all variables free. HiGHS's multiplier of a row is the rise of the optimum
with its bound, so for P x + c + A'z = 0 the dual is z = - row dual.
"""

from __future__ import annotations

import os
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
    """Raised from HiGHS's log to leave the active-set method of versions before 1.16, which has no other ear."""


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

        solver = _silent(highspy)
        _set_options(solver, problem, options, highspy)
        _pass_model(solver, problem, highspy)
        listener = _Listener(options, highspy)
        listener.attach(solver, quadratic=problem.P.nnz > 0)
        with options.catching_interrupt():
            try:
                solver.run()
            except _StoppedError:
                return _without_point(options)
        if listener.error is not None:
            raise listener.error
        return _raw(solver, problem, options)


def _silent(highspy: Any) -> Any:
    """A solver that prints nothing yet; from 1.16 on, a plain `Highs()` prints a banner as it connects its callbacks."""

    class Silent(highspy.Highs):
        def enableCallbacks(self) -> None:
            self.setOptionValue("output_flag", False)
            super().enableCallbacks()

    return Silent()


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


class _Listener:
    """Reports progress, stops the solver when asked, and keeps what is raised in its callback (`error`).

    HiGHS turns exceptions of callbacks into a failed solve (from 1.16 on) or lets them through, so only its active-set method
    before 1.16, which no callback can interrupt, is left by one.
    """

    def __init__(self, options: Options, highspy: Any) -> None:
        self.options, self.kinds = options, highspy.cb.HighsCallbackType
        self.error: BaseException | None = None
        self.last, self.iterations = -np.inf, 0
        self.by_exception = False

    def attach(self, solver: Any, quadratic: bool) -> None:
        solver.setCallback(self.watch, None)
        if not quadratic:
            solver.startCallback(self.kinds.kCallbackSimplexInterrupt)
            solver.startCallback(self.kinds.kCallbackIpmInterrupt)
            return
        # versions before 1.15 hand their log to callbacks only where it is also written somewhere, and then print nothing of it
        for key, value in {"log_file": os.devnull, "log_to_console": False, "output_flag": True}.items():
            solver.setOptionValue(key, value)
        solver.startCallback(self.kinds.kCallbackLogging)
        interrupt = getattr(self.kinds, "kHighsCallbackQpInterrupt", None)  # 1.16
        self.by_exception = interrupt is None
        if interrupt is not None:
            solver.startCallback(interrupt)

    def watch(self, kind: Any, message: str, out: Any, reply: Any, data: Any) -> None:
        try:
            if kind == self.kinds.kCallbackLogging:
                stop = self.read(message)
            else:
                stop = reply.user_interrupt = self.look(out)
        except BaseException as error:  # a second Ctrl-C
            self.error, stop = error, True
        if stop and self.by_exception:
            raise self.error or _StoppedError

    def read(self, message: str) -> bool:
        """A line of the active-set method's log, (iteration, objective, ...); whether to stop."""
        if self.options.verbose:
            print(message, end="")
        line = message.split()
        if len(line) == 4 and line[0].isdigit():
            self.iterations = int(line[0])
            return self.options.report(self.iterations, float(line[1]))
        return self.stopping()

    def look(self, out: Any) -> bool:
        """One of thousands of calls a second; whether to stop."""
        now = time.perf_counter()
        if self.stopping():
            return True
        if now - self.last < PAUSE:
            return False
        self.last = now
        self.iterations = max(
            self.iterations, out.simplex_iteration_count, out.ipm_iteration_count
        )  # each -1 while the other works
        return self.options.report(self.iterations)

    def stopping(self) -> bool:
        return self.error is not None or self.options.stopped is not None


def _without_point(options: Options) -> RawSolution:
    return RawSolution(
        options.stopped or "interrupted", message="HiGHS: stopped during its active-set method, which leaves no point"
    )


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
