"""The training problem on the blocks of a network's neurons, as the adaptive loop sees it.

    minimise over blocks b_j and signs s_j   loss( sum_j s_j sigma(X b_j) )  +  beta sum_j |b_j|

with |.| the penalty's norm: what the penalty of a neuron (u, a) with b = |a| u is at its cheapest scaling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..data import Data, bound, with_bias
from ..functions.base import SampleLoss
from ..functions.class_sample_loss import ClassSampleLoss
from ..functions.penalties import Penalty
from ..robustness.neurons import Neurons

if TYPE_CHECKING:
    from ..declare.model import Model

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Training:
    """X : (n, d) with the bias column, if any.  slope : that of the activation's inactive side."""

    X: Matrix
    loss: SampleLoss | ClassSampleLoss
    penalty: Penalty
    slope: float

    @classmethod
    def of(cls, model: Model, data: Data) -> Training:
        X = with_bias(data.X, model.network.bias)
        return cls(X, bound(model.loss, data), model.penalty, model.network.activation.inactive)

    @property
    def outputs(self) -> int:
        """How many there are."""
        return self.loss.outputs

    def neurons(self, blocks: Matrix, signs: Matrix) -> Neurons:
        return Neurons(blocks, signs, self.slope)

    def objective(self, neurons: Neurons) -> float:
        cost = self.penalty.beta * float(self.penalty.norms(neurons.blocks).sum())
        return float(self.loss.value(self.predictions(neurons))) + cost

    def predictions(self, neurons: Neurons) -> Matrix:
        """What the loss reads: the outputs on X, one after another."""
        return np.ascontiguousarray(neurons.output(self.X).T).reshape(-1)

    def serving(self, outputs: NDArray[np.intp], signs: Matrix) -> Matrix:
        """The `signs` of neurons that serve these outputs (m,) with these signs (m,), as `Neurons` has them."""
        if not self.several:
            return signs
        out = np.zeros((len(signs), self.outputs))
        out[np.arange(len(signs)), outputs] = signs
        return out

    @property
    def several(self) -> bool:
        """Whether predictions have columns."""
        return self.outputs > 1
