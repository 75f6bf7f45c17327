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
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..certify.bound import relative_gap
from ..functions.rows import CONE_KINDS
from ..resources.deadline import Deadline, hearing_interrupts
from ..resources.deadline import part as deadline_within
from ..resources.progress import Progress

Vector = NDArray[np.float64]

#: What a backend may be able to take.
CAPABILITIES = (*CONE_KINDS, "quadratic")


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
        known: dict[str, Any] = dict(numbers)
        progress = Progress(iteration, self.unit * objective, self.unit * bound, elapsed=elapsed, time_left=left, **known)
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
