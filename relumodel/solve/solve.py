"""Program -> backend -> repaired point -> certificate -> Solution."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..certify.bound import DualPoint, certify, relative_gap
from ..certify.contradiction import refuse_contradiction
from ..conic.assemble import Assembled, assemble
from ..conic.form import ConicForm
from ..conic.quadratic import quadratic_to_cone
from ..declared import number
from ..errors import BackendError, InputError, InputTypeError
from ..lift.witness_start import witness_start
from ..program.program import Program
from ..resources.deadline import Deadline, limited, wrapping_up
from ..resources.progress import Progress, progress_line
from ..resources.threads import threads_for
from . import registry
from .choose import choose
from .protocol import RAW_STATUSES, Backend, Options, RawSolution
from .solution import Solution

Vector = NDArray[np.float64]

#: What is said where a solve ends before a backend was asked.
OVER = "no time was left for a backend"


def solve(
    program: Program,
    backend: Any = "auto",
    tol: float = 1e-6,
    time_limit: float | None = None,
    verbose: bool | str = False,
    callback: Any = None,
    warm_start: Any = None,
    **options: Any,
) -> Solution:
    """See `relumodel.api.Program.solve`."""
    started = time.perf_counter()
    with program.ranks.together():
        limit = None if time_limit is None else number(time_limit, "time_limit", above=0)
    with limited(limit) as deadline, threads_for(program.inverse.X.size):
        return _solve(program, backend, tol, limit, verbose, callback, warm_start, options, started, deadline)


def _solve(
    program: Program,
    backend: Any,
    tol: float,
    limit: float | None,
    verbose: bool | str,
    callback: Any,
    warm_start: Any,
    options: Mapping[str, Any],
    started: float,
    deadline: Deadline,
) -> Solution:
    """The same within its deadline."""
    ranks = program.ranks
    with ranks.together():
        tol = number(tol, "tol", above=0)
        if callback is not None and not callable(callback):
            raise InputTypeError(f"callback must be callable; got {callback!r}.")
        if not isinstance(verbose, bool | np.bool_) and verbose != "solver":
            raise InputError(f"verbose must be False, True (a live line) or 'solver' (the solver's own log); got {verbose!r}.")
        best = _start(program, warm_start)
    if ranks.size > 1:
        ranks.agree(_described(program, backend, tol, limit, best, options))
        verbose = verbose and ranks.rank == 0
    log = verbose == "solver"
    solvers, large = choose(program, backend, tol)
    registry.check_extra(solvers[0], options)
    attempts: list[Solution] = []
    # options are one backend's own; a second one would not end where an interior point has too many matrices
    alone = bool(options) or registry.many_matrices(program)
    for solver in solvers[: 1 if alone else 2]:
        if verbose:
            print(f"relumodel: {program!r}, backend {solver.name}", flush=True)
        with progress_line(bool(verbose) and not log) as line:
            unit = program.unit
            seconds = limit if deadline.outer is None or math.isinf(deadline.ends) else max(deadline.ends - started, 0.0)
            asked = Options(tol, seconds, log, _both(line, callback), best, dict(options), unit, started, deadline=deadline)
            if isinstance(warm_start, Solution) and warm_start.backend == solver.name:
                asked.restart = warm_start.restart
            attempts.append(_attempt(program, solver, asked))
        if attempts[-1].status not in ("tolerance not reached", "failed") or deadline.expired():
            break
        best = attempts[-1].point
    out = _joined(attempts, tol)
    if large:
        out = dataclasses.replace(out, message=f"{out.message}; not asked, for their memory: {'; '.join(large)}")
    if verbose:
        print(out)
    return out


def _described(
    program: Program, backend: Any, tol: float, limit: float | None, start: Vector | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """What ranks must have the same to solve together."""
    return {
        "model": repr(program.model),
        "backend": backend if isinstance(backend, str) else type(backend).__name__,
        "tol": tol,
        "time_limit": limit,
        "warm start": None if start is None else hashlib.blake2b(start.tobytes(), digest_size=8).hexdigest(),
        "options": sorted(name for name, value in options.items() if value is not None),
    }


def _both(line: Callable[[Progress], None], callback: Any) -> Callable[[Progress], Any]:
    """The line shown first, then the user's callback, which may stop the solver."""

    def tell(progress: Progress) -> Any:
        line(progress)
        return callback is not None and callback(progress)

    return tell


