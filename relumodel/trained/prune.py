"""The same predictions from fewer neurons (Pilanci & Ergen 2020, Theorem 1; Caratheodory).

In terms of the blocks b_j = |a_j| u_j a network predicts sum_j s_j sigma(X b_j) at the penalty beta sum_j |b_j|, once every neuron is
balanced. Two neurons of one sign that have no sample on opposite sides add up to one, whose block is no longer than theirs together.
Then weights t >= 0 with sum_j t_j s_j sigma(X b_j) unchanged and sum_j t_j |b_j| least are the basic solution of a linear program: at
most n of them are not zero.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ..declare.perturbations import Ball
from ..robustness.neurons import Neurons, TwoLayers, neurons_of

if TYPE_CHECKING:
    from ..functions.penalties import Penalty

Matrix = NDArray[np.float64]
N = TypeVar("N", bound=TwoLayers)

#: Heights x.b below this share of |x| |b| count as zero, on either side; predictions may move by this share of their parts.
SAME = 1e-12


def pruned(network: N, penalty: Penalty, X: Matrix, ball: Ball | None) -> N:
    """See `Network.prune`. X : (n, d) with the bias column, if any."""
    neurons = neurons_of(network)
    if neurons.gates is not None:  # the gate decides, so that blocks of either sign add up
        neurons = dataclasses.replace(neurons, blocks=neurons.blocks * neurons.signs[:, None], signs=np.ones(len(neurons.signs)))
    neurons = _take(neurons, penalty.norms(neurons.blocks) > 0)
    neurons = _merged(neurons, X, ball)
    if ball is None:
        neurons = _basic(neurons, penalty, X)
    return _balanced(network, neurons, penalty)


def _merged(neurons: Neurons, X: Matrix, ball: Ball | None) -> Neurons:
    """Neurons added up wherever that changes nothing on the samples, or on their perturbation sets."""
    above, below, straddles = _sides(neurons, X, ball)
    blocks, signs, kept = neurons.blocks.copy(), neurons.signs, np.zeros(len(neurons.signs), dtype=bool)
    for j in np.argsort(-np.linalg.norm(blocks, axis=1), kind="stable"):
        opposite = (above[kept] & below[j]) | (below[kept] & above[j])
        fits = ~(opposite.any(axis=1) | (straddles[kept] | straddles[j]).any(axis=1)) & (signs[kept] == signs[j])
        if not fits.any():
            kept[j] = True
            continue
        i = np.flatnonzero(kept)[fits.argmax()]
        blocks[i] += blocks[j]
        above[i], below[i] = above[i] | above[j], below[i] | below[j]
    return _take(dataclasses.replace(neurons, blocks=blocks), kept)


def _sides(neurons: Neurons, X: Matrix, ball: Ball | None) -> tuple[NDArray[np.bool_], ...]:
    """Which samples (m, n) every neuron is active on, inactive on, and which perturbation sets it divides."""
    if neurons.gates is not None:
        heights = neurons.gates @ X.T
        above = heights >= 0 if ball is None else heights >= ball.support(neurons.gates)[:, None]
        below = heights < 0 if ball is None else heights < -ball.support(neurons.gates)[:, None]
        return above, below, ~(above | below)
    heights = neurons.blocks @ X.T
    if ball is None:
        room = SAME * np.linalg.norm(neurons.blocks, axis=1)[:, None] * np.linalg.norm(X, axis=1)
        return heights > room, heights < -room, np.zeros(heights.shape, dtype=bool)
    reach = ball.support(neurons.blocks)[:, None]
    above, below = heights >= reach, heights <= -reach
    return above & ~below, below & ~above, ~(above | below)


def _basic(neurons: Neurons, penalty: Penalty, X: Matrix) -> Neurons:
    """The neurons rescaled to the least penalty with these outputs, those scaled to zero dropped."""
    norms = penalty.norms(neurons.blocks)
    heights = neurons.blocks @ X.T
    side = heights if neurons.gates is None else neurons.gates @ X.T
    parts = (np.where(side >= 0, heights, neurons.slope * heights) * neurons.signs[:, None]).T
    total, size = parts.sum(axis=1), np.abs(parts).sum(axis=1)
    scale = float(size.max(initial=0.0))
    if scale == 0:  # nothing reaches the output
        return _take(neurons, np.zeros(len(norms), dtype=bool))
    shares = norms / norms.sum()
    for attempt in (_least, _no_more):
        t = attempt(parts / (scale * shares), total / scale, shares) / shares
        same = np.abs(parts @ t - total).max() <= SAME * scale
        if same and t @ norms <= norms.sum() * (1 + SAME):
            kept = t > 0
            return _take(dataclasses.replace(neurons, blocks=neurons.blocks * t[:, None]), kept) if not kept.all() else neurons
    return neurons


def _least(A: Matrix, b: Matrix, shares: Matrix) -> Matrix:
    """A basic solution w >= 0 (m,) of A w = b with the least sum, up to rounding; the shares where none was found."""
    from scipy.optimize import linprog, nnls  # here, because they cost as much to import as all the rest

    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    answer = linprog(np.ones(len(shares)), A_eq=A, b_eq=b, method="highs-ds", options=tight)
    if answer.x is None:
        return shares
    support = np.flatnonzero(answer.x > SAME)
    w = np.zeros(len(shares))
    try:
        w[support] = nnls(A[:, support], b)[0]  # the program is solved to some 1e-10 only
    except RuntimeError:
        return shares
    return w


def _no_more(A: Matrix, b: Matrix, shares: Matrix) -> Matrix:
    """w >= 0 with A w = b and the sum of the shares, at most n + 1 of them not zero."""
    from scipy.optimize import nnls

    try:
        return nnls(np.vstack([A, np.ones(len(shares))]), np.append(b, shares.sum()))[0]
    except RuntimeError:
        return shares


def _take(neurons: Neurons, which: NDArray[np.bool_]) -> Neurons:
    gates = None if neurons.gates is None else neurons.gates[which]
    return dataclasses.replace(neurons, blocks=neurons.blocks[which], signs=neurons.signs[which], gates=gates)


def _balanced(network: N, neurons: Neurons, penalty: Penalty) -> N:
    """The network of these neurons, every one scaled to the least penalty."""
    scale = np.sqrt(penalty.norms(neurons.blocks))
    return dataclasses.replace(
        cast(Any, network),
        hidden_weights=np.ascontiguousarray((neurons.blocks / scale[:, None]).T),
        output_weights=neurons.signs * scale,
        gates=None if neurons.gates is None else np.ascontiguousarray(neurons.gates.T),
    )
