"""What a solver plugs into: the protocol, the options and result types, the registry.

A backend is any object with

    name       how users call it
    accepts    ConicForm, or Program for one that wants the structured terms
    supports   the cones it can take: a set of "zero", "nonnegative", "second-order", "exponential",
               "semidefinite", and "quadratic" when it takes a quadratic objective. A form is never handed over with more; a quadratic objective becomes a
               second-order cone for a backend that has that one only.
    solve(problem, options) -> RawSolution

and optionally

    unavailable() -> str | None     why it cannot run here (a missing package), None when it can
    declines(problem) -> str | None why it cannot take this Program although it has the cones, None when it can
    reluctant(problem, tol) -> bool whether another backend is likely to be faster on this Program: "auto" then asks it last
    bytes_needed(problem) -> float  about the memory it takes for this Program at its peak, at least; where there is less it is refused, and
                                    "auto" does not ask it. Without this what assembling the conic form takes counts, for a Program nothing
    options                         a dictionary of the extra options it knows, name -> what it does
    shards                          True when it takes programs whose rows are on several processes (`Program.ranks`)
    keeps_time_limit                False when it cannot be stopped by the clock; it then refuses a time limit before solving

Plug-ins register through the entry point group "relumodel.backends", through `rm.register`, or are passed as instances.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from . import memory
from .certify import certify, relative_gap
from .certify.scaling import scaled_bound
from .conic.form import ConicForm
from .conic.size import form_bytes, matrix_bytes, semidefinite_bytes
from .deadline import Deadline, current, hearing_interrupts, speed
from .deadline import part as deadline_within
from .errors import BackendError, FileError, InputError, InputTypeError, MissingPackageError, RankError, RelumodelError
from .files import replace_file
from .program.ball_loss import BallLoss
from .program.maps import Repeated
from .program.program import Program
from .program.rows import CONE_KINDS
from .program.symmetric import packed_size
from .progress import Progress

__all__ = [
    "Backend",
    "BackendError",
    "BackendInfo",
    "ConicForm",
    "FileError",
    "InputError",
    "Options",
    "Program",
    "Progress",
    "RankError",
    "RawSolution",
    "backends",
    "certify",
    "conic_fits",
    "current",
    "find",
    "joint",
    "many_matrices",
    "matrix_bytes",
    "memory",
    "package_missing",
    "refuse_time_limit",
    "register",
    "relative_gap",
    "replace_file",
    "require",
    "scaled_bound",
    "semidefinite_bytes",
    "solve_parts",
    "speed",
]

Vector = NDArray[np.float64]

#: What a backend may be able to take.
CAPABILITIES = (*CONE_KINDS, "quadratic")

#: Entries of the triangle of a matrix to the third, over all matrices, beyond which `many_matrices`: 40 samples of 20 features have
#: 6e8 and take Clarabel minutes, 40 of 10 features 2e7 and 0.7 s.
MATRICES = 2e8

#: Operations of a few sparse factorisations, for one of a dense product.
CONIC = 64.0

#: The words a backend reports with; relumodel's own status rests on the gap it measures itself.
RAW_STATUSES = (
    "solved",
    "inaccurate",
    "iteration limit",
    "time limit",
    "interrupted",
    "infeasible",
    "unbounded",
    "failed",
)


@dataclass
class Options:
    """What a backend is asked for.

    tol : relative gap wanted.  time_limit : seconds or None.  verbose : let the solver print its own log.
    warm_start : a point of the problem (the program's variables, then zeros for a conic form's auxiliaries), or None.
    extra : the backend's own options, already checked against what it declares.
    unit : the objective of the problem given is that of the program divided by this; `report` multiplies it back.
    restart : what this backend returned as `restart` with the solution that is the warm start, or None; it checks that it fits.
    part : which of the program's `parts` is being solved.
    deadline : when to end, and whether somebody asked for it; made of time_limit and started, within that of the public call.
    """

    tol: float = 1e-6
    time_limit: float | None = None
    verbose: bool = False
    callback: Callable[[Progress], Any] | None = None
    warm_start: Vector | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    unit: float = 1.0
    started: float = field(default_factory=time.perf_counter)
    history: list[Progress] = field(default_factory=list)
    error: BaseException | None = None
    restart: Any = None
    part: int = 0
    deadline: Deadline = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.deadline is None:
            gone = time.perf_counter() - self.started
            self.deadline = deadline_within(None if self.time_limit is None else max(self.time_limit - gone, 0.0))

    @property
    def stopped(self) -> str | None:
        """Why to stop now, "time limit" or "interrupted"; None to go on. A backend may set it, for Ctrl-C that its solver heard."""
        return self.deadline.stopped

    @stopped.setter
    def stopped(self, reason: str | None) -> None:
        if reason is not None:
            self.deadline.stop(reason)

    def report(self, iteration: int, objective: float = float("nan"), bound: float = float("nan"), **numbers: float) -> bool:
        """Record progress and tell the callback; True when the backend should stop (callback, Ctrl-C, time limit). Never raises."""
        elapsed, remaining = time.perf_counter() - self.started, self.remaining()
        left = float("nan") if remaining is None else remaining
        if "gap" not in numbers and math.isfinite(objective) and math.isfinite(bound):
            numbers["gap"] = relative_gap(objective, bound)
        progress = Progress(iteration, self.unit * objective, self.unit * bound, elapsed=elapsed, time_left=left, **numbers)
        self.history.append(progress)
        if self.callback is not None and self.deadline.heard is None:
            try:
                if self.callback(progress):
                    self.deadline.stop()
            except KeyboardInterrupt:
                self.deadline.interrupt()
            except Exception as error:  # raised again by solve(), outside of the solver's own stack
                self.error = error
                self.deadline.stop()
        return self.deadline.expired()

    def remaining(self) -> float | None:
        """Seconds left, never below zero; None without a limit."""
        left = self.deadline.remaining()
        return None if math.isinf(left) else left

    def interrupt(self) -> None:
        """Tell of Ctrl-C that a solver's own handler heard, so that all that it is a part of ends."""
        self.deadline.interrupt()

    @contextmanager
    def catching_interrupt(self) -> Iterator[None]:
        """For backends that call `report` as they go: Ctrl-C asks them to stop; a second Ctrl-C raises as usual.

        Within `Program.solve` nothing happens here: the whole call listens already."""
        if self.deadline.outer is not None:
            yield
            return
        with hearing_interrupts(self.deadline):
            yield


