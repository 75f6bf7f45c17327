"""The certified worst case as a function that can be descended on (see relumodel.robustness.crossing_bound).

For samples x_k and signs s_k the bound G_k <= min over delta of s_k f(x_k + delta) is, with T = x.b and h = h(b) of every neuron,

    G = x.q - h(q) - sum c,      q = sum_j s a_j m_j b_j      (a_j = +-1 the neuron's sign)

where m_j is sigma's slope where the neuron keeps its side, the chord's slope (c its slack) where it crosses and pushes down, and
l + (1 - l) e with any share e in [0, 1] where it crosses and pushes up. Blocks and shares are moved together: the bound is linear in
a share, with derivative (1 - l) (x - delta).b at the worst delta of q, so its best reply is 1 where that is positive and 0
elsewhere, and the running mean of replies stays near the best shares: conditional gradient steps (Frank & Wolfe 1956), which find
them only nearly, as the bound has kinks. It is sound with any shares.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..declare.perturbations import Ball
from ..robustness.neurons import Neurons

Matrix = NDArray[np.float64]


class Bound(NamedTuple):
    """value (n,) of G;  pull : the rates dL/dG (n,) -> the gradient of L in the blocks (m, d);  reply (n, m) : the best reply of
    the shares, meant where a neuron crosses and pushes up;  delta (n, d) : the worst perturbation of the lines' sum."""

    value: Matrix
    pull: Callable[[Matrix], Matrix]
    reply: NDArray[np.bool_]
    delta: Matrix


def bound(neurons: Neurons, X: Matrix, s: Matrix, ball: Ball, shares: Matrix) -> Bound:
    """G for the samples X (n, d) and signs s (n,), each +-1, with the shares (n, m) in [0, 1]."""
    B, least, rise = neurons.blocks, neurons.slope, 1 - neurons.slope
    T, h = X @ B.T, ball.support(B)
    push = s[:, None] * neurons.signs
    crossing = np.abs(T) < h
    down = crossing & (push < 0)
    ratio = T / np.where(h > 0, h, 1.0)
    share = np.where(crossing, np.where(down, 0.5 * (1 + ratio), shares), T >= 0)
    lines = push * (least + rise * share)
    slack = np.where(down, 0.5 * rise * (h - T * ratio), 0.0)
    q = lines @ B
    delta = ball.worst(q)
    at = T - delta @ B.T
    value = np.einsum("kj,kj->k", lines, at) - slack.sum(axis=1)

    def pull(rate: Matrix) -> Matrix:
        weight = np.where(down, rate[:, None] * rise, 0.0)
        # through the chord's slope, d share / d ratio = 1/2, and its slack, h (1 - ratio^2) / 2 with ratio = T / h
        on_ratio = -0.5 * weight * at / np.where(h > 0, h, 1.0)
        on_t = on_ratio + weight * ratio
        on_h = -(on_ratio * ratio + 0.5 * weight * (1 + ratio * ratio)).sum(axis=0)
        own = rate[:, None] * lines
        return (own + on_t).T @ X - own.T @ delta + on_h[:, None] * ball.worst(B)

    return Bound(value, pull, at >= 0, delta)
