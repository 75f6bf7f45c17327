"""Patterns that divide none of some groups of samples: what is left of those of another source."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..declare.perturbations import Ball
from ..errors import InputError
from .pattern_set import PatternSet, PatternStrategy
from .robust_sample import with_uniform


@dataclass(frozen=True, eq=False)
class Undivided(PatternStrategy, abstract=True):
    """The patterns of `source`, and those of one side for all samples, in which every group of rows is on one side. groups : the rows
    of each."""

    source: PatternStrategy
    groups: tuple[NDArray[np.intp], ...]

    def find(self, X: NDArray[np.float64], bias: bool, ball: Ball | None = None) -> PatternSet:
        found = with_uniform(X, self.source.find(X, bias, ball))
        kept = np.ones(found.count, dtype=bool)
        for rows in self.groups:
            kept &= found.D[rows].all(axis=0) | ~found.D[rows].any(axis=0)
        if not kept.any():
            raise InputError(
                f"Each of the {found.count} patterns has a kink within the radius of a point where a gradient is read; take a smaller radius, "
                "or more patterns."
            )
        origin = f"{found.origin}, {int(kept.sum())} without kinks near gradients"
        return dataclasses.replace(
            found, D=np.ascontiguousarray(found.D[:, kept]), known=found.known[kept], origin=origin, neurons=None
        )
