"""The hyperplane arrangement of X, reduced: full rank, one normal for each distinct hyperplane, well scaled."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .parallel import merge_parallel
from .scaling import column_scales, unit_rows

RANK_TOLERANCE = 1e-10
"""Singular values below this fraction of the largest, rows and columns brought to one scale, count as zero."""

PARALLEL_TOLERANCE = 1e-10
"""Unit normals closer than this are one hyperplane. It is raised where rounding in X can move a normal further."""


@dataclass(frozen=True, eq=False)
class Arrangement:
    """The m distinct hyperplanes {a : x_k.a = 0} of the non-zero rows of X (n, d), in r = rank X coordinates.

    normals : (m, r) unit normals, spanning R^r.
    blur : how far rounding in X may have moved a unit normal.
    lift : (d, r); b in R^r stands for the vector lift @ b in R^d, and x_k.(lift @ b) has the sign of normal.b.
    hyperplane : (n,) which hyperplane row k is on, -1 for a zero row.
    along : (n,) whether row k points as the normal of its hyperplane does; True for a zero row.
    """

    normals: NDArray[np.float64]
    blur: float
    lift: NDArray[np.float64]
    hyperplane: NDArray[np.intp]
    along: NDArray[np.bool_]

    @property
    def rank(self) -> int:
        return self.normals.shape[1]

    @property
    def hyperplanes(self) -> int:
        return self.normals.shape[0]

    @property
    def bound(self) -> int:
        """2 sum_{k<r} C(m - 1, k), the most cells that m hyperplanes of rank r have (Cover 1965); 1 when X = 0."""
        return cell_bound(self.hyperplanes, self.rank)

    def on_hyperplanes(self, D: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Patterns (n, P) as signs on the hyperplanes (P, m), and which of them (P,) treat parallel rows alike."""
        rows = np.flatnonzero(self.hyperplane >= 0)
        towards = (D[rows] == self.along[rows, None]).T
        signs = np.ones((D.shape[1], self.hyperplanes), dtype=bool)
        signs[:, self.hyperplane[rows]] = towards
        return signs, (signs[:, self.hyperplane[rows]] == towards).all(axis=1)

    def on_samples(self, signs: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Signs on the hyperplanes (P, m) as patterns (n, P). A zero row's entry is True, for 0 >= 0."""
        D = np.ones((len(self.hyperplane), len(signs)), dtype=bool)
        rows = self.hyperplane >= 0
        D[rows] = signs.T[self.hyperplane[rows]] == self.along[rows, None]
        return D

    def lifted(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (P, r) as unit vectors (P, d)."""
        return unit_rows(points @ self.lift.T)


def arrangement(X: NDArray[np.float64]) -> Arrangement:
    """Reduce X (n, d), finite: drop zero rows, restrict to the row space, merge (anti)parallel rows.

    Patterns do not change when rows are scaled by positive numbers or X is multiplied from the right by an invertible
    matrix. So rows and columns are brought to one scale before the rank is decided, and the row space is whitened
    before rows are compared; neither the scale of a sample nor the units of a feature decide what is parallel.
    """
    n, d = X.shape
    rows = np.flatnonzero(X.any(axis=1))
    hyperplane, along = np.full(n, -1), np.ones(n, dtype=bool)
    if not len(rows):
        return Arrangement(np.empty((0, 0)), 0.0, np.empty((d, 0)), hyperplane, along)
    column = column_scales(X[rows])
    balanced = unit_rows(X[rows] / column)
    _, size, right = np.linalg.svd(balanced, full_matrices=False)
    kept = size > RANK_TOLERANCE * size[0]
    whiten = right[kept].T / size[kept]
    normals = unit_rows(balanced @ whiten)
    blur = 8 * d * np.finfo(float).eps * float(size[0] / size[kept][-1])
    lines = merge_parallel(normals, np.full(len(rows), max(PARALLEL_TOLERANCE, blur) / 2))
    hyperplane[rows], along[rows] = lines.line, lines.along
    return Arrangement(normals[lines.first], blur, whiten / column[:, None], hyperplane, along)


def pattern_bound(X: NDArray[np.float64]) -> int:
    """The most activation patterns [X a >= 0] that X (n, d) can have: 2 sum_{k<r} C(m - 1, k), with r its rank and m
    the number of its distinct hyperplanes (Cover 1965; Pilanci & Ergen 2020). Reached in general position."""
    return arrangement(X).bound


def cell_bound(hyperplanes: int, rank: int) -> int:
    """2 sum_{k<rank} C(hyperplanes - 1, k); 1 when there is no hyperplane."""
    if hyperplanes == 0:
        return 1
    total, term = 0, 1
    for k in range(min(rank, hyperplanes)):
        total += term
        term = term * (hyperplanes - 1 - k) // (k + 1)
    return 2 * total


def readable(count: int) -> str:
    """A count for a message: digits while they can be read, a power of ten beyond."""
    if count < 10**9:
        return f"{count:,}"
    exponent = math.log10(count)
    return f"about {10 ** (exponent % 1):.1f}e{int(exponent)}"
