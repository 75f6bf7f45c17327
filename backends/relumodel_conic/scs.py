"""SCS: a first-order splitting solver with a factorisation kept throughout (O'Donoghue et al. 2016, 2021).

Our form is SCS's: rows b - A x in cones, exponential cones (x, y, z) with y exp(x / y) <= z, P as its upper triangle. Only
semidefinite cones differ: in SCS they come before exponential ones, and list the lower triangle by columns.
SCS calls nobody while it runs, so it runs in short stretches, each continuing from the one before.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from relumodel.backend import ConicForm, Options, Program, RawSolution, forwarding_interrupts, matrix_bytes, package_missing
from relumodel.maps.symmetric import order_of

from .cost import refused

SOLVED, FAILED, STOPPED_BY_SIGNAL = 1, -4, -5
INFEASIBLE, UNBOUNDED = -2, -1

#: Iterations a stretch. SCS adapts its step size after 100 of them at the earliest, so shorter stretches never would; it looks for
#: Ctrl-C at every 25th, the last one included.
STRETCH = 151


class ScsBackend:
    """Every cone relumodel uses and quadratic objectives. Iterations are cheap, high accuracy takes many. It starts from a warm start,
    which saves little: x is a third of its state."""

    name = "scs"
    accepts = ConicForm
    supports: ClassVar[set[str]] = {"zero", "nonnegative", "second-order", "exponential", "semidefinite", "quadratic"}
    options: ClassVar[dict[str, str]] = {
        "max_iters": "largest number of iterations (200000)",
        "eps_abs": "absolute tolerance on residuals and gap (0.01 tol)",
        "eps_rel": "relative tolerance on residuals and gap (0.01 tol)",
        "linear_solver": "qdldl, cpu_indirect, mkl, ... (qdldl)",
        "normalize": "scale the data first (True)",
        "scale": "the first balance between primal and dual (0.1)",
        "adaptive_scale": "keep that balance by itself (True)",
        "alpha": "over-relaxation (1.5)",
        "rho_x": "primal scaling (1e-6)",
        "acceleration_lookback": "memory of the Anderson acceleration, 0 for none (10)",
        "acceleration_interval": "iterations between accelerations (10)",
    }

    def unavailable(self) -> str | None:
        return package_missing("scs", "scs")

    def bytes_needed(self, problem: Program) -> float:
        """The form, SCS's copies and the factor: 6 to 7 times the matrix measured."""
        return 6 * matrix_bytes(problem)

    def solve(self, problem: ConicForm, options: Options) -> RawSolution:
        import scs

        late = refused("SCS", problem, options)
        if late is not None:
            return late
        settings = _settings(options)
        limit = settings.pop("max_iters")
        rows = _row_order(problem)
        A, b = (problem.A, problem.b) if rows is None else (problem.A[rows], problem.b[rows])
        # matrices, since its older versions (3.2.5, for one) warn of sparse arrays
        data = {"P": sparse.csc_matrix(sparse.triu(problem.P)), "A": sparse.csc_matrix(A), "b": b, "c": problem.c}
        try:
            with options.catching_interrupt(), forwarding_interrupts():
                solver = scs.SCS(data, _cones(problem), max_iters=min(STRETCH, limit), **settings)
        except ValueError as error:  # numbers so large that they overflow in its factorisation
            return RawSolution("failed", message=f"SCS could not set the problem up: {error}")
        with options.catching_interrupt():
            answer, total = _run(solver, problem, options, limit)
        if rows is not None:
            answer["y"] = _undone(answer["y"], rows)
        return _raw(answer, problem, options, total)


def _run(solver: Any, problem: ConicForm, options: Options, limit: int) -> tuple[dict[str, Any], int]:
    """Stretch after stretch until SCS is done, somebody stops it, or `limit` iterations; the last point and their number."""
    answer: dict[str, Any] = {}
    total = 0
    while True:
        with forwarding_interrupts():
            # without x it goes on from where it is
            new = solver.solve(warm_start=True) if answer else solver.solve(options.warm_start is not None, x=options.warm_start)
            if new["info"]["status_val"] == STOPPED_BY_SIGNAL:
                options.interrupt()
        info = new["info"]
        if info["status_val"] == STOPPED_BY_SIGNAL:  # which leaves no point; the one before remains
            return answer or new, total
        total += info["iter"]
        answer = new
        violation = float(info["res_pri"])
        stop = options.report(total, info["pobj"] + problem.offset, info["dobj"] + problem.offset, violation=violation)
        if stop or total >= limit or info["status_val"] in (SOLVED, FAILED, INFEASIBLE, UNBOUNDED):
            return answer, total


def _raw(answer: dict[str, Any], problem: ConicForm, options: Options, total: int) -> RawSolution:
    info = answer["info"]
    message = f"SCS: {info['status']}"
    status = {SOLVED: "solved", INFEASIBLE: "infeasible", UNBOUNDED: "unbounded", FAILED: "failed"}.get(info["status_val"])
    if status is None:
        status = options.stopped or "iteration limit"
        message = f"SCS: {status} after {total} iterations"
    x = answer["x"]
    if status in ("infeasible", "unbounded") or not np.isfinite(x).all():
        return RawSolution(status, iterations=total, message=message)
    return RawSolution(status, x, answer["y"], info["pobj"] + problem.offset, total, message)


def _settings(options: Options) -> dict[str, Any]:
    """The gap that relumodel measures trails SCS's own by one or two orders, so it is asked for two more."""
    wanted = 1e-2 * options.tol
    # the built-in linear solver: as fast as MKL's on one thread, and the same numbers in every run
    settings = {"max_iters": 200_000, "eps_abs": wanted, "eps_rel": wanted, "linear_solver": "qdldl", "verbose": options.verbose}
    remaining = options.remaining()
    if remaining is not None:
        settings["time_limit_secs"] = max(remaining, 1e-3)
    return settings | dict(options.extra)


def _cones(problem: ConicForm) -> dict[str, Any]:
    return {
        "z": sum(problem.sizes("zero")),
        "l": sum(problem.sizes("nonnegative")),
        "q": problem.sizes("second-order"),
        "ep": len(problem.sizes("exponential")),
        "s": [order_of(size) for size in problem.sizes("semidefinite")],
    }


def _row_order(problem: ConicForm) -> NDArray[np.intp] | None:
    """For every row as SCS wants it the row of the form, or None where they are the same."""
    sizes = problem.sizes("semidefinite")
    if not sizes:
        return None
    order, exponential = np.arange(len(problem.b)), problem.rows("exponential")
    starts = exponential.stop + np.cumsum([0, *sizes[:-1]])
    # entry (i, j), i >= j, of the lower triangle by columns is (j, i) of the upper one
    columns, rows = zip(*(np.triu_indices(order_of(size)) for size in sizes), strict=True)
    inside = [start + i * (i + 1) // 2 + j for start, i, j in zip(starts, rows, columns, strict=True)]
    return np.concatenate([order[: exponential.start], *inside, order[exponential]])


def _undone(y: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """A vector on the rows of SCS, on those of the form."""
    out = np.empty_like(y)
    out[rows] = y
    return out
