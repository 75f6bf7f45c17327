"""The backend: compile once per structure, fill in the numbers, solve with any solver that CVXPY has."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from relumodel.backend import (
    BackendError,
    InputError,
    Options,
    Program,
    RawSolution,
    RelumodelError,
    conic_fits,
    forwarding_interrupts,
    many_matrices,
    matrix_bytes,
    package_missing,
    semidefinite_bytes,
)

if TYPE_CHECKING:
    from .cache import Cache
    from .compiled import CompiledProgram


class Known(NamedTuple):
    """What a solver calls things: its settings for a relative gap wanted, and its time limit, if it has one."""

    settings: Callable[[float], dict[str, Any]]
    time_limit: str | None


def _sharp(tol: float) -> float:
    """Interior points reach this for little more; HiGHS takes no less than 1e-10."""
    return max(min(1e-8, 1e-2 * tol), 1e-10)


KNOWN = {
    "CLARABEL": Known(lambda tol: dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), _sharp(tol)), "time_limit"),
    "ECOS": Known(lambda tol: {"max_iters": 500} | dict.fromkeys(("abstol", "reltol", "feastol"), _sharp(tol)), None),
    "HIGHS": Known(
        lambda tol: dict.fromkeys(("primal_feasibility_tolerance", "dual_feasibility_tolerance"), _sharp(tol)), "time_limit"
    ),
    "SCS": Known(lambda tol: {"max_iters": 200_000} | dict.fromkeys(("eps_abs", "eps_rel"), 1e-2 * tol), "time_limit_secs"),
    "OSQP": Known(lambda tol: {"max_iter": 200_000} | dict.fromkeys(("eps_abs", "eps_rel"), 1e-2 * tol), "time_limit"),
}

#: Solvers whose own handlers hear Ctrl-C, and whether their answer says so. ECOS then looks once more, with loose tolerances, and may call its
#: start "close to infeasible" before any iteration.
SIGNALLED: dict[str, Callable[[Any], bool]] = {
    "ECOS": lambda info: info["exitFlag"] == -4 or (info["exitFlag"] > 10 and info["iter"] == 0),
    "SCS": lambda info: info["status_val"] == -5,
}

STATUS = {
    "optimal": "solved",
    "optimal_inaccurate": "inaccurate",
    "infeasible": "infeasible",
    "infeasible_inaccurate": "infeasible",
    "unbounded": "unbounded",
    "unbounded_inaccurate": "unbounded",
    "user_limit": "iteration limit",
}

#: CVXPY's statuses that come with a point.
WITH_POINT = ("optimal", "optimal_inaccurate", "user_limit")

#: CVXPY's own threshold, beyond which it advises against compiling with parameters.
MANY_PARAMETERS = 10_000


class CvxpyBackend:
    """Takes the program itself. Costs, label signs and targets are parameters: a path over beta, or new targets on the same linear
    maps, solve again without compiling. A warm start is passed on as CVXPY understands it: the solver goes on from its last answer.
    CVXPY has no callback: Ctrl-C is answered when its solver returns, which ECOS and SCS do at once, the others when done."""

    name = "cvxpy"
    accepts = Program
    supports: ClassVar[set[str]] = {"zero", "nonnegative", "second-order", "exponential", "semidefinite", "quadratic"}
    options: ClassVar[dict[str, str]] = {
        "solver": "any that CVXPY has installed (CLARABEL)",
        "solver_options": "a dictionary handed to that solver ({})",
    }

    def __init__(self) -> None:
        self._compiled: Cache | None = None

    def unavailable(self) -> str | None:
        return package_missing("cvxpy", "cvxpy")

    def bytes_needed(self, problem: Program) -> float:
        """What Clarabel takes on the matrices that CVXPY makes, which are at least ours."""
        return 7 * matrix_bytes(problem) + 2 * semidefinite_bytes(problem)

    def reluctant(self, problem: Program, tol: float) -> bool:
        """It compiles first, which nothing interrupts: not where time is short."""
        return many_matrices(problem) or not conic_fits(problem)

    def solve(self, problem: Program, options: Options) -> RawSolution:
        from .cache import Cache

        solver = _solver(options.extra.get("solver", "CLARABEL"))
        settings = _settings(solver, options)
        self._compiled = self._compiled or Cache()
        # solvers meet absolute tolerances, and the bound needs dual residuals that are small against beta
        unit = problem.unit
        with _in_its_words(solver):
            compiled = self._compiled.find(problem)
        with compiled.lock, warnings.catch_warnings(record=True) as heard, _in_its_words(solver):
            warnings.simplefilter("always")
            compiled.fill(problem, unit)
            compiled.x.value = options.warm_start
            with options.catching_interrupt():
                status, message, known = _solve(compiled, solver, settings, options)
            message = "; ".join([message, *dict.fromkeys(str(warning.message).strip() for warning in heard)])
            if not known:
                return RawSolution(status, message=message)
            iterations = compiled.problem.solver_stats.num_iters
            objective = unit * float(compiled.problem.value)
            return RawSolution(status, compiled.x.value, compiled.duals(problem, unit), objective, iterations, message)


@contextmanager
def _in_its_words(solver: str) -> Iterator[None]:
    """Errors of CVXPY and of its solvers, which are of any kind (a licence, a limit of size, an eigenvalue that did not converge), as
    `BackendError` with their words."""
    try:
        yield
    except RelumodelError:
        raise
    except Exception as error:
        raise BackendError(
            f"CVXPY's {solver} failed with {type(error).__name__}: {str(error).strip().rstrip('.') or 'no message'}. Use another solver=, or another backend."
        ) from error


def _solver(name: Any) -> str:
    """The solver's name in capitals, when it is installed."""
    import cvxpy as cp

    installed = cp.installed_solvers()
    if not isinstance(name, str) or name.upper() not in installed:
        raise InputError(f"CVXPY has no solver {name!r} here; installed are {', '.join(installed)}.")
    return name.upper()


