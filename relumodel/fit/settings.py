"""How a fit is to be done, for all that takes part in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .result import Round


@dataclass(frozen=True)
class FitSettings:
    """How a fit is to be done, checked. options : of `Program.solve`.  limit : seconds, or None.
    watch : told every round, returns True to stop."""

    options: dict[str, Any]
    started: float
    limit: float | None
    watch: Callable[[Round], Any]
