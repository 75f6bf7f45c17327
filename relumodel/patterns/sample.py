"""Some patterns of the data, those of Gaussian directions (Algorithm 2.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrangement.arrangement import Arrangement, arrangement, cell_bound, readable
from ..arrangement.chunks import chunks
from ..arrangement.packing import first_seen, global_keys, pack, unpack
from ..arrangement.scaling import unit_rows
from ..arrangement.witness import is_strict
from ..declare.perturbations import Ball
from ..declared import whole
from ..errors import InputError
from ..program.ranks import SINGLE_PROCESS, SingleProcess
from ..resources.memory import FEWER, require
from .enumerate import enumerated
from .pattern_set import PatternSet, PatternStrategy
from .sub_networks import SubNetworks, sampled

ENUMERABLE = 100_000
"""When drawing brings nothing new, patterns bounded by this number are listed instead."""

SPARE = 32
"""Draws beyond those needed: usually one of them shows that there are more patterns than were asked for."""


@dataclass(frozen=True)
class SamplePatterns(PatternStrategy):
    """`count` distinct patterns [X a >= 0], a ~ N(0, I), in the order drawn (Bai et al. 2023, Algorithm 2.1).

    With the same seed, a larger count begins with the patterns of a smaller one. When further draws bring nothing new,
    all patterns are listed, if that is feasible, and the missing ones taken from the list in random order.
    Compiling raises `InputError`, saying how many patterns there are, when there are fewer than `count`.
    """

    count: int
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", whole(self.count, "count", low=1))
        object.__setattr__(self, "seed", whole(self.seed, "seed"))

    def find(self, X: NDArray[np.float64], bias: bool, ball: Ball | None = None) -> PatternSet:
        """`count` patterns of X (n, d), each with a strict witness; complete only when proved to be all."""
        self._refuse_above(cell_bound(len(X), min(X.shape)))
        self._must_fit(X)
        draws = _Draws(X, self.seed)
        reduced = self._draw(draws)
        if draws.found > self.count:
            return self._first(draws, complete=False)
        # The last draws brought nothing new, so these may be all there are.
        reduced = reduced or arrangement(X)
        if reduced.bound <= ENUMERABLE:
            return self._filled_up(draws, enumerated(X, reduced))
        if draws.found < self.count:
            raise InputError(
                f"SamplePatterns found {draws.found:,} distinct patterns in {draws.drawn:,} draws, not the "
                f"{self.count:,} asked for; ask for at most {draws.found:,}, or use EnumeratePatterns(limit=...), "
                f"which lists all, up to {readable(reduced.bound)} here."
            )
        return self._first(draws, complete=draws.found == reduced.bound)

    def find_shards(self, X: NDArray[np.float64], bias: bool, ranks: SingleProcess) -> PatternSet:
        """The directions are drawn alike on every rank; only which of them are new and strict is asked of all. Few patterns are not
        listed where drawing brings nothing new: that takes all rows."""
        with ranks.together():
            self._must_fit(X)
        draws = _Draws(X, self.seed, ranks)
        self._draw(draws)
        if draws.found < self.count:
            raise InputError(
                f"SamplePatterns found {draws.found:,} distinct patterns in {draws.drawn:,} draws on the rows of all ranks, not the "
                f"{self.count:,} asked for; ask for at most {draws.found:,}, or compile in one process, which can list them all."
            )
        return self._first(draws, complete=False)

    def find_sub_networks(self, X: NDArray[np.float64], bias: bool, width: int) -> SubNetworks:
        """`count` sub-networks with distinct patterns (Ergen & Pilanci 2021, Remark 3)."""
        return sampled(X, width, self.count, self.seed)

    def find_directions(self, X: NDArray[np.float64], bias: bool) -> PatternSet:
        """Those that give `count` distinct patterns on X (n, d)."""
        return self.find(X, bias)

    def find_sub_network_directions(self, X: NDArray[np.float64], bias: bool, width: int) -> SubNetworks:
        """Those of `count` sub-networks with distinct patterns on X (n, d)."""
        return self.find_sub_networks(X, bias, width)

    def _draw(self, draws: _Draws) -> Arrangement | None:
        """Draw until there are more patterns than asked for, or until as many draws again bring nothing new."""
        reduced = None
        while draws.found <= self.count and draws.drawn <= 100 * self.count + 10_000:
            if draws.found == draws.drawn:
                draws.more(min(self.count - draws.found + SPARE, 4096))
                continue
            if reduced is None and draws.ranks.size == 1:  # a pattern came twice, so there may be few
                reduced = arrangement(draws.X)
                self._refuse_above(reduced.bound)
            if not draws.more(draws.drawn):
                break
        return reduced

    def _filled_up(self, draws: _Draws, everything: PatternSet) -> PatternSet:
        """The patterns drawn, then those still missing from the list of all of them."""
        listed = self.count - draws.found
        order = draws.rng.permutation(everything.count)
        draws.append(everything.D[:, order], everything.witnesses[order])
        if self.count > draws.found:
            raise InputError(
                f"SamplePatterns was asked for {self.count:,} patterns, but only {draws.found:,} distinct patterns "
                f"exist; ask for at most {draws.found:,}, or use EnumeratePatterns() which is exact."
            )
        return self._first(draws, complete=self.count == draws.found, listed=listed)

    def _first(self, draws: _Draws, complete: bool, listed: int = 0) -> PatternSet:
        D = np.ascontiguousarray(unpack(draws.words[: self.count], len(draws.X)).T)
        origin = f"{self.count:,} sampled (seed {self.seed})"
        origin += f", {listed:,} of them from a list of all" if listed else ""
        return PatternSet(D, draws.witnesses[: self.count], complete=complete, origin=origin)

    def _must_fit(self, X: NDArray[np.float64]) -> None:
        """An error where the patterns, as booleans and packed, and their directions take more memory than there is."""
        n, d = X.shape
        require(self.count * (n + n / 8 + 8 * d), f"{self.count:,} patterns of {n:,} samples", FEWER)

    def _refuse_above(self, bound: int) -> None:
        if self.count > bound:
            raise InputError(
                f"SamplePatterns was asked for {self.count:,} patterns, but at most {readable(bound)} distinct ones "
                f"exist for this X; ask for fewer, or use EnumeratePatterns() which is exact."
            )


class _Draws:
    """The distinct patterns of X among the Gaussian directions drawn so far, each with its first direction."""

    def __init__(self, X: NDArray[np.float64], seed: int, ranks: SingleProcess = SINGLE_PROCESS) -> None:
        self.X, self.ranks = X, ranks
        self.most = int(ranks.largest(len(X)))  # all ranks draw in the same parts
        self.rng = np.random.default_rng(seed)
        self.drawn = 0
        self.witnesses = np.empty((0, X.shape[1]))
        self.words = pack(np.empty((0, len(X)), dtype=bool))

    @property
    def found(self) -> int:
        return len(self.witnesses)

    def more(self, size: int) -> int:
        """Draw `size` more directions; how many new patterns they gave. A direction on a boundary gives none."""
        before = self.found
        for part in chunks(size, self.most):
            directions = unit_rows(self.rng.standard_normal((part.stop - part.start, self.X.shape[1])))
            D = self.X @ directions.T >= 0
            strict = self.ranks.all(is_strict(self.X, directions, D))
            self.append(D[:, strict], directions[strict])
        self.drawn += size
        return self.found - before

    def append(self, D: NDArray[np.bool_], directions: NDArray[np.float64]) -> None:
        """Add the patterns D (n, Q) of the directions (Q, d), except those found before."""
        words = np.concatenate([self.words, pack(D.T)])
        new = first_seen(global_keys(words, self.ranks))
        self.words, self.witnesses = words[new], np.concatenate([self.witnesses, directions])[new]
