"""Two-layer networks with the activation a t^2 + b t + c (Bartan & Pilanci 2021; robust: Kuelbs et al. 2024).

    min over Z, W   loss( (A_k' (C * (Z - W)) A_k)_k, y ) + beta (Z_44 + W_44)          A_k = [x_k, 1],  C = [a, b/2; b/2, c]
    s.t.            Z, W positive semidefinite,   tr Z_11 = Z_44,   tr W_11 = W_44       (11: the first d rows and columns, 44: the corner)

An extreme Z is |alpha| [u; 1][u; 1]' with |u|_2 = 1: a neuron. So the optimum is that of f(x) = sum_j alpha_j sigma(x.u_j) with unit
neurons and the penalty beta |alpha|_1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import Data, with_bias
from ..errors import InputError
from ..networks import Polynomial
from ..perturbations import Ball
from ..program.ball_loss import BallLoss, sides
from ..program.functions import Linear, SampleLoss, Vanishing
from ..program.maps import Identity
from ..program.program import Guarantee, Program, Term, Variable
from ..program.quadratic_maps import BallQuadratics, EachMatrix, QuadraticPrediction, coefficients
from ..program.semidefinite import Semidefinite
from ..program.symmetric import packed_size, svec
from ..recovery.polynomial import PolynomialInverse
from .lower import lower_activation
from .robust import ball_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..model import Model


@lower_activation.register(Polynomial)
def lower_polynomial(activation: Polynomial, model: Model, data: Data, patterns: Any) -> Program:
    """The semidefinite program of a polynomial network; it has no activation patterns."""
    if patterns is not None:
        raise InputError(f"A polynomial network has no activation patterns; leave patterns out. Got {patterns!r}.")
    return polynomial_program(model, data)


def polynomial_program(model: Model, data: Data) -> Program:
    """The program on checked data."""
    bias = model.network.bias
    ball = ball_of(model, data, bias)
    X = with_bias(data.X, bias)
    d = X.shape[1]
    A = np.column_stack([X, np.ones(len(X))])
    size = packed_size(d + 1)
    terms = (
        _loss(model, data, A, ball),
        Term("penalty", Linear(model.penalty.beta), EachMatrix(_diagonal(np.zeros(d), 1.0))),
        Term("matrices", Semidefinite(d + 1), Identity(2 * size)),
        Term("traces", Vanishing(), EachMatrix(_diagonal(np.ones(d), -1.0))),
    )
    variables = (Variable("Z", (size,), 0), Variable("W", (size,), size))
    return Program(model, variables, terms, _guarantee(ball), PolynomialInverse(model, X, data.names, ball))


def _loss(model: Model, data: Data, A: NDArray[np.float64], ball: Ball | None) -> Term:
    activation: Any = model.network.activation
    C = coefficients(A.shape[1] - 1, activation.a, activation.b, activation.c)
    clean = SampleLoss.bind(model.loss, data.y, data.weights)
    if ball is None:
        return Term("loss", clean, QuadraticPrediction(A, C))
    samples, signs = sides(model.loss, data.y)
    around = BallQuadratics(A, C, samples, ball.ellipsoid)
    return Term("loss", BallLoss(clean, samples, signs, len(around.live)), around)


def _diagonal(first: NDArray[np.float64], corner: float) -> NDArray[np.float64]:
    """svec of a diagonal matrix."""
    return svec(np.diag(np.append(first, corner)))


def _guarantee(ball: Ball | None) -> Guarantee:
    if ball is None:
        return Guarantee(
            "exact",
            "the optimum equals that of the non-convex training problem with unit neurons at every width >= 2 (d + 1), d the columns of X "
            "with the bias",
            "Bartan & Pilanci 2021, Theorem 1",
        )
    if ball.is_ellipsoid:
        return Guarantee(
            "exact",
            "the optimum equals that of worst-case training with unit neurons at every width >= 2 (d + 1), d the columns of X with the bias",
            "Bartan & Pilanci 2021, Theorem 1; S-procedure, Kuelbs et al. 2024",
        )
    return Guarantee(
        "upper bound",
        f"the objective is the exact worst case over the smallest ellipsoid that encloses the set {ball.perturbation}, a ball where the "
        "radii are equal; so it bounds the worst case over the set itself from above",
        "Bartan & Pilanci 2021, Theorem 1; S-procedure on the enclosing ball, Kuelbs et al. 2024",
    )
