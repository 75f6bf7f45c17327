"""The crossing program of a network's own neurons: one block a neuron, the slopes those of its certificate.

A neuron that counts + takes a copy v, one that counts - a copy w of the same slot, each with slopes of its own, so m neurons need
max(m_+, m_-) slots. The network is a point of the program, worth its certified objective there; the optimum is never above.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..arrangement.witness import no_witnesses
from ..data import Data
from ..lift.robust import with_slopes
from ..lift.two_layer import CrossingInverse, crossing_program
from ..patterns.pattern_set import PatternSet
from ..program.program import Program
from ..robustness.neurons import Neurons
from .refine import improved
from .robust_training import RobustTraining

if TYPE_CHECKING:
    from ..declare.model import Model


def program_of(model: Model, data: Data, training: RobustTraining, neurons: Neurons) -> tuple[Program, NDArray[np.float64]]:
    """The program and the neurons as its point."""
    X = training.X
    copies = [neurons.blocks[neurons.signs > 0], neurons.blocks[neurons.signs < 0]]
    blocks = np.zeros((2, max(1, *map(len, copies)), X.shape[1]))
    for copy, own in zip(blocks, copies, strict=True):
        copy[: len(own)] = own
    sides = blocks @ X.T >= 0
    D = np.ascontiguousarray(sides[0].T)
    found = PatternSet(
        D, no_witnesses(X, D), complete=False, origin=f"{len(neurons.signs):,} adaptive neurons, slopes of their own"
    )
    program = crossing_program(model, X, data, found, training.ball, np.broadcast_to(sides.astype(float), (2, *sides.shape)))
    assert isinstance(program.inverse, CrossingInverse)
    point = program.inverse.point(program.inverse.feasible(blocks.reshape(-1, X.shape[1])))
    return with_slopes(program, improved(program, point)), point
