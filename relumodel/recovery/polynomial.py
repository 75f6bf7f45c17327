"""Solutions of polynomial programs: repaired to feasibility, cleaned of negligible directions, split into unit neurons."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from ..networks import Polynomial
from ..perturbations import Ball
from ..program.program import Program
from ..program.symmetric import packed_size, smat, svec
from .polynomial_network import PolynomialNetwork, of_matrices
from .sparsest import sparsest

if TYPE_CHECKING:
    from ..model import Model

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
