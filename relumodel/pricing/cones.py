"""Simplicial cones that cover R^r, and how they are split."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .price_function import PriceFunction

Matrix = NDArray[np.float64]

#: A generator counts in the choice of an edge with at least this share of the largest weight.
LEAST = 1e-2
#: A generator is on a hyperplane when it is no further from it than this.
ROUNDING = 1e-14


def orthants(rank: int) -> Matrix:
    """The 2^r orthants, as generators (2^r, r, r), one a row."""
    signs = 1.0 - 2.0 * (np.arange(2**rank)[:, None] >> np.arange(rank) & 1)
    return signs[:, :, None] * np.eye(rank)


def split(V: Matrix, weights: Matrix, f: PriceFunction, size: Callable[[Matrix], Matrix]) -> tuple[Matrix, Matrix]:
    """The two parts of every cone V (N, r, r). Of its edges that one is cut along which the convex part of F bends most, seen from the
    point with these weights (N, r); the longest where it is straight. It is halved, or, in a cone that no more than r hyperplanes of
    the convex part cross, cut at the one that bends it most: so the search ends even where one passes through a maximum."""
    at = np.arange(len(V))
    heights = V @ f.Y.T
    heights[np.abs(heights) <= ROUNDING] = 0.0
    shares = np.maximum(weights, LEAST * weights.max(axis=1, keepdims=True))[:, :, None] * heights
    above, below = np.maximum(shares, 0.0), np.maximum(-shares, 0.0)
    i, j = _longest_edges(V)
    most, which = np.zeros(len(V)), np.full(len(V), -1)
    for a, b in itertools.combinations(range(V.shape[1]), 2):
        bends = (np.minimum(above[:, a], below[:, b]) + np.minimum(below[:, a], above[:, b])) * f.up
        bend = bends.sum(axis=1)
        better = bend > most
        most[better], i[better], j[better], which[better] = bend[better], a, b, bends[better].argmax(axis=1)
    share = np.full(len(V), 0.5)
    cut = np.flatnonzero((which >= 0) & (crossing(heights).sum(axis=1) <= V.shape[1]))
    here, there = np.abs(heights[cut, i[cut], which[cut]]), np.abs(heights[cut, j[cut], which[cut]])
    share[cut] = there / (here + there)
    middle = share[:, None] * V[at, i] + (1 - share)[:, None] * V[at, j]
    middle /= size(middle)[:, None]
    one, other = V.copy(), V.copy()
    one[at, i], other[at, j] = middle, middle
    return one, other


def crossing(heights: Matrix) -> NDArray[np.bool_]:
    """Which hyperplanes (N, m) have generators on both sides, by more than rounding; heights (N, r, m)."""
    return np.minimum(heights.max(axis=1, initial=0.0), -heights.min(axis=1, initial=0.0)) > ROUNDING


def _longest_edges(V: Matrix) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The generators (N,), (N,) with the widest angle between them."""
    products = V @ V.transpose(0, 2, 1)
    length = np.sqrt(np.diagonal(products, axis1=1, axis2=2))
    cosine = products / (length[:, :, None] * length[:, None, :])
    i, j = np.divmod(cosine.reshape(len(cosine), -1).argmin(axis=1), V.shape[1])
    return i, j
