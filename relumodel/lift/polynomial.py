"""Two-layer networks with the activation a t^2 + b t + c (Bartan & Pilanci 2021; robust: Kuelbs et al. 2024).

    min over Z, W   loss( (A_k' (C * (Z - W)) A_k)_k, y ) + beta (Z_44 + W_44)          A_k = [x_k, 1],  C = [a, b/2; b/2, c]
    s.t.            Z, W positive semidefinite,   tr Z_11 = Z_44,   tr W_11 = W_44       (11: the first d rows and columns, 44: the corner)

An extreme Z is |alpha| [u; 1][u; 1]' with |u|_2 = 1: a neuron. So the optimum is that of f(x) = sum_j alpha_j sigma(x.u_j) with unit
neurons and the penalty beta |alpha|_1.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from ..data import Data, with_bias
from ..declare.networks import Polynomial
from ..declare.perturbations import Ball
from ..errors import InputError
from ..functions.ball_loss import BallLoss
from ..functions.base import Linear, SampleLoss, ZeroIndicator
from ..functions.semidefinite import Semidefinite
from ..functions.sides import sides
from ..maps.base import Identity
from ..maps.quadratic_maps import BallQuadratics, EachMatrix, QuadraticPrediction, coefficients
from ..maps.symmetric import packed_size, smat, svec
from ..program.program import Guarantee, Program, Term, Variable
from ..trained.polynomial import PolynomialNetwork, of_matrices
from .lower import lower_activation
from .robust import ball_of
from .sparsest import sparsest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..declare.model import Model

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PolynomialInverse:
    """The way back from (Z, W). X : (n, d) with the bias column, if any; ball : the perturbation set, or None."""

    constraints: ClassVar[frozenset[str]] = frozenset({"matrices", "traces"})
    by_hand: ClassVar[str] = (
        "the first columns are Z, then W, upper triangles by columns with off-diagonal entries times sqrt 2, of order d + 1; the network is "
        "f(x) = [x, 1]' (C * (Z - W)) [x, 1], C = [a, b/2; b/2, c] with a in the first d rows and columns, x with a last 1 if there is a bias."
    )

    model: Model
    X: Matrix
    feature_names: tuple[str, ...] | None
    ball: Ball | None = None

    @property
    def patterns(self) -> None:
        """There are none."""
        return

    def repair(self, program: Program, x: Matrix, room: float = 0.0) -> Matrix:
        """The feasible point of least rank among x with its negligible eigenvalues dropped, see `sparsest`."""
        try:
            values, vectors = np.linalg.eigh(smat(x.reshape(-1, packed_size(self.X.shape[1] + 1))))
        except np.linalg.LinAlgError:
            return np.zeros_like(x)
        # an eigenvector as long as its eigenvalue, one a row
        blocks = (np.maximum(values, 0.0)[:, None, :] * vectors).transpose(0, 2, 1)
        return sparsest(program, blocks.reshape(-1, vectors.shape[-1]), self._feasible, room)

    def _feasible(self, blocks: Matrix) -> Matrix:
        """The point of these eigenvectors, balanced; 0 where it overflows."""
        norms = np.linalg.norm(blocks, axis=1)
        roots = blocks / np.sqrt(np.where(norms > 0, norms, 1.0))[:, None]
        matrices = roots.reshape(-1, roots.shape[1], roots.shape[1])
        out = svec(np.stack([_balanced(half.T @ half) for half in matrices])).reshape(-1)
        return out if np.isfinite(out).all() else np.zeros_like(out)

    def network(self, x: Matrix) -> PolynomialNetwork:
        """One neuron a vector of the decompositions."""
        Z, W = smat(x.reshape(2, -1))
        declared, classifies = self.model.network, self.model.loss.reads == "margin"
        return of_matrices(Z, W, cast(Polynomial, declared.activation), declared.bias, classifies, self.feature_names)

    def reweighted(self, model: Model) -> PolynomialInverse:
        return dataclasses.replace(self, model=model)

    def describe(self) -> list[tuple[str, str]]:
        n, d = self.X.shape
        bias = " with the ones column" if self.model.network.bias else ""
        around = "" if self.ball is None else f", and one of order {int((self.ball.radii > 0).sum()) + 1} a sample"
        around += " and sign" if self.ball is not None and self.model.loss.reads == "residual" else ""
        return [("data", f"{n} samples, {d} features{bias}"), ("matrices", f"2 semidefinite of order {d + 1}{around}")]


def _balanced(Z: Matrix) -> Matrix:
    """A positive semidefinite matrix scaled so that its first diagonal entries sum to the last one."""
    d = len(Z) - 1
    inner, corner = float(np.trace(Z[:d, :d])), float(Z[d, d])
    if 0.25 * corner < inner < 4 * corner:  # congruence keeps the rank
        scale = np.full(d + 1, (corner / inner) ** 0.25)
        scale[d] = 1 / scale[0]
        Z = scale[:, None] * Z * scale
    elif inner < corner:
        Z[np.arange(d), np.arange(d)] += (corner - inner) / d
    # what rounding leaves
    Z[d, d] = float(np.trace(Z[:d, :d]))
    return Z


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
        Term("traces", ZeroIndicator(), EachMatrix(_diagonal(np.ones(d), -1.0))),
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
