"""A network as its certificates see it: one block a neuron, on the columns the library computes with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..declare.networks import Activation

Matrix = NDArray[np.float64]


class TwoLayers(Protocol):
    """What is read of a trained two-layer network; see `relumodel.Network`."""

    @property
    def activation(self) -> Activation: ...

    @property
    def bias(self) -> bool: ...

    @property
    def hidden_weights(self) -> Matrix: ...

    @property
    def output_weights(self) -> Matrix: ...

    @property
    def gates(self) -> Matrix | None: ...

    @property
    def n_features(self) -> int: ...

    @property
    def n_neurons(self) -> int: ...


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


def neurons_of(network: TwoLayers) -> Neurons:
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
