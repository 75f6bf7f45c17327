"""The cells of neurons: an activation pattern for each, with a witness inside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrangement.packing import distinct, pack
from ..arrangement.scaling import unit_rows
from ..arrangement.witness import is_strict
from ..declare.perturbations import Ball
from ..patterns.pattern_set import PatternSet, PatternStrategy

Matrix = NDArray[np.float64]

#: |x.u| below this share of |x| |u| counts as zero: the sample lies on the neuron's hyperplane, up to rounding.
ON_HYPERPLANE = 1e-12


@dataclass(frozen=True, eq=False)
class Cells(PatternStrategy):
    """Distinct patterns D (n, P) with witnesses (P, d), NaN where none was found, as `compile` takes them."""

    D: NDArray[np.bool_]
    witnesses: Matrix

    @property
    def count(self) -> int:
        return self.D.shape[1]

    def joined(self, other: Cells) -> Cells:
        """These cells in their order, then those of `other` that are new."""
        return _distinct(np.hstack([self.D, other.D]), np.vstack([self.witnesses, other.witnesses]))[0]

    def take(self, index: NDArray[np.intp] | slice) -> Cells:
        return Cells(np.ascontiguousarray(self.D[:, index]), self.witnesses[index])

    def find(self, X: Matrix, bias: bool, ball: Ball | None = None) -> PatternSet:
        return PatternSet(self.D, self.witnesses, complete=False, origin=f"{self.count:,} adaptive")


def cells_of(X: Matrix, directions: Matrix, rng: np.random.Generator) -> tuple[Cells, NDArray[np.intp]]:
    """The cells whose closures hold the directions (m, d), in order of first appearance, and the cell of each direction (m,).

    A sample exactly on a neuron's hyperplane may take either side: a random one is drawn, for all such samples at once, so
    that the cell has interior.
    """
    witnesses = unit_rows(directions)
    T = witnesses @ X.T
    size = np.linalg.norm(X, axis=1)
    on = (np.abs(T) <= ON_HYPERPLANE * size) & (size > 0)
    for j in np.flatnonzero(on.any(axis=1)):
        witnesses[j] = _beside(X, witnesses[j], T[j], on[j], rng)
    D = X @ witnesses.T >= 0
    strict = is_strict(X, witnesses, D)
    return _distinct(D, np.where(strict[:, None], witnesses, np.nan))


def _distinct(D: NDArray[np.bool_], witnesses: Matrix) -> tuple[Cells, NDArray[np.intp]]:
    """Each pattern once, in order of first appearance, and which one each column is."""
    groups = distinct(pack(D.T))
    order = np.argsort(groups.first)
    first = groups.first[order]
    return Cells(np.ascontiguousarray(D[:, first]), witnesses[first]), np.argsort(order)[groups.group]


def _beside(X: Matrix, u: Matrix, T: Matrix, on: NDArray[np.bool_], rng: np.random.Generator) -> Matrix:
    """u moved along a random direction, half as far as the nearest sample that is not on its hyperplane allows."""
    along = unit_rows(rng.standard_normal((1, len(u))))[0]
    moving = X @ along
    against = ~on & (moving * T < 0)
    step = 0.5 * float(np.min(-T[against] / moving[against], initial=2.0))
    return u + step * along
