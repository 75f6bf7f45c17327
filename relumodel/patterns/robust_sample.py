"""Patterns for robust training: those of perturbed samples, and those of hyperplanes between the perturbed samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrangement.chunks import chunks
from ..arrangement.packing import first_seen, pack, unpack
from ..arrangement.scaling import unit_rows
from ..arrangement.witness import is_strict, no_witnesses
from ..declare.perturbations import Ball
from ..declared import whole
from ..errors import InputError
from .pattern_set import PatternSet, PatternStrategy


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
            raise InputError(
                "RobustSamplePatterns needs a model with a perturbation of positive radius; without one use rm.SamplePatterns."
            )
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
                "GapPatterns needs a model with a perturbation of positive radius and a bias (the threshold of a gap is a bias weight)."
            )
        planes = _planes(X, self._directions(X, np.random.default_rng(self.seed)), ball)
        words, witnesses = pack(np.empty((0, len(X)), dtype=bool)), np.empty((0, X.shape[1]))
        for part in chunks(len(planes), len(X)):
            joined = np.concatenate([words, pack(planes[part] @ X.T >= 0)])
            first = first_seen(joined)[: self.count]
            words, witnesses = joined[first], np.concatenate([witnesses, planes[part]])[first]
            if len(words) == self.count:
                break
        D = np.ascontiguousarray(unpack(words, len(X)).T)
        origin = f"{len(words):,} gaps between perturbed samples (seed {self.seed}, {self.directions:,} directions)"
        return PatternSet(D, witnesses, complete=False, origin=origin)

    def _directions(self, X: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        half = self.directions // 2
        n, d = X.shape
        pairs = X[rng.integers(n, size=half)] - X[rng.integers(n, size=half)]
        directions = np.vstack([rng.standard_normal((self.directions - half, d)), pairs])
        directions[:, -1] = 0.0  # the bias weight is the threshold, chosen per gap
        return unit_rows(directions[directions.any(axis=1)])


def _planes(X: NDArray[np.float64], directions: NDArray[np.float64], ball: Ball) -> NDArray[np.float64]:
    """Unit hyperplanes in the middle of the gaps along the directions (m, d), both orientations, the relatively widest first."""
    projections = np.sort(X @ directions.T, axis=0)
    widths, need = np.diff(projections, axis=0), 2 * ball.support(directions)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(widths > 0, widths / need, 0.0)
    gap, direction = np.nonzero(ratios > 1 + 1e-9)
    order = np.argsort(-ratios[gap, direction], kind="stable")
    gap, direction = gap[order], direction[order]
    planes = directions[direction]
    planes[:, -1] = -0.5 * (projections[gap, direction] + projections[gap + 1, direction])
    planes = unit_rows(planes)
    return np.stack([planes, -planes], axis=1).reshape(-1, X.shape[1])


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