@dataclass
class RawSolution:
    """What a backend returns. Nothing in it is believed: the point is repaired and the bound rebuilt by relumodel.

    status : one of `RAW_STATUSES`.
    x : the variables of the problem given, or None when there is no point.
    dual : for a ConicForm its dual vector z in the dual cones, P x + c + A'z = 0; for a Program a dict, term name -> multiplier
        q_j with sum_j K_j' q_j = 0; or None.
    objective : the backend's own objective value (checked by the conformance kit only), or None.
    restart : anything the backend would like to have back when a later solve starts from this solution, or None.
    """

    status: str
    x: Vector | None = None
    dual: Any = None
    objective: float | None = None
    iterations: int | None = None
    message: str = ""
    restart: Any = None


@runtime_checkable
class Backend(Protocol):
    """The protocol; see the module's docstring for the optional parts."""

    name: str
    accepts: type
    supports: set[str] | frozenset[str]

    def solve(self, problem: Any, options: Options) -> RawSolution: ...


@dataclass(frozen=True)
class BackendInfo:
    """One line of `rm.backends()`."""

    name: str
    available: bool
    reason: str
    accepts: str
    supports: tuple[str, ...]

    def __str__(self) -> str:
        state = "available" if self.available else f"not available: {self.reason}"
        return f"{self.name:<10} {state:<12} accepts {self.accepts}; {', '.join(self.supports)}"


_registered: dict[str, Backend] = {}
_loaded: dict[str, Backend] = {}


def register(backend: Backend) -> None:
    """Make a backend known by its name in this process. An instance, not a class; a later one of the same name replaces it."""
    check_protocol(backend)
    _registered[backend.name] = backend


def check_protocol(backend: Any) -> None:
    """Raise an error that names what a would-be backend lacks."""
    if isinstance(backend, type):
        raise InputTypeError(f"A backend is an instance; got the class {backend.__name__}. Add parentheses: {backend.__name__}().")
    missing = [name for name in ("name", "accepts", "supports", "solve") if not hasattr(backend, name)]
    if missing:
        raise InputTypeError(
            f"A backend needs name, accepts, supports and solve(problem, options); {type(backend).__name__} lacks {', '.join(missing)}."
        )
    if not isinstance(backend.name, str) or not backend.name:
        raise InputTypeError(f"The name of a backend is a non-empty string; {type(backend).__name__} has {backend.name!r}.")
    if backend.accepts is not ConicForm and not (isinstance(backend.accepts, type) and issubclass(backend.accepts, Program)):
        raise InputTypeError(f"Backend {backend.name!r} must accept rm.ConicForm or rm.Program; got {backend.accepts!r}.")
    unknown = sorted(set(backend.supports) - set(CAPABILITIES))
    if unknown:
        raise InputError(
            f"Backend {backend.name!r} supports unknown cones {', '.join(unknown)}; known are {', '.join(CAPABILITIES)}."
        )


