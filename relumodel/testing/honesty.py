"""What a backend says of its answers must be true: status, objective, dual. Asked on every program it can take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..conic.form import ConicForm, cone_violation
from ..program.program import Program
from ..solve.protocol import RAW_STATUSES
from .bench import Bench, Case, FailedError, Run, SkippedError, demand
from .kit import check

Vector = NDArray[np.float64]
Judge = Callable[[Bench, Case, Run], None]


def _everywhere(bench: Bench, judge: Judge) -> None:
    """Apply a judgement to the run on every program; its failures come together, skipped only when it never applies."""
    failures, skips, cases = [], [], bench.cases()
    for case in cases:
        try:
            judge(bench, case, bench.solved(case))
        except FailedError as failure:
            failures.append(f"{case.name}: {failure}")
        except SkippedError as reason:
            skips.append(str(reason))
    if failures:
        more = f" (and {len(failures) - 3} more)" if len(failures) > 3 else ""
        raise FailedError("; ".join(failures[:3]) + more)
    if len(skips) == len(cases):
        raise SkippedError(skips[0] if skips else "it can take none of the programs")


@check("known_status", "the status is one of relumodel.backend.RAW_STATUSES")
def known_status(bench: Bench) -> None:
    def judge(bench: Bench, case: Case, run: Run) -> None:
        allowed = ", ".join(RAW_STATUSES)
        demand(run.answer.status in RAW_STATUSES, f"status {run.answer.status!r}; allowed are {allowed}")

    _everywhere(bench, judge)


@check("shapes", "x and the dual are finite numbers in the problem's shapes")
def shapes(bench: Bench) -> None:
    def judge(bench: Bench, case: Case, run: Run) -> None:
        if len(run.x) and run.answer.dual is not None:
            _dual(run)

    _everywhere(bench, judge)


@check("honest_status", "these programs are easy: they are solved, and `solved` means solved")
def honest_status(bench: Bench) -> None:
    def judge(bench: Bench, case: Case, run: Run) -> None:
        status = run.answer.status
        demand(status in ("solved", "inaccurate"), f"status {status!r} ({run.answer.message}) on a program of a few rows")
        point, scale = run.handed.point(run.x), max(1.0, abs(case.optimum))
        error = max(abs(bench.program(case).objective(point) - case.optimum) / scale, bench.program(case).violation(point))
        demand(status != "solved" or error <= bench.slack, f"it says 'solved' at an error of {error:.2e}")

    _everywhere(bench, judge)


@check("honest_objective", "the objective it reports is that of its point")
def honest_objective(bench: Bench) -> None:
    def judge(bench: Bench, case: Case, run: Run) -> None:
        if run.answer.objective is None:
            raise SkippedError("it reports no objective")
        true = run.handed.problem.objective(run.x)
        said = float(run.answer.objective)
        off = abs(said - true) <= bench.slack * max(1.0, abs(true))
        demand(off, f"it reports {said:.8g}; at its point the problem's objective is {true:.8g}")

    _everywhere(bench, judge)


@check("dual_in_cone", "the dual lies in the dual cones, or the multipliers in the domains of the conjugates")
def dual_in_cone(bench: Bench) -> None:
    def judge(bench: Bench, case: Case, run: Run) -> None:
        outside = _dual(run).outside
        demand(outside <= bench.slack, f"the dual is outside by {outside:.2e} of its size; is its sign right?")

    _everywhere(bench, judge)


@check("dual_stationary", "P x + c + A'z = 0, or sum K_j' q_j = 0")
def dual_stationary(bench: Bench) -> None:
    def judge(bench: Bench, case: Case, run: Run) -> None:
        residual = _dual(run).residual
        demand(residual <= bench.slack, f"the residual is {residual:.2e} of the costs")

    _everywhere(bench, judge)


@check("dual_value", "the dual's value is the optimum: no duality gap")
def dual_value(bench: Bench) -> None:
    def judge(bench: Bench, case: Case, run: Run) -> None:
        value, scale = run.handed.unit * _dual(run).value, max(1.0, abs(case.optimum))
        demand(abs(value - case.optimum) <= bench.slack * scale, f"its value is {value:.8g}; the optimum is {case.optimum:.8g}")

    _everywhere(bench, judge)


class Dual(NamedTuple):
    """What a dual is worth: how far outside of where it must be, the residual of its equation (both relative), its value."""

    outside: float
    residual: float
    value: float


def _dual(run: Run) -> Dual:
    """The dual measured, after its shapes; skipped when there is none."""
    dual, problem = run.answer.dual, run.handed.problem
    if dual is None:
        raise SkippedError("it returns no dual, so its bounds come from the point alone")
    return _of_form(problem, run.x, dual) if isinstance(problem, ConicForm) else _of_program(problem, dual)


def _of_form(form: ConicForm, x: Vector, dual: Any) -> Dual:
    z = np.asarray(dual, dtype=np.float64)
    demand(z.shape == form.b.shape, f"the dual has shape {z.shape}; the form has {len(form.b)} rows")
    demand(np.isfinite(z).all(), "the dual holds NaN or infinite entries")
    residual = _largest(form.P @ x + form.c + form.A.T @ z) / max(1.0, _largest(form.c))
    value = form.offset - 0.5 * x @ (form.P @ x) - form.b @ z
    return Dual(dual_cone_violation(z, form) / max(1.0, _largest(z)), residual, float(value))


def _of_program(program: Program, dual: Any) -> Dual:
    wanted = {term.name: (term.map.shape[0],) for term in program.terms}
    given = {name: np.shape(q) for name, q in dual.items()} if isinstance(dual, dict) else type(dual).__name__
    demand(given == wanted, f"the dual has shapes {given}; the terms need {wanted}")
    q = {name: np.asarray(part, dtype=np.float64) for name, part in dual.items()}
    demand(all(np.isfinite(part).all() for part in q.values()), "the dual holds NaN or infinite entries")
    scale = max(1.0, *(_largest(part) for part in q.values()))
    inside = {term.name: term.function.project_dual(q[term.name]) for term in program.terms}
    outside = max(_largest(q[name] - inside[name]) for name in q)
    residual = _largest(sum(term.map.adjoint(q[term.name]) for term in program.terms))
    value = -sum(float(term.function.conjugate(inside[term.name])) for term in program.terms)
    return Dual(outside / scale, residual / scale, value)


def dual_cone_violation(z: Vector, form: ConicForm) -> float:
    """The largest violation of the dual cones by z: zero rows are free, exponential cones have others, the rest are their own."""
    own = z.copy()
    own[form.rows("zero")] = 0.0
    exponential = form.rows("exponential")
    u, v, w = z[exponential].reshape(-1, 3).T
    own[exponential] = np.tile([0.0, 1.0, 1.0], len(u))  # inside, so that only the others count here
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        # u < 0:  -u exp(v / u - 1) <= w;  at u = 0:  v, w >= 0
        below = -u * np.exp(np.minimum(v / np.where(u < 0, u, -1.0) - 1, 700.0)) - w
    outside = np.where(u < 0, np.maximum(below, 0.0), np.maximum(np.maximum(u, -v), -w))
    return max(cone_violation(own, form), float(outside.max(initial=0.0)))


def _largest(values: Any) -> float:
    return float(np.abs(values).max(initial=0.0))
