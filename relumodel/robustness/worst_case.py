"""The worst case of a network's loss over perturbed samples (Bai et al. 2023, section 4), and points that come near it.

Where no neuron changes sides on a perturbed sample the network is linear there, and the worst perturbation is that of its
weights q. Elsewhere the crossing bound certifies from above, and a search finds the worst point it can from below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import with_bias
from ..declare.perturbations import Ball
from ..functions.losses import Loss
from ..functions.one_sided import refuse_two_sided
from ..functions.sides import sides, sides_of
from .crossing_bound import LowerBound
from .neurons import Neurons
from .relaxation import relaxed_bound
from .search import lowest

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WorstCase:
    """Unpacks into (X, losses).

    X : (n, d) inside the perturbation sets, the worst points found.
    losses : (n,) the worst-case loss of every sample, without weights: exact or a certified upper bound.
    exact : (n,) whether the loss at X is the worst one (equal to `losses` up to rounding).
    """

    X: Matrix
    losses: Matrix
    exact: NDArray[np.bool_]

    def __iter__(self) -> Iterator[Any]:
        return iter((self.X, self.losses))


def worst_case(neurons: Neurons, loss: Loss, X: Matrix, y: Matrix, ball: Ball | None, bias: bool) -> WorstCase:
    """The worst case for features X (n, d), without the bias column, and targets y (n,)."""
    A = with_bias(X, bias)
    if ball is None:
        return WorstCase(X.copy(), _losses(loss, neurons.output(A), y), np.ones(len(X), dtype=bool))
    bounds = _sides(neurons, loss, A, y, ball)
    losses = _bounded(loss, y, bounds)
    crossing = np.any([bound.crossing for _, bound in bounds], axis=0)
    points, attained = A, _losses(loss, neurons.output(A), y)
    for s, bound in bounds:
        found = lowest(neurons, A, s, ball, [-ball.worst(bound.q)], steps=0)
        if crossing.any():
            starts = [(found - A)[crossing], 0 * A[crossing]]
            found[crossing] = lowest(neurons, A[crossing], s[crossing], ball, starts)
        each = _losses(loss, neurons.output(found), y)
        points, attained = np.where((each >= attained)[:, None], found, points), np.maximum(each, attained)
    exact = ~crossing | (attained >= losses - 1e-9 * (1 + np.abs(losses)))
    return WorstCase(points[:, : X.shape[1]].copy(), losses, exact)


def worst_losses(neurons: Neurons, loss: Loss, X: Matrix, y: Matrix, ball: Ball, bias: bool) -> Matrix:
    """The losses of `worst_case` alone, (n,)."""
    return _bounded(loss, y, _sides(neurons, loss, with_bias(X, bias), y, ball))


def _sides(neurons: Neurons, loss: Loss, A: Matrix, y: Matrix, ball: Ball) -> list[tuple[Matrix, LowerBound]]:
    """The signs s for which a low s f is bad, and the bounds on it: a residual is worst where f is lowest or where - f is."""
    refuse_two_sided(loss)
    _, signs = sides(loss, y)
    return [(s, relaxed_bound(neurons, A, s, ball)) for s in signs.reshape(-1, len(y))]


def _bounded(loss: Loss, y: Matrix, bounds: list[tuple[Matrix, LowerBound]]) -> Matrix:
    """The losses at the bounds."""
    return sides_of(loss, np.ones(len(y)), -y).each(np.concatenate([bound.value for _, bound in bounds]))


def _losses(loss: Loss, f: Matrix, y: Matrix) -> Matrix:
    """phi of every sample at the outputs f."""
    return loss.value(y * f if loss.reads == "margin" else f - y)
