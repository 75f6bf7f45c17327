"""Solutions of polynomial programs: repaired to feasibility, cleaned of negligible directions, split into unit neurons.

The neural decomposition (Bartan & Pilanci 2021): Z positive semidefinite with tr Z_11 = Z_44 is a sum of p p' with
|p_1..d| = |p_d+1|; then u = p_1..d / p_d+1 has norm 1 and alpha = +- p_d+1^2.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from ..networks import Polynomial
from ..perturbations import Ball
from ..program.program import Program
from ..program.semidefinite import packed_size, smat, svec
from .polynomial_network import PolynomialNetwork
from .sparsest import sparsest

if TYPE_CHECKING:
    from ..model import Model

Matrix = NDArray[np.float64]


def decompose(Z: Matrix) -> tuple[Matrix, Matrix]:
    """Unit vectors u (m, d) and weights (m,) >= 0 with Z = sum of weight [u; 1][u; 1]'; m is at most the rank of Z.

    Z : (d + 1, d + 1), positive semidefinite with tr Z_11 = Z_44, both up to rounding.
    """
    values, vectors = np.linalg.eigh(Z)
    kept = values > len(Z) * np.finfo(float).eps * max(values[-1], 0.0)
    P = (vectors[:, kept] * np.sqrt(values[kept])).T
    for _ in range(len(P) - 1):
        excess = _excess(P)
        high, low = int(excess.argmax()), int(excess.argmin())
        if excess[high] <= 0 or excess[low] >= 0:
            break
        P[high], P[low] = _rotated(P[high], P[low])
    weights = 0.5 * ((P[:, :-1] ** 2).sum(axis=1) + P[:, -1] ** 2)  # the two are equal but for rounding
    P = P[weights > 0]
    U = P[:, :-1] * np.copysign(1.0, P[:, -1:])
    norms = np.linalg.norm(U, axis=1)
    return U[norms > 0] / norms[norms > 0, None], weights[weights > 0][norms > 0]


def _excess(P: Matrix) -> Matrix:
    """p'Gp with G = diag(1, ..., 1, -1), for every row p."""
    return (P[:, :-1] ** 2).sum(axis=1) - P[:, -1] ** 2


def _rotated(p: Matrix, q: Matrix) -> tuple[Matrix, Matrix]:
    """Two vectors with the same p p' + q q', the first with p'Gp = 0, where p'Gp > 0 > q'Gq."""
    over, under = _excess(np.stack([p, q]))
    cross = p[:-1] @ q[:-1] - p[-1] * q[-1]
    # the root of under t^2 + 2 cross t + over = 0 that is not a difference of near equals
    t = -over / (cross - np.sqrt(cross**2 - over * under)) if cross < 0 else -(cross + np.sqrt(cross**2 - over * under)) / under
    scale = 1 / np.hypot(1.0, t)
    return scale * (p + t * q), scale * (q - t * p)


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


@dataclass(frozen=True, eq=False)
class PolynomialInverse:
    """The way back from (Z, W). X : (n, d) with the bias column, if any; ball : the perturbation set, or None."""

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
