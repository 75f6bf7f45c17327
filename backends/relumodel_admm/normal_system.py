"""min over x of  sum_j w_j / 2 |K_j x - t_j|^2,  the linear algebra of a splitting.

Preconditioned conjugate gradients, started where the last minimisation ended. A step needs one adjoint and one forward product for the
loss alone; K'K of the other terms is a d x d matrix for all blocks. The image of the loss is kept up to date without further products,
and steps correct their own rounding (the residual is formed anew every time). The preconditioner replaces X' diag(m_i m_j) X by its
mean, a multiple of X'X, which makes the normal matrix A0 (x) I + A1 (x) X'X between blocks. The eigenvectors of X'X (d x d) diagonalise
it in all combinations of the copies of a block but the one that predictions read; for that one the pencil (A0, A1) (P x P) is
diagonalised too. For clean programs A0 is a multiple of I, so one decomposition serves for all weights; robust ones make it anew when
the weights change. Small programs get the normal matrix itself, factorised.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import scipy.linalg
from array_api_compat import array_namespace
from numpy.typing import NDArray

from relumodel.functions.roots import on_host
from relumodel.program.arrays import Arrays

from .images import Images, SeparateImages
from .readers import add_signed, signed_sum

#: Up to this many variables, and entries of the maps written out, the normal matrix is formed and factorised.
DENSE, ENTRIES = 600, 2e7

#: Steps of conjugate gradients in one minimisation. One step stalls where the preconditioner is poor, a third hardly helps.
STEPS = 2


class Preconditioner(Protocol):
    """An approximate inverse of the normal matrix."""

    exact: bool

    def weigh(self, weights: list[float]) -> None:
        """Take new weights of the terms."""
        ...

    def __call__(self, r: Any) -> Any: ...


class PencilInverse:
    """The inverse of what the pencils add up to, on the blocks and of a diagonal on the rest. images : those of the program, in float64,
    which is what everything here is computed in; what a minimisation needs is given to its arrays."""

    exact = False

    def __init__(self, images: Images | SeparateImages, arrays: Arrays) -> None:
        self.arrays, self.pencils = arrays, images.pencils()
        self.signs = images.signs
        self.copies = len(self.signs)
        self.curvature, basis = _eigen(images.gram())
        self.basis = self._array(basis)
        (self.read,) = (at for at, pencil in enumerate(self.pencils) if np.ndim(pencil.A1))  # the loss alone reads predictions
        self.one_basis = np.ndim(self.pencils[self.read].A0) == 0
        if self.one_basis:
            self.gains, vectors = _eigen(self.pencils[self.read].A1)
            self.mix = self._array(vectors.T)

    def _array(self, values: NDArray[np.float64]) -> Any:
        return self.arrays.give(np.ascontiguousarray(values))

    def weigh(self, weights: list[float]) -> None:
        own0, own1, rest = (
            sum(w * getattr(pencil, part) for w, pencil in zip(weights, self.pencils, strict=True))
            for part in ("own0", "own1", "rest")
        )
        own = own0 + own1 * self.curvature
        self.apart, self.share = self._array(1 / own), self._array(1 / (self.copies * own))
        self.rest = None if np.ndim(rest) == 0 else self._array(1 / rest)
        weight = self.copies * weights[self.read]
        if self.one_basis:  # A0 is a multiple of I whatever the weights: one basis serves them all
            self.scale = self._array(1 / (self.copies * (own + weight * self.gains[:, None] * self.curvature)))
            return
        pencil, eye = self.pencils[self.read], np.eye(len(self.pencils[self.read].A1))
        root = np.linalg.inv(np.linalg.cholesky(weight * pencil.A0 + own0 * eye))
        gains, vectors = _eigen(root @ (weight * pencil.A1 + own1 * eye) @ root.T)
        self.mix = self._array(vectors.T @ root)
        self.scale = self._array(1 / (self.copies * (1 + gains[:, None] * self.curvature)))

    def __call__(self, r: Any) -> Any:
        xp, d, P = array_namespace(r), self.basis.shape[0], self.mix.shape[0]
        end = r.shape[0] - (0 if self.rest is None else self.rest.shape[0])
        turned = xp.reshape(xp.reshape(r[:end], (-1, d)) @ self.basis, (-1, len(self.signs), P, d))
        read = signed_sum(turned, self.signs)
        moved = self.mix.T @ ((self.mix @ read) * self.scale) - read * self.share
        turned *= self.apart
        add_signed(turned, moved, self.signs)
        out = xp.reshape(xp.reshape(turned, (-1, d)) @ self.basis.T, (-1,))
        return out if self.rest is None else xp.concat([out, r[end:] * self.rest])


def _eigen(A: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues and vectors of a positive semidefinite matrix; what rounding made negative is zero."""
    values, vectors = np.linalg.eigh(A)
    return np.maximum(values, 0), vectors


class DenseInverse:
    """The inverse of the normal matrix, from its Cholesky factor in float64."""

    exact = True

    def __init__(self, images: Images | SeparateImages, arrays: Arrays) -> None:
        self.arrays = arrays
        columns = [images.forward(column) for column in np.eye(images.size)]
        K = [np.stack([column[j] for column in columns], axis=1) for j in range(len(columns[0]))]
        self.parts = [images.ranks.sum(k.T @ k) if on_rows else k.T @ k for k, on_rows in zip(K, images.on_rows, strict=True)]

    def weigh(self, weights: list[float]) -> None:
        total = sum(weight * part for weight, part in zip(weights, self.parts, strict=True))
        factor = scipy.linalg.cho_factor(total, check_finite=False)
        self.inverse = self.arrays.give(scipy.linalg.cho_solve(factor, np.eye(len(total)), check_finite=False))

    def __call__(self, r: Any) -> Any:
        return self.inverse @ r


class NormalSystem:
    """The minimisation, with `steps` steps of conjugate gradients a call."""

    def __init__(self, images: Images | SeparateImages, inverse: Preconditioner, steps: int) -> None:
        self.images, self.inverse, self.steps = images, inverse, steps

    def weigh(self, weights: list[float]) -> None:
        """Take new weights of the terms."""
        self.weights = weights
        self.images.weigh(weights)
        self.inverse.weigh(weights)

    def solve(self, x: Any, prediction: Any, targets: list[Any]) -> tuple[Any, Any]:
        """x and the image that the loss reads of it, moved towards the minimum, the image in place. The residual is made in place of
        `targets`."""
        targets[0] -= prediction
        residual = self.images.adjoint(targets)
        residual -= self.images.normal(x)
        direction = self.inverse(residual)
        slope = residual @ direction
        for step in range(self.steps):
            moved, own = self.images.predict(direction), self.images.normal(direction)
            curvature = self.weights[0] * self.images.ranks.sum(moved @ moved) + direction @ own
            length = _ratio(slope, curvature)
            x = x + length * direction
            prediction += length * moved
            if step + 1 == self.steps:
                break
            own += self.images.back(self.weights[0] * moved)
            own *= length
            residual -= own
            ahead = self.inverse(residual)
            slope, before = residual @ ahead, slope
            direction *= _ratio(slope, before)
            direction += ahead
        return x, prediction


def _ratio(above: Any, below: Any) -> Any:
    """Their quotient where both are positive, else 0: no step. A device is not asked, which would mean to wait for it."""
    if on_host(above):
        return above / below if above > 0 and below > 0 else 0.0
    xp = array_namespace(above)
    sound = (above > 0) & (below > 0)
    return xp.where(sound, above, 0 * above) / xp.where(sound, below, 1 + 0 * below)
