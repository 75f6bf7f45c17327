"""The robust training problem on the blocks of a network's neurons, as the adaptive loop sees it.

    minimise over blocks b_j and signs a_j   sum_k w_k max over delta_k of loss( f(x_k + delta_k), y_k )  +  beta sum_j |b_j|

with the certified bound in place of the maximum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..data import Data
from ..declare.perturbations import Ball
from ..functions.one_sided import refuse_two_sided
from ..functions.sides import sides, sides_of
from ..robustness.crossing_bound import crossing_bound
from ..robustness.neurons import Neurons
from ..robustness.relaxation import relaxed_bound
from .training import Training

if TYPE_CHECKING:
    from ..declare.model import Model

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RobustTraining:
    """clean : the problem without perturbation.  y : (n,) the targets.  ball : the perturbation set."""

    clean: Training
    y: Matrix
    ball: Ball

    @classmethod
    def of(cls, model: Model, data: Data, ball: Ball) -> RobustTraining:
        refuse_two_sided(model.loss)
        return cls(Training.of(model, data), data.y, ball)

    @property
    def X(self) -> Matrix:
        """(n, d) with the bias column, if any."""
        return self.clean.X

    @property
    def signs(self) -> list[Matrix]:
        """The s (n,) for which a low s f is bad: y for margins; both signs for residuals."""
        return list(sides(self.clean.loss.loss, self.y)[1].reshape(-1, len(self.y)))

    @property
    def unit(self) -> float:
        """The size of a target: 1 for labels."""
        return float(np.sqrt(np.mean(self.y * self.y))) or 1.0

    @property
    def step(self) -> float:
        """The size of the factors of a neuron whose output has the size of a target, for samples in its direction."""
        size = float(np.sqrt(np.mean(np.einsum("kj,kj->k", self.X, self.X))))
        return float(np.sqrt(self.unit / (size or 1.0)))

    def neurons(self, blocks: Matrix, signs: Matrix) -> Neurons:
        return self.clean.neurons(blocks, signs)

    def loss(self, bounds: list[Matrix]) -> tuple[float, list[Matrix]]:
        """The loss at bounds G (n,) on s f, one for each of `signs`, and its derivatives in them."""
        clean, G = self.clean.loss, np.concatenate(bounds)
        own = sides_of(clean.loss, clean.weights, -self.y)
        return float(clean.weights @ own.each(G)), list(-own.rates(G).reshape(len(bounds), -1))

    def cost(self, neurons: Neurons) -> float:
        """The penalty."""
        penalty = self.clean.penalty
        return penalty.beta * float(penalty.norms(neurons.blocks).sum())

    def objective(self, neurons: Neurons) -> float:
        """The certified objective, which is that of the neurons' network."""
        return self.loss([relaxed_bound(neurons, self.X, s, self.ball).value for s in self.signs])[0] + self.cost(neurons)

    def estimate(self, neurons: Neurons) -> float:
        """Nearly the certified objective, from above, at a hundredth of the time: without the linear programs of `relaxed_bound`."""
        return self.loss([crossing_bound(neurons, self.X, s, self.ball).value for s in self.signs])[0] + self.cost(neurons)