def _attempt(program: Program, solver: Backend, asked: Options) -> Solution:
    """One backend's run, repaired and certified."""
    start = asked.warm_start  # in the program's terms; `_run` hands it on in the backend's
    raw, point, duals = _run(program, solver, asked)
    reason = asked.deadline.heard or (None if raw.status == "failed" else asked.stopped)
    if reason is not None:  # whatever a backend calls an answer that it was stopped on the way to
        raw = dataclasses.replace(raw, status=reason)
    with program.ranks.together():
        if asked.error is not None:
            raise asked.error
    # a tenth of the tolerance buys a sparser network; what the user started from is kept as it is
    rooms = ((start, 0.0), (point, 0.1 * asked.tol))
    return measured(program, rooms, duals, raw, solver.name, asked)


def measured(
    program: Program,
    rooms: tuple[tuple[Vector | None, float], ...],
    duals: dict[str, Vector] | None,
    raw: RawSolution,
    source: str,
    asked: Options,
) -> Solution:
    """The best of the points (each with the relative loss that a sparser one may cost), repaired, with its bound."""
    with wrapping_up(0.5 if asked.deadline.outer is not None else 1.0):  # half is for what this is a part of
        if raw.status in ("time limit", "interrupted") and asked.warm_start is None:
            rooms = ((witness_start(program), 0.0), *rooms)
        candidates = [program.inverse.repair(program, x, room) for x, room in rooms if x is not None and np.isfinite(x).all()]
        # what leaves a constraint by more than the tolerance comes after all that does not
        ranked = [(max(program.outside(x) - asked.tol, 0.0), program.objective(x)) for x in candidates]
        # the first in time; of equals the last, what the backend found
        best = candidates[min(reversed(range(len(ranked))), key=ranked.__getitem__)] if ranked else np.zeros(program.n_variables)
        certificate = certify(program, best, duals, asked.tol)
    objective = program.objective(best)
    refuse_contradiction(program, best, objective, certificate)
    gap = relative_gap(objective, certificate.bound)
    return Solution(
        program=program,
        status="interrupted" if asked.deadline.interrupted else earned_status(program, best, raw.status, gap, asked.tol),
        objective=objective,
        bound=certificate.bound,
        gap=gap,
        violation=program.violation(best),
        point=best,
        dual=certificate.multipliers,
        iterations=raw.iterations,
        time=time.perf_counter() - asked.started,
        backend=source,
        tol=asked.tol,
        history=asked.history,
        message=raw.message,
        restart=raw.restart,
    )


def _joined(attempts: list[Solution], tol: float) -> Solution:
    """The last attempt, with the best bound of all of them (its point is the best already, since it started there)."""
    last, proof = attempts[-1], max(attempts, key=lambda s: s.bound)
    if len(attempts) == 1:
        return last
    refuse_contradiction(last.program, last.point, last.objective, DualPoint(proof.bound, proof.dual))
    gap = relative_gap(last.objective, proof.bound)
    said = "; ".join(f"{s.backend} left a gap of {s.gap:.1e} ({s.message})" for s in attempts[:-1])
    return dataclasses.replace(
        last,
        status=last.status if last.status == "interrupted" else earned_status(last.program, last.point, last.status, gap, tol),
        bound=proof.bound,
        dual=proof.dual,
        gap=gap,
        history=[line for s in attempts for line in s.history],
        message=f"{said}; then {last.backend}: {last.message}",
    )


def _start(program: Program, warm_start: Any) -> Vector | None:
    if warm_start is None:
        return None
    return program.point(warm_start.point if isinstance(warm_start, Solution) else warm_start)


