"""What a fit proves of its network everywhere in a box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..declare.everywhere import Everywhere
from ..robustness.box_extremes import NARROW, Extreme


@dataclass(frozen=True, eq=False)
class Certificate:
    """Whether a constraint holds at every point of its box.

    constraint : its text.  proved : a mixed-integer program (HiGHS, its tolerances allowed for) found nothing in the box that breaks it.
    worst : the lowest value or slope found for >=, the highest for <=, attained at `at` (d,).  bound : none in the box is worse than this.
    narrow : how many combinations of sides were left out, since their cells are narrower than 1e-7 of the box; the statement is then one
        on all wider cells.
    """

    constraint: str
    proved: bool
    worst: float
    at: NDArray[np.float64]
    bound: float
    narrow: int = 0
    level: float = 0.0
    sign: float = 1.0

    @classmethod
    def of(cls, wanted: Everywhere, found: Extreme, d: int) -> Certificate:
        """found : the lowest of sign times what is bounded."""
        s = wanted.sign
        proved = found.bound >= s * wanted.level
        return cls(wanted.text, proved, s * found.value, found.at[:d], s * found.bound, found.narrow, wanted.level, s)

    @property
    def violation(self) -> float:
        """By how much the worst point found breaks it."""
        return max(0.0, self.sign * (self.level - self.worst))

    def __str__(self) -> str:
        side, most = ("lowest", "below") if self.sign > 0 else ("highest", "above")
        left = f", {self.narrow} cells narrower than {NARROW:g} of the box left out" if self.narrow else ""
        if self.proved:
            return f"{self.constraint}: holds everywhere (proved; the {side} found is {self.worst:.4g}{left})"
        known = f"proved: nothing is {most} {self.bound:.4g}" if np.isfinite(self.bound) else "and nothing is proved"
        return f"{self.constraint}: NOT PROVED; the {side} found is {self.worst:.4g}, {known}{left}"
