"""Checks by name, and the report on one subject: a backend, a loss, a penalty, a function."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import InputError, RelumodelError


class FailedError(Exception):
    """A check failed."""


class SkippedError(Exception):
    """A check does not apply; the message says what is missing."""


def demand(condition: bool | np.bool_, message: str) -> None:
    """Fail with the message unless the condition holds."""
    if not condition:
        raise FailedError(message)


class ConformanceError(RelumodelError, AssertionError):
    """Checks failed; the message lists all of them, `report` holds the rest."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


@dataclass(frozen=True)
class Check:
    """One check. about : what must hold.  since : the version of relumodel it came with."""

    name: str
    about: str
    since: str
    run: Callable[[Any], None]


@dataclass(frozen=True)
class Outcome:
    """What came out of one check; `detail` says why it failed or was skipped."""

    name: str
    detail: str
    seconds: float


@dataclass
class Report:
    """What came out of all of them. subject : what was checked, "backend clarabel" or "loss Hinge(reduction='mean')"."""

    subject: str
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
        lines = [f"{self.subject}: {counts} in {seconds:.1f} s"]
        for word, outcomes in (("FAILED", self.failed), ("skipped", self.skipped), ("passed", self.passed)):
            lines += [f"  {word:<8} {o.name}" + (f": {o.detail}" if o.detail else "") for o in outcomes]
        return "\n".join(lines)


def registrar(checks: dict[str, Check]) -> Callable[..., Callable[[Callable[[Any], None]], Callable[[Any], None]]]:
    """A decorator check(name, about) that adds functions to `checks`; they raise FailedError, or SkippedError."""

    def check(name: str, about: str, since: str = "0.1") -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
        def register(run: Callable[[Any], None]) -> Callable[[Any], None]:
            checks[name] = Check(name, about, since, run)
            return run

        return register

    return check


def run_checks(checks: Mapping[str, Check], subject: Any, title: str, only: Sequence[str] | None, raise_on_failure: bool) -> Report:
    """Run checks, all or those named in `only`, each alone. Raises `ConformanceError` with every failure in it where wanted."""
    unknown = [name for name in only or () if name not in checks]
    if unknown:
        raise InputError(f"There is no check {unknown[0]!r}; there are {', '.join(checks)}.")
    report = Report(title)
    for name in checks if only is None else only:
        started, into, detail = time.perf_counter(), report.passed, ""
        try:
            checks[name].run(subject)
        except FailedError as failure:
            into, detail = report.failed, str(failure)
        except SkippedError as reason:
            into, detail = report.skipped, str(reason)
        into.append(Outcome(name, detail, time.perf_counter() - started))
    if raise_on_failure and report.failed:
        raise ConformanceError(report)
    return report
