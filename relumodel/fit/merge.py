"""Neurons that are nearly parallel: added up, or thinned out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arrangement.scaling import unit_rows
from ..robustness.neurons import Neurons

Matrix = NDArray[np.float64]


def merged(neurons: Neurons, cosine: float) -> Neurons:
    """Neurons of one sign within `cosine` of a larger one added to it. Convex solutions spread a neuron over adjacent cells."""
    order = np.argsort(-np.linalg.norm(neurons.blocks, axis=1), kind="stable")
    blocks, signs = neurons.blocks[order], neurons.signs[order]
    leaders, leader = _leaders(blocks, signs, cosine)
    sums = np.zeros((len(leaders), blocks.shape[1]))
    np.add.at(sums, leader, blocks)
    return Neurons(sums, signs[leaders], neurons.slope)


def spread(directions: Matrix, cosine: float, count: int) -> Matrix:
    """The first `count` directions that are not within `cosine` of an earlier one."""
    units = unit_rows(directions)
    kept: list[int] = []
    left = np.arange(len(directions))
    while len(left) and len(kept) < count:  # a product with one direction at a time: there may be many thousands
        kept.append(int(left[0]))
        left = left[1:][units[left[1:]] @ units[left[0]] < cosine]
    return directions[kept]


def leaders(directions: Matrix, cosine: float) -> NDArray[np.intp]:
    """Those that are not within `cosine` of an earlier one."""
    return _leaders(directions, np.ones(len(directions)), cosine)[0]


def groups(directions: Matrix, cosine: float) -> NDArray[np.intp]:
    """For each the number of the first one that it is within `cosine` of."""
    return _leaders(directions, np.ones(len(directions)), cosine)[1]


def _leaders(vectors: Matrix, signs: Matrix, cosine: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Greedy grouping in the order given: the leaders, and the number of the group that each vector is in."""
    units = unit_rows(vectors)
    near = units @ units.T >= cosine
    for one in signs.T if signs.ndim == 2 else [signs]:
        near &= one[:, None] == one
    group = np.full(len(vectors), -1)
    leaders: list[int] = []
    for j in range(len(vectors)):
        if group[j] < 0:
            group[near[j] & (group < 0)] = len(leaders)
            group[j] = len(leaders)  # a zero vector is near nothing
            leaders.append(j)
    return np.array(leaders, dtype=np.intp), group
