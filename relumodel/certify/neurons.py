"""A network as its certificates see it: one block a neuron, on the columns the library computes with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..recovery.network import Network

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Neurons:
    """f(x) = sum_j signs_j sigma(x.b_j), x with the bias column, if any.

    blocks : (m, d) the b_j = |a_j| u_j.  slope : that of sigma's inactive side.
    signs : (m,) those of a_j; for several outputs (m, c) with one entry +-1 a row, that of the output which the neuron serves.
    gates : (m, d) for fixed gates, else None.
    """

    blocks: Matrix
    signs: Matrix
    slope: float
    gates: Matrix | None = None

    def output(self, X: Matrix) -> Matrix:
        """f at the rows of X (n, d): (n,), or (n, c)."""
        T = X @ self.blocks.T
        return (T * self._slopes(X, T)) @ self.signs

    def gradient(self, X: Matrix) -> Matrix:
        """The gradient of f at the rows of X (n, d), that of the active side where x.b = 0: (n, d)."""
        return (self._slopes(X, X @ self.blocks.T) * self.signs) @ self.blocks

    def _slopes(self, X: Matrix, T: Matrix) -> Matrix:
        side = T if self.gates is None else X @ self.gates.T
        return np.where(side >= 0, 1.0, self.slope)


def neurons_of(network: Network) -> Neurons:
    """The neurons of a two-layer network; one that serves several outputs counts once for each."""
    a = network.output_weights
    if a.ndim == 2:
        j, r = np.nonzero(a)
        signs = np.zeros((len(j), a.shape[1]))
        signs[np.arange(len(j)), r] = np.sign(a[j, r])
        gates = None if network.gates is None else np.ascontiguousarray(network.gates.T[j])
        return Neurons(network.hidden_weights.T[j] * np.abs(a[j, r])[:, None], signs, network.activation.inactive, gates)
    return Neurons(
        blocks=np.ascontiguousarray((network.hidden_weights * np.abs(a)).T),
        signs=np.sign(a),
        slope=network.activation.inactive,
        gates=None if network.gates is None else np.ascontiguousarray(network.gates.T),
    )