def _run(program: Program, solver: Backend, asked: Options) -> tuple[RawSolution, Vector | None, dict[str, Vector] | None]:
    """The backend's answer, with its point and multipliers in the program's terms."""
    assembled: Assembled | None = None
    problem: Any = program
    undo_x = undo_z = lambda v: v
    try:
        if asked.deadline.expired():
            return RawSolution(str(asked.stopped), message=OVER), None, None
        if solver.accepts is ConicForm:
            assembled = assemble(program)
            problem = _in_units(assembled.form, asked.unit)
            if "quadratic" in problem.kinds and "quadratic" not in solver.supports:
                problem, undo_x, undo_z = quadratic_to_cone(problem)
            if asked.warm_start is not None:
                asked.warm_start = np.pad(asked.warm_start, (0, problem.A.shape[1] - program.n_variables))
        else:
            problem, asked.unit = solver.accepts.of(program), 1.0  # type: ignore[attr-defined]
        if asked.deadline.expired():
            return RawSolution(str(asked.stopped), message=OVER), None, None
        raw = solver.solve(problem, asked)
    except KeyboardInterrupt:
        if asked.deadline.interrupted:  # the second one
            raise
        asked.interrupt()
        raw = RawSolution("interrupted", message="Ctrl-C before the backend could return a point")
    raw = _checked(solver, raw, problem)
    if raw.x is None:
        return raw, None, None
    if assembled is None:
        return raw, raw.x, raw.dual
    duals = None if raw.dual is None else assembled.duals(asked.unit * undo_z(raw.dual))
    return raw, assembled.point(undo_x(raw.x)), duals


def _in_units(form: ConicForm, unit: float) -> ConicForm:
    """The form with its objective measured in units of the penalty strength.

    Solvers meet absolute tolerances; the bound needs dual residuals that are small against beta, whatever beta is.
    """
    return form if unit == 1 else dataclasses.replace(form, P=form.P / unit, c=form.c / unit, offset=form.offset / unit)


def _checked(solver: Backend, raw: Any, problem: Any) -> RawSolution:
    """The answer in float64. A backend that breaks its contract is named, with what it returned."""
    if not isinstance(raw, RawSolution):
        raise BackendError(f"Backend {solver.name!r} must return a RawSolution; it returned {type(raw).__name__}.")
    if raw.status not in RAW_STATUSES:
        raise BackendError(f"Backend {solver.name!r} returned status {raw.status!r}; allowed are {', '.join(RAW_STATUSES)}.")
    x, dual, size = (
        _floats(raw.x),
        raw.dual,
        problem.n_variables if isinstance(problem, Program) else problem.A.shape[1],
    )
    if raw.x is not None and (x is None or x.shape != (size,)):
        raise BackendError(f"Backend {solver.name!r} returned x of shape {np.shape(raw.x)}; the problem has {size} variables.")
    if dual is not None and isinstance(problem, Program):
        dual = {name: _floats(q) for name, q in dual.items()} if isinstance(dual, Mapping) else {}
        fits = {name: None if q is None else q.shape for name, q in dual.items()} == {
            t.name: (t.map.shape[0],) for t in problem.terms
        }
    else:
        dual = _floats(dual)
        fits = raw.dual is None or (dual is not None and dual.shape == problem.b.shape)
    if not fits:
        raise BackendError(f"Backend {solver.name!r} returned a dual whose shape does not fit the problem's rows.")
    return dataclasses.replace(raw, x=x, dual=dual)


def _floats(values: Any) -> Vector | None:
    """A backend's numbers in float64; None where there are none."""
    try:
        return None if values is None else np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return None


def earned_status(program: Program, point: Vector, raw: str, gap: float, tol: float) -> str:
    """ "optimal" is earned by the measured gap at a point that satisfies the constraints; otherwise the backend's reason for stopping is
    passed on."""
    if math.isfinite(gap) and gap <= tol and program.outside(point) <= tol:
        return "optimal"
    if raw in ("time limit", "interrupted", "failed") or (raw == "infeasible" and program.kept):
        return raw
    # every program that is compiled contains x = 0, so "infeasible" or "unbounded" can only be a numerical failure of the backend
    return "failed" if raw in ("infeasible", "unbounded") else "tolerance not reached"
