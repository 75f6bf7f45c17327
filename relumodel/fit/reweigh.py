"""The best weights for given directions: where a convex program on patterns costs too much, the one on neurons does not.

    min over c >= 0   loss( sum_j c_j s_j sigma(X b_j) ) + beta sum_j c_j,      |b_j| = 1

the fully corrective step of conditional gradients over measures (Bach 2017, section 3.2). Its multiplier prices every direction that it
was given at beta or less, which that of a descent does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrangement.chunks import CACHED, chunks
from ..resources.deadline import current
from ..resources.phases import report
from ..robustness.neurons import Neurons
from .descend import ROUGH, ROUNDED
from .training import Training

Matrix = NDArray[np.float64]

#: Entries of the matrix of all outputs of all directions; with more the directions that are not in use wait. Up to DOUBLE of them are in
#: double precision, without which a descent ends at weights whose prices are 10 % off on a few hundred samples.
ENTRIES, DOUBLE = 6e7, 2e7

#: Iterations, and weights below this share of the largest that count as zero.
ITERATIONS, NONE = 600, 1e-7


@dataclass
class Directions:
    """Directions (m, d) of norm one that were found before, newest first, with their signs."""

    blocks: Matrix
    signs: Matrix

    def add(self, blocks: Matrix, signs: Matrix, most: int) -> None:
        """More of them, the newest `most` of all kept."""
        self.blocks, self.signs = np.vstack([blocks, self.blocks])[:most], np.concatenate([signs, self.signs])[:most]


def reweighed(training: Training, neurons: Neurons, others: Directions) -> tuple[Neurons, Matrix]:
    """The neurons and the other directions with the best weights, those of weight zero dropped, and the multiplier there: (n,) or (c n,)."""
    from scipy.optimize import minimize  # here, because importing relumodel should not wait for it

    sizes = training.penalty.norms(neurons.blocks)
    room = max(int(ENTRIES / len(training.X)) - len(sizes), 0)
    blocks = np.vstack([neurons.blocks / sizes[:, None], others.blocks[:room]])
    signs = np.concatenate([neurons.signs, others.signs[:room]])
    width = ROUNDED[-1] if training.loss.has_kink else 0.0
    kind: Any = np.float64 if len(training.X) * len(blocks) <= DOUBLE else np.float32
    beta, S = training.penalty.beta, np.reshape(signs, (len(signs), -1)).astype(kind)
    features = _features(training, blocks, kind)

    def at(c: Matrix) -> tuple[float, Matrix]:
        value, slopes = loss_at(c)
        rates = np.reshape(slopes, (S.shape[1], -1)).astype(kind)
        gradient = np.einsum("jo,oj->j", S, rates @ features).astype(np.float64)
        return value + beta * float(c.sum()), gradient + beta

    def loss_at(c: Matrix) -> tuple[float, Matrix]:
        outputs = features @ (c[:, None] * S).astype(kind)
        return training.loss.rounded(np.ascontiguousarray(outputs.T, dtype=np.float64).reshape(-1), width)

    iteration = 0

    def watch(intermediate_result: Any) -> None:
        nonlocal iteration
        iteration += 1
        report("weights", iteration, float(intermediate_result.fun))
        if current().expired():
            raise StopIteration

    c = np.concatenate([sizes, np.zeros(len(blocks) - len(sizes))])
    if len(features) * len(c) <= ENTRIES and not current().expired():
        settings = {
            "maxiter": ITERATIONS,
            "maxfun": 2 * ITERATIONS,
            "maxcor": 20,
            "ftol": 1e-12 if kind is np.float64 else 0.1 * ROUGH,
            "gtol": 1e-9,
        }
        c = minimize(at, c, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(c), callback=watch, options=settings).x
    used = c > NONE * c.max(initial=0.0)
    return training.neurons(blocks[used] * c[used, None], signs[used]), loss_at(c)[1]


def _features(training: Training, blocks: Matrix, kind: Any) -> Any:
    """sigma(X b_j): (n, m)."""
    out = np.empty((len(training.X), len(blocks)), dtype=kind)
    across = np.ascontiguousarray(blocks.T.astype(kind))
    for part in chunks(len(training.X), len(blocks), CACHED):
        T = training.X[part].astype(kind) @ across
        out[part] = np.maximum(T, kind(training.slope) * T)
    return out
