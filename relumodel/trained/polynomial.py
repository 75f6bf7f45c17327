"""A two-layer network with polynomial activation: one quadratic, so its worst cases and distances are exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ..data import Data, read_features
from ..declare.networks import Polynomial
from ..declare.perturbations import Ball, Perturbation
from ..errors import InputError
from ..maps.quadratic_maps import coefficients
from ..robustness.quadratic import (
    Quadratic,
    distance_to_boundary,
    quadratic_certified,
    quadratic_worst_case,
    quadratic_worst_losses,
)
from .classes import certified_classes
from .decomposition import decompose
from .network import Network

if TYPE_CHECKING:
    from ..declare.model import Model
    from ..functions.losses import Loss
    from ..robustness.worst_case import WorstCase

Matrix = NDArray[np.float64]

#: Neurons count as unit ones up to this.
UNIT = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class PolynomialNetwork(Network):
    """f(x) = sum_j a_j sigma(x.u_j), sigma(t) = a t^2 + b t + c; the u_j are unit vectors, and the penalty is beta sum_j |a_j|, the
    1-norm for several outputs."""

    activation: Polynomial

    def quadratic(self) -> Quadratic:
        """f as a quadratic of the features."""
        self._one_output("A quadratic", "take that of network.output(r), or of network.between(one, other)")
        U, s = self.hidden_weights, self.activation
        full = np.vstack([U, np.ones(self.n_neurons)])
        H = coefficients(len(U), s.a, s.b, s.c) * ((full * self.output_weights) @ full.T)
        if self.bias:  # x_d = 1: its row and column join the constant's
            H[-1] += H[-2]
            H[:, -1] += H[:, -2]
            H = np.delete(np.delete(H, -2, 0), -2, 1)
        return Quadratic(H)

    def distance_to_boundary(self, X: Any) -> Matrix:
        """The Euclidean distance of every row of X (n, d) to the nearest point where f changes its sign, exactly: (n,).

        inf where f has the same sign everywhere, 0 where f is 0. For classes the distance to the nearest point where another class
        than the predicted one has an output as large: the least over the margins between the two. Source: the S-procedure of Kuelbs et al. 2024, solved as a secular equation.
        """
        features = self._features(X)
        if self.classes is None:
            return distance_to_boundary(self.quadratic(), features)
        chosen, out = self.predict(features), np.full(len(features), np.inf)
        for label in np.unique(chosen):
            at = np.flatnonzero(chosen == label)
            for other in self.classes[self.classes != label]:
                margin = self.between(label, other).quadratic()
                out[at] = np.minimum(out[at], distance_to_boundary(margin, features[at]))
        return out

    def worst_case(self, model: Model, X: Any, y: Any) -> WorstCase:
        """As for every network; exact for rm.L2, over the enclosing ball (an upper bound) for rm.LInf and rm.L1."""
        data, ball = self._training_data(model, X, y)
        self._one_output(
            "worst_case()", "certified(X, y, perturbation) is about classes, and network.output(r) is a network of one output"
        )
        on_features = None if ball is None else Ball(ball.perturbation, ball.radii[: self.n_features])
        return quadratic_worst_case(self.quadratic(), model.loss, data.X, data.y, on_features)

    def certified(
        self, X: Any, y: Any, perturbation: Perturbation, exact: bool = False, time_limit: float | None = None
    ) -> NDArray[np.str_]:
        """As for every network, except that rm.L2 leaves nothing open, and that `exact` and `time_limit` are not needed."""
        if self.classes is not None:
            return certified_classes(self, X, y, perturbation, exact, time_limit)
        features, labels = self._labelled(X, y, perturbation)
        if exact and not perturbation.is_ellipsoid:
            raise InputError("A polynomial network is decided exactly for rm.L2 only; leave exact=False.")
        ball = perturbation.ball(self.n_features, self.feature_names or read_features(X)[1])
        return quadratic_certified(self.quadratic(), self.predict, features, labels, ball)

    def prune(self, model: Model, X: Any) -> PolynomialNetwork:
        """The same function with the same penalty from at most d + 1 neurons of each sign (d with the bias): the neural decomposition."""
        self._of(model)
        self._features(X)
        if self.n_outputs > 1:
            pruned = [self.output(r).prune(model, X) for r in range(self.n_outputs)]
            return cast(PolynomialNetwork, self.side_by_side(pruned, self.classifies, self.classes))
        full = np.vstack([self.hidden_weights, np.ones(self.n_neurons)])
        Z, W = ((full * np.maximum(sign * self.output_weights, 0.0)) @ full.T for sign in (1, -1))
        return of_matrices(Z, W, self.activation, self.bias, self.classifies, self.feature_names)

    def input_gradient(self, X: Any) -> Matrix:
        """The gradient of f with respect to the features at the rows of X (n, d): (n, d)."""
        return self.quadratic().gradient(self._features(X))

    def _outputs(self, X: Matrix) -> Matrix:
        T, s = X @ self.hidden_weights, self.activation
        return ((s.a * T + s.b) * T + s.c) @ self.output_weights

    def _worst_losses(self, loss: Loss, data: Data, ball: Ball) -> Matrix:
        return quadratic_worst_losses(
            self.quadratic(), loss, data.X, data.y, Ball(ball.perturbation, ball.radii[: self.n_features])
        )

    def _penalty(self, model: Model) -> float:
        norms = np.linalg.norm(self.hidden_weights, axis=0)
        if (abs(norms - 1) > UNIT).any():
            raise InputError(
                f"The penalty of polynomial networks is for neurons of norm 1; neuron {int(abs(norms - 1).argmax())} has norm "
                f"{norms[abs(norms - 1).argmax()]:g}."
            )
        return model.penalty.beta * float(np.abs(self.output_weights).sum())


def of_matrices(
    Z: Matrix, W: Matrix, activation: Polynomial, bias: bool, classifies: bool, feature_names: tuple[str, ...] | None
) -> PolynomialNetwork:
    """The network of two balanced matrices: the neurons of Z with positive output weights, those of W with negative ones."""
    (plus, up), (minus, down) = decompose(Z), decompose(W)
    return PolynomialNetwork(
        activation=activation,
        bias=bias,
        hidden_weights=np.ascontiguousarray(np.vstack([plus, minus]).T),
        output_weights=np.concatenate([up, -down]),
        classifies=classifies,
        feature_names=feature_names,
    )