def _settings(solver: str, options: Options) -> dict[str, Any]:
    given = options.extra.get("solver_options", {})
    if not isinstance(given, dict):
        raise InputError(f"solver_options must be a dictionary; got {given!r}.")
    known = KNOWN.get(solver, Known(lambda tol: {}, None))
    if options.time_limit is not None and known.time_limit is None:
        able = [name for name, other in KNOWN.items() if other.time_limit is not None]
        raise BackendError(
            f"CVXPY's {solver} has no time limit that relumodel knows of; leave time_limit out, pass its own in solver_options, "
            f"or use one of {', '.join(able)}."
        )
    return known.settings(options.tol) | given


def _solve(compiled: CompiledProgram, solver: str, settings: dict[str, Any], options: Options) -> tuple[str, str, bool]:
    """Compile where needed, solve; the status in relumodel's words, what CVXPY said, and whether there is a point."""
    import cvxpy as cp

    problem, many = compiled.problem, compiled.parameters > MANY_PARAMETERS
    try:
        data, chain, inverse = problem.get_problem_data(solver, ignore_dpp=many, enforce_dpp=not many, solver_opts=settings)
    except cp.error.SolverError as error:
        raise BackendError(f"CVXPY's {solver} cannot take this program: {error}") from error
    if options.stopped:
        return options.stopped, "CVXPY: stopped while compiling", False
    limit = KNOWN[solver].time_limit if solver in KNOWN else None
    if limit is not None and options.time_limit is not None:
        settings[limit] = max(options.remaining() or 0.0, 1e-3)
    try:
        warm = options.warm_start is not None
        with forwarding_interrupts() if solver in SIGNALLED else nullcontext():
            answer = chain.solve_via_data(problem, data, warm_start=warm, verbose=options.verbose, solver_opts=settings)
            if solver in SIGNALLED and SIGNALLED[solver](answer["info"]):
                options.interrupt()
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        if "solver_options" not in options.extra:
            raise
        raise InputError(f"CVXPY's {solver} refuses the solver_options {options.extra['solver_options']!r}: {error}") from error
    try:
        problem.unpack_results(answer, chain, inverse)
    except cp.error.SolverError as error:
        return options.stopped or "failed", f"CVXPY: {options.stopped or error}", False
    status = STATUS.get(problem.status, "failed")
    if status == "iteration limit" and options.remaining() == 0:
        status = "time limit"
    known = problem.status in WITH_POINT and compiled.x.value is not None
    return options.stopped or status, f"CVXPY with {solver}: {problem.status}", known
