"""All patterns of the data: then the convex program is exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrangement.arrangement import Arrangement, arrangement, readable
from ..arrangement.cells import interior_points, signs_at
from ..arrangement.packing import distinct, pack
from ..arrangement.witness import find_witnesses, is_strict
from ..declare.perturbations import Ball
from ..declared import whole
from ..errors import InputError
from ..resources.memory import require
from .all_sub_networks import all_sub_networks
from .pattern_set import PatternSet, PatternStrategy
from .sub_networks import SubNetworks

SOME = "Take some of them with rm.SamplePatterns(count), or use fewer samples."
"""What to do where all of them do not fit memory."""


@dataclass(frozen=True)
class EnumeratePatterns(PatternStrategy):
    """Every pattern [X a >= 0] with an interior, in lexicographic order of the columns (Pilanci & Ergen 2020).

    limit : the most patterns to list. Compiling raises `InputError` before any of them is listed when the bound
        2 sum_{k<r} C(m - 1, k) exceeds it; r is the rank of X and m counts its rows up to scale and sign.

    What counts as equal: rows within 1e-10 of (anti)parallel are one hyperplane, and singular values below 1e-10 of
    the largest are zero, both after rows and columns are brought to one scale. Cells that thin are not listed, and
    where several pairs of rows agree to about seven digits, some of the cells between them are not either.
    """

    limit: int = 100_000

    def __post_init__(self) -> None:
        object.__setattr__(self, "limit", whole(self.limit, "limit", low=1))

    def find(self, X: NDArray[np.float64], bias: bool, ball: Ball | None = None) -> PatternSet:
        """All patterns of X (n, d), each with a strict witness. Raises `InputError` when `limit` is too small."""
        reduced = arrangement(X)
        if reduced.bound > self.limit:
            raise InputError(
                f"X may have up to {readable(reduced.bound)} activation patterns (rank {reduced.rank}, "
                f"{reduced.hyperplanes} distinct hyperplanes), more than limit={self.limit:,}. Raise it, as in "
                f"EnumeratePatterns(limit=...), or take some of them with SamplePatterns(count)."
            )
        return enumerated(X, reduced)

    def find_sub_networks(self, X: NDArray[np.float64], bias: bool, width: int) -> SubNetworks:
        """All patterns of sub-networks, for tiny data. Raises `InputError` when `limit` is too small."""
        return all_sub_networks(X, self.find(X, bias), width, self.limit)


def enumerated(X: NDArray[np.float64], reduced: Arrangement) -> PatternSet:
    """All patterns of X (n, d), whose arrangement is `reduced`, however many there are."""
    if reduced.rank == 0:
        D, witnesses = np.ones((len(X), 1), dtype=bool), np.eye(1, X.shape[1])
    else:
        points = interior_points(reduced.normals, np.full(reduced.hyperplanes, reduced.blur))
        require(len(points) * (len(X) + 2 * reduced.hyperplanes), f"All {len(points):,} patterns of {len(X):,} samples", SOME)
        D, witnesses = reduced.on_samples(signs_at(points, reduced.normals)), reduced.lifted(points)
        D, witnesses = _with_interior(X, D, witnesses, reduced)
    order = distinct(pack(D.T)).first
    origin = f"all {len(order):,} patterns, enumerated (rank {reduced.rank})"
    return PatternSet(np.ascontiguousarray(D[:, order]), witnesses[order], complete=True, origin=origin)


def _with_interior(
    X: NDArray[np.float64], D: NDArray[np.bool_], witnesses: NDArray[np.float64], reduced: Arrangement
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Replace witnesses that rounding made unsafe by those of a linear program; drop patterns that have none."""
    unsafe = np.flatnonzero(~is_strict(X, witnesses, D))
    if not len(unsafe):
        return D, witnesses
    witnesses[unsafe] = find_witnesses(X, D[:, unsafe], reduced)
    kept = ~np.isnan(witnesses[:, 0])
    return D[:, kept], witnesses[kept]
