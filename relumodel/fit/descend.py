"""Local descent on the training problem: L-BFGS on smooth factors of the blocks.

A norm is the cheapest square: |b| is the least |z|^2 / 2 over the factors z that `Penalty.fold` turns into b (for weight decay
the neuron (u, a) itself, b = a u). So the penalty becomes beta/2 |z|^2, without a kink. The kinks of sigma are left to the
line search; those of the loss are rounded off by its proximal map (Moreau envelope).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..resources.deadline import current
from ..robustness.neurons import Neurons
from .training import Training

Matrix = NDArray[np.float64]

#: Widths of the Moreau envelope, in units of the loss argument, for losses with a kink.
ROUNDED = (0.1, 0.01)

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


def descend(training: Training, start: Neurons, iterations: int, rng: np.random.Generator) -> Neurons:
    """The neurons at the end of a descent from `start` (m neurons, signs kept), never worse than it; zero neurons dropped.

    Stops with what it has at the current deadline.
    """
    from scipy.optimize import minimize  # here, because importing relumodel should not wait for it

    if not len(start.signs):
        return start

    penalty = training.penalty
    blocks, shape = start.blocks, penalty.unfold(start.blocks).shape
    for width in ROUNDED if training.loss.has_kink else (0.0,):
        z = penalty.unfold(blocks)
        z += NOISE * np.sqrt(np.mean(z * z)) * rng.standard_normal(z.shape)
        value = _objective(training, start.signs, shape, width)

        def watch(point: Matrix) -> None:
            nonlocal blocks
            blocks = penalty.fold(point.reshape(shape))
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
            options={"maxiter": iterations, "maxfun": 2 * iterations, "maxcor": 20, "ftol": 1e-12, "gtol": 1e-9},
        )
        blocks = penalty.fold(found.x.reshape(shape))
    return _better(training, blocks, start)


def _better(training: Training, blocks: Matrix, start: Neurons) -> Neurons:
    """The blocks as neurons, without those that are zero, or the start if that is better."""
    sizes = training.penalty.norms(blocks)
    used = sizes > 1e-9 * sizes.max(initial=0.0)
    return min(training.neurons(blocks[used], start.signs[used]), start, key=training.objective)


def _objective(training: Training, signs: Matrix, shape: tuple[int, ...], width: float) -> Callable[[Matrix], tuple[float, Matrix]]:
    """The objective and its gradient as functions of the flat factors."""
    X, slope, penalty = training.X, training.slope, training.penalty

    def at(flat: Matrix) -> tuple[float, Matrix]:
        z = flat.reshape(shape)
        T = penalty.fold(z) @ X.T
        if signs.ndim == 1:
            mask = np.where(T >= 0, signs[:, None], slope * signs[:, None])
            value, slopes = training.loss.rounded(np.einsum("jn,jn->n", mask, T), width)
            pulled = (mask * slopes) @ X
        else:
            active = np.where(T >= 0, 1.0, slope)
            value, slopes = training.loss.rounded((signs.T @ (active * T)).reshape(-1), width)
            pulled = (active * (signs @ slopes.reshape(signs.shape[1], -1))) @ X
        gradient = penalty.pull(z, pulled) + penalty.beta * z
        return value + 0.5 * penalty.beta * float(flat @ flat), gradient.ravel()

    return at
