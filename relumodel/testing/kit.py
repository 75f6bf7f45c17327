"""The registry of checks on backends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..declared import number
from ..faces.report import Check, ConformanceError, Outcome, Report, registrar, run_checks
from ..solve import registry
from .bench import Bench

__all__ = ["CHECKS", "Check", "ConformanceError", "Outcome", "Report", "check", "check_backend"]

#: Every check there is, in the order in which they run.
CHECKS: dict[str, Check] = {}

#: Register a function of the bench that raises FailedError, or SkippedError.
check = registrar(CHECKS)


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
    bench = Bench(solver, number(tol, "tol", above=0))
    return run_checks(CHECKS, bench, f"backend {solver.name}", only, raise_on_failure)
