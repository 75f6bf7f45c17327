"""Descent on the certified worst case: Adam (Kingma & Ba 2015) on smooth factors of the blocks.

The bound has kinks everywhere (the loss, the support function of LInf and L1, neurons that begin to cross), so the steps are those
of a subgradient method with the usual scaling, on a cosine from large to nothing (Loshchilov & Hutter 2017).
The slopes of crossing neurons follow the weights, one best reply a step.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from ..resources.deadline import current
from ..resources.phases import report
from ..robustness.neurons import Neurons
from .robust_bound import Bound, bound
from .robust_training import RobustTraining

Matrix = NDArray[np.float64]

#: Weight of the newest reply in the running mean of the shares.
REPLY = 0.1

#: Steps at first in which only the shares move, and the scale of the gradient is measured.
SETTLE = 20

#: Adam's memories of the gradient and of its square.
MEMORIES = (0.9, 0.999)

#: Outputs of the neurons of a random start, in units of the target.
SMALL = 0.01


def random_start(training: RobustTraining, width: int, rng: np.random.Generator) -> Neurons:
    """Small Gaussian neurons of alternating sign."""
    blocks = rng.standard_normal((width, training.X.shape[1]))
    typical = float(np.sqrt(np.mean((blocks @ training.X.T) ** 2))) or 1.0
    return training.neurons(blocks * (SMALL * training.unit / typical), np.where(np.arange(width) % 2 == 0, 1.0, -1.0))


def descend(training: RobustTraining, start: Neurons, steps: int, rate: float) -> Neurons:
    """The best neurons met on the way from `start`, itself included (signs kept); zero neurons dropped.

    rate : the largest change of a factor in the first step, in units of what suits the data.
    It ends at the current deadline; the steps shrink in time for it.
    """
    penalty, X, signs = training.clean.penalty, training.X, start.signs
    z, best, lowest = penalty.unfold(start.blocks), start.blocks, np.inf
    shares = [(X @ start.blocks.T >= 0).astype(float) for _ in training.signs]
    mean, square = np.zeros_like(z), np.zeros_like(z)
    rate, started, seconds, done = rate * training.step, time.perf_counter(), current().remaining(), 0.0
    for step in range(1, SETTLE + steps + 1):
        neurons = training.neurons(penalty.fold(z), signs)
        sides = [bound(neurons, X, s, training.ball, e) for s, e in zip(training.signs, shares, strict=True)]
        loss, rates = training.loss([side.value for side in sides])
        value = loss + training.cost(neurons)
        if value < lowest:
            best, lowest = neurons.blocks, value
        report("descent", step, value)
        if done >= 1 or current().expired():
            break
        gradient = penalty.pull(z, _pulled(sides, rates)) + penalty.beta * z
        for share, side in zip(shares, sides, strict=True):
            share += REPLY * (side.reply - share)
        mean += (1 - MEMORIES[0]) * (gradient - mean)
        square += (1 - MEMORIES[1]) * (gradient * gradient - square)
        done = max((step - SETTLE) / steps, (time.perf_counter() - started) / max(seconds, 1e-9))
        if step > SETTLE:
            scale = np.sqrt(square / (1 - MEMORIES[1] ** step))
            move = np.divide(mean / (1 - MEMORIES[0] ** step), scale, out=np.zeros_like(z), where=scale > 0)
            z = z - 0.5 * rate * (1 + np.cos(np.pi * min(done, 1.0))) * move
    sizes = penalty.norms(best)
    used = sizes > 1e-9 * sizes.max(initial=0.0)
    return training.neurons(best[used], signs[used])


def _pulled(sides: list[Bound], rates: list[Matrix]) -> Matrix:
    """The gradient in the blocks, of all sides."""
    first, *others = (side.pull(rate) for side, rate in zip(sides, rates, strict=True))
    return sum(others, first)
