"""The registry of checks, and the report on a backend."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import backend as registry
from ..declared import number
from ..errors import InputError, RelumodelError
from .bench import Bench, FailedError, SkippedError


class ConformanceError(RelumodelError, AssertionError):
    """A backend failed checks; the message lists all of them, `report` holds the rest."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


@dataclass(frozen=True)
class Check:
    """One check. about : what must hold.  since : the version of relumodel it came with."""

    name: str
    about: str
    since: str
    run: Callable[[Bench], None]


@dataclass(frozen=True)
class Outcome:
    """What came out of one check; `detail` says why it failed or was skipped."""

    name: str
    detail: str
    seconds: float


@dataclass
class Report:
    """What came out of all of them."""

    backend: str
    passed: list[Outcome] = field(default_factory=list)
    failed: list[Outcome] = field(default_factory=list)
    skipped: list[Outcome] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing failed."""
        return not self.failed

    def __str__(self) -> str:
        seconds = sum(o.seconds for o in (*self.passed, *self.failed, *self.skipped))
        counts = f"{len(self.passed)} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"
        lines = [f"backend {self.backend}: {counts} in {seconds:.1f} s"]
        for word, outcomes in (("FAILED", self.failed), ("skipped", self.skipped), ("passed", self.passed)):
            lines += [f"  {word:<8} {o.name}" + (f": {o.detail}" if o.detail else "") for o in outcomes]
        return "\n".join(lines)


#: Every check there is, in the order in which they run.
CHECKS: dict[str, Check] = {}


def check(name: str, about: str, since: str = "0.1") -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:
    """Register a function of the bench that raises FailedError, or SkippedError."""

    def register(run: Callable[[Bench], None]) -> Callable[[Bench], None]:
        CHECKS[name] = Check(name, about, since, run)
        return run

    return register


def check_backend(backend: Any, *, tol: float = 1e-6, only: Sequence[str] | None = None, raise_on_failure: bool = True) -> Report:
    """Run the checks on a backend, an instance or the name of one.

    tol : the relative gap the backend is asked for; what it returns must be right to 100 tol.
    only : names of checks out of `CHECKS`; all by default.
    Raises `ConformanceError` with every failure in it, unless `raise_on_failure` is False; `MissingPackageError` when the backend
    cannot run here.
    """
    solver = registry.find(backend) if isinstance(backend, str) else backend
    registry.check_protocol(solver)
    registry.require(solver, frozenset())
    unknown = [name for name in only or () if name not in CHECKS]
    if unknown:
        raise InputError(f"There is no check {unknown[0]!r}; there are {', '.join(CHECKS)}.")
    bench, report = Bench(solver, number(tol, "tol", above=0)), Report(solver.name)
    for name in CHECKS if only is None else only:
        started, into, detail = time.perf_counter(), report.passed, ""
        try:
            CHECKS[name].run(bench)
        except FailedError as failure:
            into, detail = report.failed, str(failure)
        except SkippedError as reason:
            into, detail = report.skipped, str(reason)
        into.append(Outcome(name, detail, time.perf_counter() - started))
    if raise_on_failure and report.failed:
        raise ConformanceError(report)
    return report
