"""Which backend takes a program: the one that was asked for, or for "auto" the first of those that can."""

from __future__ import annotations

import math
from typing import Any

from ..conic.form import ConicForm
from ..errors import BackendError, MemoryLimitError, RelumodelError
from ..program.program import Program
from ..resources.deadline import current
from ..resources.memory import FEWER
from . import registry
from .protocol import Backend

#: backend="auto" takes the first of these that is installed and can take the program, and the next when that one misses the gap.
AUTO = ("admm", "clarabel", "scs", "ecos", "highs", "cvxpy", "descent")


def choose(program: Program, backend: Any, tol: float) -> tuple[list[Backend], list[str]]:
    """The backend that was asked for, able to take the program, or an error; for "auto" all that are, the first choice first. Then those
    that "auto" leaves out because they do not fit memory, each with the figures."""
    kinds = program.kinds
    if backend != "auto":
        found = registry.find(backend) if isinstance(backend, str) else backend
        registry.check_protocol(found)
        registry.require(found, kinds)
        reason = registry.declined(found, program)
        if reason is not None:
            others = ", ".join(registry.able(program)) or "none installed"
            raise BackendError(f"Backend {found.name!r} cannot take this program: {reason}. Backends that can: {others}.")
        if (why := registry.too_large(found, program)) is not None:
            others = ", ".join(registry.able(program)) or "none installed"
            raise MemoryLimitError(f"Backend {found.name!r} would take {why}. Backends that fit: {others}. {FEWER}")
        return [found], []
    out, large, names = [], [], registry.names()  # once: it reads the entry points of everything installed
    for name in dict.fromkeys(n for n in (*AUTO, *names) if n in names):
        try:
            candidate = registry.find(name)
        except RelumodelError:  # a broken plug-in: rm.backends() says why
            continue
        able = registry.unavailable(candidate) is None and not registry.lacking(candidate, kinds)
        if not able or registry.declined(candidate, program) is not None:
            continue
        if (why := registry.too_large(candidate, program)) is None:
            out.append(candidate)
        else:
            large.append(f"{name} would take {why}")
    if out:
        timed = math.isfinite(current().remaining())
        out = [c for c in out if getattr(c, "keeps_time_limit", True)] or out if timed else out
        slow = timed and not registry.conic_fits(program)
        return sorted(out, key=lambda c: registry.reluctant(c, program, tol) or (slow and c.accepts is ConicForm)), large
    if large:
        raise MemoryLimitError(f"No installed backend fits this program into memory: {'; '.join(large)}. {FEWER}")
    raise BackendError(f"No installed backend takes {', '.join(sorted(kinds))}; see rm.backends() for what is missing.")
