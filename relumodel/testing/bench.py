"""Where a backend is tried: it is called exactly as `Program.solve` calls it, and watched while it works."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from ..api import Program
from ..conic.assemble import Assembled, assemble
from ..conic.form import ConicForm
from ..conic.quadratic import quadratic_to_cone
from ..errors import RelumodelError
from ..faces.report import FailedError, SkippedError, demand
from ..solve.protocol import Backend, Options, RawSolution
from ..solve.registry import declined, lacking
from .output import Captured, captured_output

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Case:
    """A small program with its optimum, and its point where there is one only.

    about : how the answer is known.  special : what a backend may decline here, with an error of relumodel's, although it has the
    cones; "" when nothing.
    """

    name: str
    about: str
    build: Callable[[], Program]
    optimum: float
    point: Vector | None = None
    special: str = ""


#: The programs with known answers, filled by `programs`.
CASES: list[Case] = []


@dataclass(eq=False)
class Handed:
    """A program as a backend gets it. unit : what its objective was divided by."""

    problem: Program | ConicForm
    unit: float = 1.0
    assembled: Assembled | None = None
    undo: tuple[Callable[[Vector], Vector], Callable[[Vector], Vector]] = (lambda x: x, lambda z: z)

    @property
    def size(self) -> int:
        """The length of x."""
        return len(self.problem.c) if isinstance(self.problem, ConicForm) else self.problem.n_variables

    def point(self, x: Any) -> Vector:
        """The program's variables."""
        x = np.asarray(x, dtype=np.float64)
        return x if self.assembled is None else self.assembled.point(self.undo[0](x))


def hand_over(program: Program, backend: Backend) -> Handed:
    """The program itself, or its conic form in units of beta, without a quadratic objective for those that lack it."""
    if backend.accepts is not ConicForm:
        return Handed(backend.accepts.of(program))  # type: ignore[attr-defined]
    assembled, unit = assemble(program), program.unit
    form = assembled.form
    form = dataclasses.replace(form, P=form.P / unit, c=form.c / unit, offset=form.offset / unit)
    if "quadratic" in form.kinds and "quadratic" not in backend.supports:
        form, *undo = quadratic_to_cone(form)
        return Handed(form, unit, assembled, (undo[0], undo[1]))
    return Handed(form, unit, assembled)


@dataclass(eq=False)
class Run:
    """One call of a backend: what it returned or raised, and what it did meanwhile."""

    handed: Handed
    options: Options
    raw: Any = None
    error: Exception | None = None
    output: str = ""
    changed: list[str] = field(default_factory=list)
    elapsed: float = 0.0

    @property
    def answer(self) -> RawSolution:
        """What it returned; a failure when that is no answer."""
        if self.error is not None:
            raise FailedError(f"it raised {type(self.error).__name__}: {self.error}") from self.error
        demand(isinstance(self.raw, RawSolution), f"it returned a {type(self.raw).__name__}, not a RawSolution")
        return self.raw

    @property
    def x(self) -> Vector:
        """The point it returned, for the problem it was given; a failure when there is none."""
        demand(self.answer.x is not None, f"it returned no point (status {self.answer.status!r}, message {self.answer.message!r})")
        x = np.asarray(self.answer.x, dtype=np.float64)
        demand(x.shape == (self.handed.size,), f"x has shape {x.shape}; the problem has {self.handed.size} variables")
        demand(np.isfinite(x).all(), "x holds NaN or infinite entries")
        return x


class Bench:
    """A backend under test; runs are remembered, so that checks which look at the same run share it."""

    def __init__(self, backend: Backend, tol: float) -> None:
        self.backend, self.tol = backend, tol
        self.slack = 100 * tol
        self._programs: dict[str, Program] = {}
        self._handed: dict[str, Handed] = {}
        self._runs: dict[str, Run] = {}

    def need(self, kinds: frozenset[str]) -> None:
        """Skip unless the backend has these capabilities."""
        if missing := lacking(self.backend, kinds):
            raise SkippedError(f"it does not support {', '.join(missing)}")

    def take(self, program: Program) -> None:
        """Skip unless the backend has the capabilities for a program and does not decline it."""
        self.need(program.kinds)
        if (reason := declined(self.backend, program)) is not None:
            raise SkippedError(f"it declines the program: {reason}")

    def cases(self) -> list[Case]:
        """The programs with known answers that the backend can take."""
        programs = ((case, self.program(case)) for case in CASES)
        return [case for case, p in programs if not lacking(self.backend, p.kinds) and declined(self.backend, p) is None]

    def program(self, case: Case) -> Program:
        """The program of a case, compiled for this backend alone: it may spoil it."""
        if case.name not in self._programs:
            self._programs[case.name] = case.build()
        return self._programs[case.name]

    def handed(self, case: Case) -> Handed:
        """The case as the backend gets it."""
        if case.name not in self._handed:
            self._handed[case.name] = hand_over(self.program(case), self.backend)
        return self._handed[case.name]

    def solved(self, case: Case) -> Run:
        """The backend's plain run on a case."""
        self.take(self.program(case))
        if case.name not in self._runs:
            self._runs[case.name] = self.call(self.handed(case))
        run = self._runs[case.name]
        if case.special and isinstance(run.error, RelumodelError):
            raise SkippedError(f"it declines {case.special}: {run.error}")
        return run

    def call(self, handed: Handed, **asked: Any) -> Run:
        """Call the backend, watched; `asked` goes into its Options."""
        options = Options(tol=self.tol, unit=handed.unit, **asked)
        run = Run(handed, options)
        watched = {**dict(arrays(handed.problem, "problem")), **dict(arrays(options.warm_start, "options.warm_start"))}
        before = {name: array.copy() for name, array in watched.items()}
        captured = Captured()
        started = time.perf_counter()
        try:
            with captured_output(captured):
                run.raw = self.backend.solve(handed.problem, options)
        except Exception as error:
            run.error = error
        run.elapsed = time.perf_counter() - started
        run.output = captured.text
        after = {**dict(arrays(handed.problem, "problem")), **dict(arrays(options.warm_start, "options.warm_start"))}
        run.changed = [name for name, old in before.items() if name not in after or not _same(old, after[name])]
        return run


def arrays(value: Any, name: str) -> Iterator[tuple[str, NDArray[Any]]]:
    """Every array inside of dataclasses, tuples and sparse matrices, with its path."""
    if isinstance(value, np.ndarray):
        yield name, value
    elif scipy.sparse.issparse(value):
        for part in ("data", "indices", "indptr"):
            yield from arrays(getattr(value, part, None), f"{name}.{part}")
    elif isinstance(value, tuple | list):
        for i, part in enumerate(value):
            yield from arrays(part, f"{name}[{i}]")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for part_field in dataclasses.fields(value):
            yield from arrays(getattr(value, part_field.name), f"{name}.{part_field.name}")


def _same(old: NDArray[Any], new: NDArray[Any]) -> bool:
    return old.dtype == new.dtype and np.array_equal(old, new, equal_nan=old.dtype.kind == "f")
