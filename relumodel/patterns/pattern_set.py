"""Activation patterns of the rows of X, each with the vector that produces it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..declared import Declared
from ..errors import InputError
from ..perturbations import Ball
from ..program.ranks import Alone
from .sub_networks import SubNetworks


@dataclass(frozen=True, eq=False)
class PatternSet:
    """P activation patterns of n samples.

    D : (n, P) bool, column i is the pattern [X a_i >= 0].
    witnesses : (P, d) float64, row i is the a_i, unit 2-norm, with (2 D_i - 1) * (X a_i) > 0 on every non-zero row of
        X; a row of NaN where no such vector exists (a given pattern whose cone has no interior), or where there is a
        perturbation, for which robust witnesses replace these, and none was at hand.
    complete : True only when D holds every pattern of the arrangement (then the program is exact).
    origin : one phrase for the report, e.g. "50 sampled (seed 0)".
    """

    D: NDArray[np.bool_]
    witnesses: NDArray[np.float64]
    complete: bool
    origin: str

    @property
    def count(self) -> int:
        return self.D.shape[1]


class PatternStrategy(Declared):
    """Where patterns come from. A strategy is declared without data and finds its patterns when a model is compiled."""

    def find(self, X: NDArray[np.float64], bias: bool, ball: Ball | None = None) -> PatternSet:
        """The patterns of X (n, d), the ones column included as its last column when `bias` is true."""
        raise TypeError(f"{type(self).__name__} does not say how to find patterns.")

    def find_shards(self, X: NDArray[np.float64], bias: bool, ranks: Alone) -> PatternSet:
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
