"""Where an interior point is, and what that proves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .block_newton import State

Vector = NDArray[np.float64]

#: A violation, in engine units, that the repair of the point undoes at no cost that shows in a gap.
FEASIBLE = 1e-9


@dataclass
class Iterate:
    """Where the interior point is. h and l are zero where the interval has no end."""

    state: State
    q: Vector
    h: Vector
    l: Vector  # noqa: E741

    def take(self, kept: NDArray) -> Iterate:
        """The iterate on some of its blocks."""
        return Iterate(self.state.take(kept), self.q, self.h, self.l)


@dataclass(frozen=True)
class Measure:
    """What an iterate proves on its blocks: the objective at u, the bound of (q, a) scaled into the dual's domain."""

    objective: float
    bound: float
    violation: float

    @property
    def gap(self) -> float:
        return (self.objective - self.bound) / (abs(self.objective) or 1.0)

    @property
    def worth(self) -> float:
        """Orders measures, the best first: the gap that is left once the violation is repaired, about."""
        repair = self.violation if self.violation > FEASIBLE else 0.0
        return (abs(self.objective - self.bound) + repair) / (abs(self.objective) or 1.0)
