"""How likely a search is to have missed a maximum: from how often it found the same ones.

The ascents of a search are independent draws of a maximum, each with the probability of its basin, and the share of the draws that were
met once estimates the probability of all basins that were not met at all (Good 1953, "The population frequencies of species and the
estimation of population parameters", Biometrika 40; Turing's estimate).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .merge import groups

#: Ends within this cosine of each other are one maximum; a price less than this share above that of an end is that of the end.
SAME, LEVEL = 0.999, 1e-4


@dataclass(frozen=True)
class Odds:
    """ascents : those that were carried to the end.  largest : the largest price at an end.  again : how many of them ended there.
    maxima : where they ended.  once : maxima at which one of them ended."""

    ascents: int
    largest: float
    again: int
    maxima: int
    once: int

    @property
    def unseen(self) -> float:
        """The estimated probability that one more such ascent ends at a maximum that none of these ended at, most of them lower than the
        largest."""
        return self.once / self.ascents if self.ascents else 1.0

    def of(self, price: float) -> Odds:
        """The same for a price that may have been found elsewhere: then none of these ascents ended at it."""
        return self if price <= self.largest * (1 + LEVEL) else dataclasses.replace(self, largest=price, again=0)

    def __str__(self) -> str:
        return f"found by {self.again:,} of {self.ascents:,} ascents, of which {self.unseen:.1%} ended at a maximum of their own"


def odds_of(ends: NDArray[np.float64], values: NDArray[np.float64], counts: NDArray[np.intp]) -> Odds:
    """Of the ends (k, d) with their prices (k,), at each of which so many ascents (k,) ended."""
    order = np.argsort(-values, kind="stable")
    group = groups(ends[order], SAME)
    met = np.bincount(group, weights=counts[order]).astype(int)
    largest, again = (float(values.max()), int(met[0])) if len(met) else (0.0, 0)
    return Odds(int(counts.sum()), largest, again, len(met), int((met == 1).sum()))
