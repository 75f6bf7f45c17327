"""How a fit is to be done, for all that takes part in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..resources.deadline import limited
from ..resources.phases import phases_shown
from .result import Round


@dataclass(frozen=True)
class FitSettings:
    """How a fit is to be done, checked. options : of `Program.solve`.  limit : seconds, or None.
    watch : told every round, returns True to stop.  shown : whether a line says what is being done."""

    options: dict[str, Any]
    started: float
    limit: float | None
    watch: Callable[[Round], Any]
    shown: bool = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """What runs within keeps the limit and is shown."""
        with limited(self.limit), phases_shown(self.shown, self.started):
            yield
