"""Steps in a metric of the data, with the proximal map of the penalty in closed form or one number a block.

A block u moves hidden values by X u, so a step is measured by |u|_M with M near the mean of x x': pixels in [0, 1] have one direction
that moves all samples alike and hundreds that hardly move any. For the 2-norm of blocks M is the k largest eigenvalues of the Gram
matrix and the next one for all other directions: the proximal map of beta |u|_2 then reads k + 1 numbers of a block. For the 1-norm
M is diagonal, and the map is a soft threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ..losses import soft
from ..penalties import Penalty
from ..program.functions import L1Norm

Array = Any

#: Eigenvectors of the metric.
DIRECTIONS = 32

#: Columns up to which the whole Gram matrix is summed and factored.
LARGEST = 2048

#: No direction counts for less than this share of the largest.
FLOOR = 1e-6

#: Keeps quotients of zeros finite; its square is a number in float32 too.
TINY = 1e-15

#: Newton steps for the size of a block: quadratic, and from below.
NEWTON = 6


@dataclass(frozen=True, eq=False)
class SpectralMetric:
    """M = floor I + V diag(values - floor) V'.  V : (d, k) orthonormal.  values : (k,), the largest first."""

    V: Array
    values: Array
    floor: float
    beta: float

    def dual_squares(self, G: Array) -> Array:
        """|g|^2 in the norm dual to M of blocks (..., d): (...)."""
        xp = array_namespace(G)
        inside = G @ self.V
        return xp.sum(G * G, axis=-1) / self.floor + xp.sum(inside * inside * (1 / self.values - 1 / self.floor), axis=-1)

    def prox(self, U: Array, G: Array, L: Array) -> Array:
        """argmin over v of  g.v + L/2 |v - u|_M^2 + beta |v|_2  of every block; U, G : (..., d), L : (...)."""
        xp = array_namespace(U)
        h0 = L * self.floor
        Z = U - G / h0[..., None]
        along = Z @ self.V
        h = L[..., None] * self.values
        a = along + (G @ self.V) * (1 / h0[..., None] - 1 / h)
        rest = xp.clip(xp.sum(Z * Z, axis=-1) - xp.sum(along * along, axis=-1), min=0.0)
        size = self._sizes((h * a) ** 2, h, h0**2 * rest, h0)
        shrunk = size[..., None] * h / xp.clip(size[..., None] * h + self.beta, min=TINY)
        shrink = size * h0 / xp.clip(size * h0 + self.beta, min=TINY)
        Z *= shrink[..., None]
        Z += (shrunk * a - shrink[..., None] * along) @ self.V.T
        return Z

    def _sizes(self, along: Array, h: Array, rest: Array, h0: Array) -> Array:
        """|v|_2: 0 where the sum of the squares is within beta, else the root t of  sum_i along_i / (h_i t + beta)^2 = 1,  by Newton's
        method on 1 / sqrt(.), which is monotone from below."""
        xp = array_namespace(along)
        beta = self.beta
        total = xp.sqrt(xp.sum(along, axis=-1) + rest)
        t = xp.clip(total - beta, min=0.0) / xp.clip(h[..., 0], min=TINY)
        for _ in range(NEWTON):
            low, low0 = xp.clip(h * t[..., None] + beta, min=TINY), xp.clip(h0 * t + beta, min=TINY)
            part, part0 = along / low**2, rest / low0**2
            value = xp.clip(xp.sum(part, axis=-1) + part0, min=TINY)
            slope = 2 * (xp.sum(part * h / low, axis=-1) + part0 * h0 / low0)
            t = xp.clip(t + 2 * value * (xp.sqrt(value) - 1) / xp.clip(slope, min=TINY), min=0.0)
        return xp.where(total > beta, t, xp.zeros_like(t))


@dataclass(frozen=True, eq=False)
class DiagonalMetric:
    """M = diag(values), (d,)."""

    values: Array
    beta: float

    def dual_squares(self, G: Array) -> Array:
        """As for `SpectralMetric`."""
        return array_namespace(G).sum(G * G / self.values, axis=-1)

    def prox(self, U: Array, G: Array, L: Array) -> Array:
        """As for `SpectralMetric`, with the 1-norm."""
        h = L[..., None] * self.values
        return soft(U - G / h, self.beta / h)


def metric_of(gram: NDArray[np.float64], penalty: Penalty) -> SpectralMetric | DiagonalMetric:
    """The metric for blocks under a penalty. gram : (d, d), or its diagonal (d,) alone."""
    diagonal = gram if gram.ndim == 1 else np.diag(gram)
    trace = float(diagonal.sum()) or 1.0
    d = len(diagonal)
    if isinstance(penalty.function(d), L1Norm):
        return DiagonalMetric(diagonal + 1e-3 * trace / d, penalty.beta)
    if gram.ndim == 1 or d == 1:
        return SpectralMetric(np.zeros((d, 1)), np.full(1, trace), trace, penalty.beta)
    values, V = np.linalg.eigh(gram)
    k = min(DIRECTIONS, d - 1)
    floor = max(float(values[-k - 1]), FLOOR * float(values[-1])) or 1.0
    return SpectralMetric(np.ascontiguousarray(V[:, : -k - 1 : -1]), np.maximum(values[: -k - 1 : -1], floor), floor, penalty.beta)
