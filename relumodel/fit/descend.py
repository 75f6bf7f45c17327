"""Local descent on the training problem: L-BFGS on smooth factors of the blocks.

A norm is the cheapest square: |b| is the least |z|^2 / 2 over the factors z that `Penalty.fold` turns into b (for weight decay
the neuron (u, a) itself, b = a u). So the penalty becomes beta/2 |z|^2, without a kink. The kinks of sigma are left to the
line search; those of the loss are rounded off by its proximal map (Moreau envelope).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrangement.chunks import CACHED, chunks
from ..resources.deadline import current
from ..resources.phases import report
from ..robustness.neurons import Neurons
from .training import Training

Matrix = NDArray[np.float64]

#: Widths of the Moreau envelope, in units of the loss argument, for losses with a kink.
ROUNDED = (0.1, 0.01)

#: Relative gains that end a descent in single precision.
ROUGH = 1e-8

#: Noise added to the factors of a start, as a share of their root mean square: a factor of zero would stay zero.
NOISE = 1e-2


def random_start(training: Training, width: int, rng: np.random.Generator) -> Neurons:
    """Gaussian neurons of alternating sign, for one output after another, at the scale (of a few) that suits the data best."""
    X = training.X
    blocks = rng.standard_normal((width, X.shape[1]))
    order = np.arange(width)
    signs = training.serving(order // 2 % training.outputs, np.where(order % 2 == 0, 1.0, -1.0))
    typical = float(np.sqrt(np.mean((blocks @ X.T) ** 2))) or 1.0
    candidates = [training.neurons(blocks * (scale / typical), signs) for scale in (1.0, 0.3, 0.1, 0.03, 0.01)]
    return min(candidates, key=training.objective)


def descend(training: Training, start: Neurons, iterations: int, rng: np.random.Generator, rough: bool = False) -> Neurons:
    """The neurons at the end of a descent from `start` (m neurons, signs kept), never worse than it; zero neurons dropped.

    rough : products in single precision, and no steps that gain less than that can tell. Stops with what it has at the current deadline.
    """
    from scipy.optimize import minimize  # here, because importing relumodel should not wait for it

    if not len(start.signs):
        return start

    penalty = training.penalty
    blocks, shape, iteration = start.blocks, penalty.unfold(start.blocks).shape, 0
    report("descent")
    for width in ROUNDED if training.loss.has_kink else (0.0,):
        z = penalty.unfold(blocks)
        z += NOISE * np.sqrt(np.mean(z * z)) * rng.standard_normal(z.shape)
        value = _objective(training, start.signs, shape, width, np.float32 if rough else np.float64)

        def watch(intermediate_result: Any) -> None:
            nonlocal blocks, iteration
            blocks, iteration = penalty.fold(intermediate_result.x.reshape(shape)), iteration + 1
            report("descent", iteration, float(intermediate_result.fun))
            if current().expired():
                raise StopIteration

        if current().expired():
            break
        found = minimize(
            value,
            z.ravel(),
            jac=True,
            method="L-BFGS-B",
            callback=watch,
            options={
                "maxiter": iterations,
                "maxfun": 2 * iterations,
                "maxcor": 20,
                "ftol": ROUGH if rough else 1e-12,
                "gtol": 1e-9,
            },
        )
        blocks = penalty.fold(found.x.reshape(shape))
    return _better(training, blocks, start)


def _better(training: Training, blocks: Matrix, start: Neurons) -> Neurons:
    """The blocks as neurons, without those that are zero, or the start if that is better."""
    sizes = training.penalty.norms(blocks)
    used = sizes > 1e-9 * sizes.max(initial=0.0)
    return min(training.neurons(blocks[used], start.signs[used]), start, key=training.objective)


def _objective(
    training: Training, signs: Matrix, shape: tuple[int, ...], width: float, kind: Any
) -> Callable[[Matrix], tuple[float, Matrix]]:
    """The objective and its gradient as functions of the flat factors; products with the data in precision `kind`."""
    slope, penalty, n = kind(training.slope), training.penalty, len(training.X)
    X, S = training.X.astype(kind, copy=False), np.reshape(signs, (len(signs), -1)).astype(kind)
    active = np.empty((n, len(S)), dtype=bool)
    parts = chunks(n, len(S), CACHED)

    def at(flat: Matrix) -> tuple[float, Matrix]:
        z = flat.reshape(shape)
        across = np.ascontiguousarray(penalty.fold(z).T.astype(kind))
        outputs = np.empty((n, S.shape[1]), dtype=kind)
        for part in parts:
            T = X[part] @ across
            np.greater_equal(T, 0, out=active[part])
            np.maximum(T, slope * T, out=T) if slope else np.maximum(T, 0, out=T)
            outputs[part] = T @ S
        value, slopes = training.loss.rounded(np.ascontiguousarray(outputs.T, dtype=np.float64).reshape(-1), width)
        rates = np.ascontiguousarray(np.reshape(slopes, (S.shape[1], n)).T.astype(kind))
        pulled = np.zeros((len(S), X.shape[1]), dtype=kind)
        for part in parts:
            weights = rates[part] @ S.T
            weights *= np.where(active[part], kind(1), slope) if slope else active[part]
            pulled += weights.T @ X[part]
        gradient = penalty.pull(z, pulled.astype(np.float64)) + penalty.beta * z
        return value + 0.5 * penalty.beta * float(flat @ flat), gradient.ravel()

    return at
