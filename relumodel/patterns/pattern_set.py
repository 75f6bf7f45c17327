"""Activation patterns of the rows of X, each with the vector that produces it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..arrangement.arrangement import Arrangement, arrangement
from ..arrangement.witness import find_witnesses
from ..declare.perturbations import Ball
from ..declared import Declared
from ..errors import InputError
from ..program.ranks import SingleProcess
from .sub_networks import SubNetworks


@dataclass(frozen=True, eq=False)
class PatternSet:
    """P activation patterns of n samples.

    D : (n, P) bool, column i is the pattern [X a_i >= 0].
    known : (P, d) float64, the witnesses at hand: row i is the a_i, unit 2-norm, with (2 D_i - 1) * (X a_i) > 0 on every non-zero
        row of X; a row of NaN where none is.
    complete : True only when D holds every pattern of the arrangement (then the program is exact).
    origin : one phrase for the report, e.g. "50 sampled (seed 0)".
    X : (n, d), where `witness` may look for those that are not at hand, a linear program each; None where it may not: with a
        perturbation robust witnesses replace them, and of rows on several ranks no rank has all.
    neurons : (m, d) and (m,), the hidden neurons of the network that the patterns are of, at length one, and the pattern of each; on the
        boundaries of their cones maybe. None where there is no network.

    That a pattern has no witness is known once it was looked for. A program does not depend on it: the sign cone of such a pattern
    has no interior, and whatever lies in it is a network's block all the same.
    """

    D: NDArray[np.bool_]
    known: NDArray[np.float64]
    complete: bool
    origin: str
    X: NDArray[np.float64] | None = None
    neurons: tuple[NDArray[np.float64], NDArray[np.intp]] | None = None
    _searched: dict[int, NDArray[np.float64]] = field(default_factory=dict, init=False, repr=False)

    @property
    def count(self) -> int:
        return self.D.shape[1]

    @property
    def witnesses(self) -> NDArray[np.float64]:
        """(P, d), all of them: those at hand, and those that are found by looking; NaN where there is none."""
        missing = np.flatnonzero(np.isnan(self.known).any(axis=1))
        if self.X is None or not len(missing):
            return self.known
        self._search([i for i in missing.tolist() if i not in self._searched])
        out = self.known.copy()
        out[missing] = [self._searched[i] for i in missing.tolist()]
        return out

    def witness(self, i: int) -> NDArray[np.float64]:
        """(d,), that of pattern i, looked for where it is not at hand; NaN where there is none."""
        if self.X is None or not np.isnan(self.known[i]).any():
            return self.known[i]
        if i not in self._searched:
            self._search([i])
        return self._searched[i]

    def _search(self, indices: list[int]) -> None:
        """Look for the witnesses of these patterns, and keep what comes out."""
        if indices:
            assert self.X is not None
            self._searched.update(zip(indices, find_witnesses(self.X, self.D[:, indices], self._arrangement), strict=True))

    @cached_property
    def _arrangement(self) -> Arrangement:
        assert self.X is not None
        return arrangement(self.X)


class PatternStrategy(Declared):
    """Where patterns come from. A strategy is declared without data and finds its patterns when a model is compiled."""

    def find(self, X: NDArray[np.float64], bias: bool, ball: Ball | None = None) -> PatternSet:
        """The patterns of X (n, d), the ones column included as its last column when `bias` is true."""
        raise TypeError(f"{type(self).__name__} does not say how to find patterns.")

    def find_shards(self, X: NDArray[np.float64], bias: bool, ranks: SingleProcess) -> PatternSet:
        """The patterns of all rows, on the rows X (n, d) that this rank holds of them. Patterns and witnesses are those of `find` on all
        rows, in the same order on every rank; without the witnesses that one rank alone cannot find."""
        raise InputError(
            f"{type(self).__name__} needs all rows in one process; with group= use rm.SamplePatterns(50, seed=0) or rm.PatternsOf(network)."
        )

    def find_sub_networks(self, X: NDArray[np.float64], bias: bool, width: int) -> SubNetworks:
        """The patterns of three-layer sub-networks with `width` hidden neurons, for X as above."""
        raise InputError(
            f"{type(self).__name__} does not give patterns of three-layer sub-networks; use rm.SamplePatterns(10, seed=0)."
        )

    def find_directions(self, X: NDArray[np.float64], bias: bool) -> PatternSet:
        """Directions whose patterns are used on more samples than there are in X (n, d), the first of them: the witnesses (P, d), none NaN."""
        raise InputError(
            f"{type(self).__name__} lists patterns of samples that are in memory; data that come by batches need directions: use "
            "rm.SamplePatterns(50, seed=0), or rm.PatternsOf(network)."
        )

    def find_sub_network_directions(self, X: NDArray[np.float64], bias: bool, width: int) -> SubNetworks:
        """The same for the weights of three-layer sub-networks with `width` hidden neurons."""
        raise InputError(
            f"{type(self).__name__} does not give directions of three-layer sub-networks; use rm.SamplePatterns(10, seed=0)."
        )