def plug_ins() -> list[Any]:
    """The entry points of the group "relumodel.backends"."""
    from importlib.metadata import entry_points  # here, because it is slow to import

    return list(entry_points(group="relumodel.backends"))


def names() -> list[str]:
    """The names of all known backends, registered ones first."""
    return list(dict.fromkeys([*_registered, *(e.name for e in plug_ins())]))


def find(name: str) -> Backend:
    """The backend of that name, or an error that lists the names there are."""
    if name in _registered:
        return _registered[name]
    if name not in _loaded:
        entries = [e for e in plug_ins() if e.name == name]
        if not entries:
            raise BackendError(f"There is no backend {name!r}; known are {', '.join(names())}, or pass an instance.")
        try:
            backend = entries[0].load()()
        except Exception as error:
            raise BackendError(f"Backend {name!r} ({entries[0].value}) cannot be loaded: {error}") from error
        check_protocol(backend)
        _loaded[name] = backend
    return _loaded[name]


def unavailable(backend: Backend) -> str | None:
    """Why a backend cannot run here, or None. A probe that fails is a reason, not a crash."""
    probe = getattr(backend, "unavailable", None)
    if probe is None:
        return None
    try:
        return probe()
    except Exception as error:
        return f"its availability check failed: {error}"


def package_missing(package: str, extra: str) -> str | None:
    """For `unavailable`: the reason when an optional package is not installed."""
    from importlib.util import find_spec

    if find_spec(package) is not None:
        return None
    return f"the package {package} is not installed (pip install 'relumodel[{extra}]')"


def backends() -> list[BackendInfo]:
    """Every known backend: its name, whether it can run here (and why not), what it accepts and supports."""
    out = []
    for name in names():
        try:
            backend = find(name)
        except RelumodelError as error:
            out.append(BackendInfo(name, False, str(error), "?", ()))
            continue
        reason = unavailable(backend)
        supports = tuple(c for c in CAPABILITIES if c in backend.supports)
        out.append(BackendInfo(name, reason is None, reason or "", backend.accepts.__name__, supports))
    return out


def lacking(backend: Backend, kinds: frozenset[str]) -> list[str]:
    """The capabilities a problem needs and a backend lacks. A quadratic objective may become a second-order cone."""
    needed = set(kinds)
    if "quadratic" in needed and "quadratic" not in backend.supports and "second-order" in backend.supports:
        needed.discard("quadratic")
    return [c for c in CAPABILITIES if c in needed - set(backend.supports)]


def declined(backend: Backend, program: Program) -> str | None:
    """Why a backend that has the cones cannot take a program all the same, or None."""
    if program.ranks.size > 1 and not getattr(backend, "shards", False):
        return f"its rows are on {program.ranks.size} ranks, and it needs all of them in one process"
    probe = getattr(backend, "declines", None)
    return None if probe is None else probe(program)


def bytes_needed(backend: Backend, program: Program) -> float:
    """About the memory that a backend takes for a program, at least."""
    probe = getattr(backend, "bytes_needed", None)
    if probe is not None:
        return float(probe(program))
    return form_bytes(program) if backend.accepts is ConicForm else 0.0


def too_large(backend: Backend, program: Program) -> str | None:
    """What a backend needs and what there is, where that is less, on any rank; None where it fits."""
    needed, room = bytes_needed(backend, program), memory.available()
    if not program.ranks.any(needed > room.bytes):
        return None
    where = "" if program.ranks.size == 1 else ", here or on another rank"
    return f"at least {memory.shown(needed)} of memory{where}, {memory.left(room)}"


def many_matrices(program: Program) -> bool:
    """Whether the robust program of a polynomial network has more, or larger, matrices than an interior point handles in a minute."""
    loss = program.term("loss").function
    return isinstance(loss, BallLoss) and len(loss.samples) * packed_size(loss.p + 1) ** 3 > MATRICES


def reluctant(backend: Backend, program: Program, tol: float) -> bool:
    """Whether a backend would rather leave a program to another one; conic solvers leave large matrices."""
    if "semidefinite" in backend.supports and not hasattr(backend, "reluctant") and many_matrices(program):
        return True
    probe = getattr(backend, "reluctant", None)
    return probe is not None and bool(probe(program, tol))


def able(program: Program) -> list[str]:
    """The names of the installed backends that can take a program, with the memory there is."""
    out = []
    for info in backends():
        if not info.available or lacking(find(info.name), program.kinds) or declined(find(info.name), program) is not None:
            continue
        if too_large(find(info.name), program) is None:
            out.append(info.name)
    return out


