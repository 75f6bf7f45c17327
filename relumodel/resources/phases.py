"""What a long call is doing, from its first second: one line, of whatever part works at the moment.

A public call opens it with `phases_shown`; the parts say where they are with `report`, which does nothing where nobody asked. So, as with
deadlines, protocols and parts need no argument for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from .deadline import clock, current
from .progress import Progress, progress_line


@dataclass
class _Shown:
    """The line of one call. started : on the clock.  round : the one that is being worked on."""

    tell: Callable[[Progress], None]
    started: float
    round: int = 1


_shown: ContextVar[_Shown | None] = ContextVar("relumodel_phases", default=None)


@contextmanager
def phases_shown(shown: bool, started: float) -> Iterator[None]:
    """Within, `report` shows a line on stderr, if `shown`; that of a call which this is a part of goes on."""
    if not shown or _shown.get() is not None:
        yield
        return
    with progress_line() as tell:
        token = _shown.set(_Shown(tell, started))
        try:
            yield
        finally:
            _shown.reset(token)


def report(phase: str, iteration: int = 0, objective: float = math.nan) -> None:
    """Say what is being done. iteration : of this phase; 0 at its start.  objective : NaN where the phase knows none."""
    shown = _shown.get()
    if shown is None:
        return
    left = current().outermost.remaining()
    shown.tell(
        Progress(
            iteration,
            objective,
            elapsed=clock() - shown.started,
            time_left=left if math.isfinite(left) else math.nan,
            phase=f"round {shown.round}, {phase}",
        )
    )


def round_ended(number: int) -> None:
    """The next report is of the round after this one."""
    shown = _shown.get()
    if shown is not None:
        shown.round = number + 1
