"""Patterns that follow the training: declared here, found by `Model.fit`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..declare.perturbations import Ball
from ..declared import number, whole
from ..errors import InputError
from .pattern_set import PatternSet, PatternStrategy

#: Starts of a pricing: as many as look at LOOKS samples once, within these limits.
FEWEST, MOST, LOOKS = 500, 4000, 4e6


@dataclass(frozen=True)
class AdaptivePatterns(PatternStrategy):
    """The patterns that training turns out to need: local descent proposes them, pricing adds what is missing.

    gap : stop when (objective - bound) / |objective| is at most this, bound being that on the training problem itself.
    seed : of every random draw.  rounds : at most so many polish and price steps.
    width : neurons of the first descent.  starts : random starts of every pricing; None for 4000, fewer on more than 1000 samples.
    max_patterns : at most so many in one convex program; the most promising are kept.
    proof : seconds, in all, for the proof that the search missed no direction, tried on data of rank 8 or less once the gap is
        reached; 0 for none. With it the bound is "certified". None is a second, or a minute where `gap` is 1e-5 or less.
    With a perturbation (robust="crossing") rounds descend and polish, `gap` is the gain below which they stop, and the starts price
    the lower bound.
    For `Model.fit`; `Model.compile` has nothing to follow, and says so.
    """

    gap: float = 1e-3
    seed: int = 0
    rounds: int = 30
    width: int = 60
    starts: int | None = None
    max_patterns: int = 300
    proof: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "gap", number(self.gap, "gap", above=0))
        object.__setattr__(self, "seed", whole(self.seed, "seed"))
        if self.proof is not None:
            object.__setattr__(self, "proof", number(self.proof, "proof", low=0))
        if self.starts is not None:
            object.__setattr__(self, "starts", whole(self.starts, "starts", low=1))
        for name in ("rounds", "width", "max_patterns"):
            object.__setattr__(self, name, whole(getattr(self, name), name, low=1))

    @property
    def seconds_of_proof(self) -> float:
        """`proof`, or what None stands for."""
        return self.proof if self.proof is not None else 60.0 if self.gap <= 1e-5 else 1.0

    def starts_on(self, samples: int) -> int:
        """`starts`, or what None stands for on so many samples."""
        return self.starts if self.starts is not None else int(max(FEWEST, min(MOST, LOOKS / max(samples, 1))))

    def find(self, X: NDArray[np.float64], bias: bool, ball: Ball | None = None) -> PatternSet:
        raise InputError(
            "AdaptivePatterns follow the training: use model.fit(X, y, patterns=...), whose result has the program. "
            "To compile without training use rm.SamplePatterns(50, seed=0) or another source."
        )