def require(backend: Backend, kinds: frozenset[str]) -> None:
    """Raise when a backend is not installed or lacks a cone; the message names both and who has them."""
    reason = unavailable(backend)
    if reason is not None:
        raise MissingPackageError(f"Backend {backend.name!r} is not available: {reason}.")
    missing = lacking(backend, kinds)
    if missing:
        able = [info.name for info in backends() if info.available and not lacking(find(info.name), kinds)]
        raise BackendError(
            f"Backend {backend.name!r} lacks {', '.join(missing)}, which this program needs; it supports "
            f"{', '.join(c for c in CAPABILITIES if c in backend.supports)}. Backends that can take it: {', '.join(able) or 'none installed'}."
        )


def refuse_time_limit(name: str, options: Options) -> None:
    """For a backend that cannot be stopped by the clock: raise when a time limit is wanted, naming the backends that keep one."""
    if options.time_limit is None:
        return
    known = [find(info.name) for info in backends() if info.available]
    able = [other.name for other in known if getattr(other, "keeps_time_limit", True)]
    raise BackendError(
        f"Backend {name!r} has no time limit; leave time_limit out, or use one that keeps it: "
        f"{', '.join(able) or 'none installed'}."
    )


def conic_fits(program: Program) -> bool:
    """Whether a few steps of an interior point on the conic form are likely to be done in the time left: dense where the loss reads."""
    n, N = program.parts[0].term("loss").map.shape
    order = min(n, N)
    return current().fits(CONIC * (float(order) * n * N + order**3 / 3))


def joint(program: Program) -> bool:
    """Whether a program has several outputs under one loss, so that `solve_parts` cannot take it apart."""
    return isinstance(program.term("loss").map, Repeated) and len(program.parts) == 1


def solve_parts(program: Program, options: Options, solve: Callable[[Program, Options], RawSolution]) -> RawSolution:
    """For a backend that accepts `Program`s: the answer to one with several outputs from those to its `parts`, one after the other.

    solve : the backend's own, for a single output. Progress counts outputs still to come at their loss at zero, and their bound as 0.
    """
    parts = program.parts
    if len(parts) == 1:
        return solve(parts[0], options)
    starts = [None] * len(parts) if options.warm_start is None else np.split(options.warm_start, len(parts))
    ahead = [part.objective(np.zeros(part.n_variables)) for part in parts]
    answers: list[RawSolution] = []
    points: list[Vector] = []
    value = bound = 0.0
    for r, (part, start) in enumerate(zip(parts, starts, strict=True)):
        known, iterations, rest = value, sum(a.iterations or 0 for a in answers), sum(ahead[r + 1 :])

        def watch(
            progress: Progress, iterations: int = iterations, known: float = known, bound: float = bound, rest: float = rest
        ) -> bool:
            best, low = known + progress.objective + rest, bound + max(progress.bound, 0.0)
            return options.report(iterations + progress.iteration, best, low, violation=progress.violation)

        asked = replace(options, warm_start=start, callback=watch, history=[], restart=None, part=r)
        answer = solve(part, asked)
        answers.append(answer)
        points.append(np.zeros(part.n_variables) if answer.x is None else answer.x)
        value += part.objective(points[-1])
        bound += max(asked.history[-1].bound, 0.0) if asked.history and math.isfinite(asked.history[-1].bound) else 0.0
        if options.stopped is not None or answer.status == "failed":
            break
    points += [np.zeros(part.n_variables) if start is None else start for part, start in zip(parts, starts, strict=True)][
        len(points) :
    ]
    duals = [answer.dual for answer in answers]
    whole = len(duals) == len(parts) and all(dual is not None for dual in duals)
    worst = next((a.status for a in answers if a.status != "solved"), "solved")
    return RawSolution(
        status=options.stopped or worst,
        x=np.concatenate(points),
        dual={term.name: np.concatenate([dual[term.name] for dual in duals]) for term in program.terms} if whole else None,
        objective=None if any(a.objective is None for a in answers) or not whole else sum(a.objective or 0.0 for a in answers),
        iterations=sum(a.iterations or 0 for a in answers),
        message=f"{len(parts)} outputs, each for itself: " + "; ".join(dict.fromkeys(a.message for a in answers)),
    )


def check_extra(backend: Backend, extra: Mapping[str, Any]) -> None:
    """Refuse options that a backend does not declare. A backend without an `options` attribute takes them all."""
    known = getattr(backend, "options", None)
    if known is None:
        return
    unknown = [name for name in extra if name not in known]
    if unknown:
        allowed = ", ".join(known) or "none"
        raise InputError(f"Backend {backend.name!r} has no option {unknown[0]!r}; its options are {allowed}.")
