"""Patterns for robust training: those of perturbed samples, and those of hyperplanes between the perturbed samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..declared import whole
from ..errors import InputError
from ..perturbations import Ball
from .packing import first_seen, pack, unpack
from .pattern_set import PatternSet, PatternStrategy
from .scaling import unit_rows
from .witness import is_strict, no_witnesses


@dataclass(frozen=True)
class RobustSamplePatterns(PatternStrategy):
    """Algorithm 4.1 of Bai et al. (2023): for Gaussian directions a, the pattern [X a >= 0] and, `repeats` - 1 times,
    [(X + delta) a >= 0] with a random extreme perturbation delta of every sample (r sign(R) for LInf); distinct ones,
    until there are `count`.

    Compiling raises `InputError`, saying how many were found, when draws bring nothing new.
    """

    count: int
    seed: int = 0
    repeats: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", whole(self.count, "count", low=1))
        object.__setattr__(self, "seed", whole(self.seed, "seed"))
        object.__setattr__(self, "repeats", whole(self.repeats, "repeats", low=1))

    def find(self, X: NDArray[np.float64], bias: bool, ball: Ball | None = None) -> PatternSet:
        """`count` distinct patterns, each with a clean witness where there is one (a perturbed pattern may have none)."""
        if ball is None:
            raise InputError("RobustSamplePatterns needs a model with a perturbation; without one use rm.SamplePatterns.")
        rng = np.random.default_rng(self.seed)
        words = pack(np.empty((0, len(X)), dtype=bool))
        directions = np.empty((0, X.shape[1]))
        idle = 0
        while len(words) < self.count and idle < 100 + 10 * self.count:
            a = unit_rows(rng.standard_normal((1, X.shape[1])))
            moved = [X, *(X + ball.worst(rng.standard_normal(X.shape)) for _ in range(self.repeats - 1))]
            patterns = np.stack([x @ a[0] >= 0 for x in moved])
            joined = np.concatenate([words, pack(patterns)])
            new = first_seen(joined)
            idle = 0 if len(new) > len(words) else idle + 1
            words, directions = joined[new], np.concatenate([directions, np.repeat(a, self.repeats, axis=0)])[new]
        if len(words) < self.count:
            raise InputError(
                f"RobustSamplePatterns found {len(words):,} distinct patterns, not the {self.count:,} asked for; ask for at most that."
            )
        D = np.ascontiguousarray(unpack(words[: self.count], len(X)).T)
        witnesses = directions[: self.count]
        perturbed = ~is_strict(X, witnesses, D)
        witnesses[perturbed] = np.nan
        origin = f"{self.count:,} sampled around perturbed data (seed {self.seed}, {self.repeats} a direction)"
        return PatternSet(D, witnesses, complete=False, origin=origin)


@dataclass(frozen=True)
class GapPatterns(PatternStrategy):
    """Patterns whose hyperplane misses every perturbed sample: along a direction a, every gap wider than 2 h(a) between
    neighbouring projections gives one (needs a bias, whose weight is the threshold). Directions are Gaussian, and
    differences of samples, which find gaps that random directions miss.

    count : the largest number of patterns; the widest gaps first.  directions : how many are looked at.
    """

    count: int
    seed: int = 0
    directions: int = 2000

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", whole(self.count, "count", low=1))
        object.__setattr__(self, "seed", whole(self.seed, "seed"))
        object.__setattr__(self, "directions", whole(self.directions, "directions", low=1))

    def find(self, X: NDArray[np.float64], bias: bool, ball: Ball | None = None) -> PatternSet:
        """At most `count` patterns, each with a robust witness."""
        if ball is None or not bias:
            raise InputError(
                "GapPatterns needs a model with a perturbation and a bias (the threshold of each gap is a bias weight)."
            )
        rng = np.random.default_rng(self.seed)
        gaps = sorted((gap for a in self._directions(X, rng) for gap in _gaps(X, a, ball)), key=lambda gap: -gap[0])
        words = pack(np.array([X @ a >= 0 for _, a in gaps], dtype=bool).reshape(-1, len(X)))
        first = first_seen(words)[: self.count]
        witnesses = np.array([gaps[i][1] for i in first]).reshape(-1, X.shape[1])
        D = np.ascontiguousarray(unpack(words[first], len(X)).T)
        origin = f"{len(first):,} gaps between perturbed samples (seed {self.seed}, {self.directions:,} directions)"
        return PatternSet(D, witnesses, complete=False, origin=origin)

    def _directions(self, X: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        half = self.directions // 2
        n, d = X.shape
        pairs = X[rng.integers(n, size=half)] - X[rng.integers(n, size=half)]
        directions = np.vstack([rng.standard_normal((self.directions - half, d)), pairs])
        directions[:, -1] = 0.0  # the bias weight is the threshold, chosen per gap
        return unit_rows(directions[directions.any(axis=1)])


def _gaps(X: NDArray[np.float64], a: NDArray[np.float64], ball: Ball) -> list[tuple[float, NDArray[np.float64]]]:
    """(relative width, hyperplane) of the gaps along a, both orientations."""
    projections = np.sort(X @ a)
    need = 2 * float(ball.support(a[None])[0])
    widths = np.diff(projections)
    out = []
    for j in np.flatnonzero(widths > need * (1 + 1e-9)):
        plane = a.copy()
        plane[-1] = -0.5 * (projections[j] + projections[j + 1])
        plane /= np.linalg.norm(plane)
        ratio = float(widths[j] / need) if need > 0 else float("inf")
        out += [(ratio, plane), (ratio, -plane)]
    return out


def with_uniform(X: NDArray[np.float64], found: PatternSet) -> PatternSet:
    """The patterns with the all-active and the all-inactive one added, unless they are there already."""
    uniform = np.column_stack([np.ones(len(X), dtype=bool), np.zeros(len(X), dtype=bool)])
    missing = [j for j in (0, 1) if not (uniform[:, [j]] == found.D).all(axis=0).any()]
    if not missing:
        return found
    added = uniform[:, missing]
    names = " and ".join(("all-active", "all-inactive")[j] for j in missing)
    return PatternSet(
        np.hstack([found.D, added]),
        np.vstack([found.witnesses, no_witnesses(X, added)]),
        complete=found.complete,
        origin=f"{found.origin}, {names}",
    )
