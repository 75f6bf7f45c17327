"""The patterns of a network's own neurons: the convex program on them is never worse than the network."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrangement.packing import distinct, global_keys, pack
from ..arrangement.scaling import unit_rows
from ..arrangement.witness import is_strict
from ..declare.perturbations import Ball
from ..errors import InputError
from ..program.ranks import SINGLE_PROCESS, SingleProcess
from .hidden_layer import HiddenLayer, SubNetworkLayers, hidden_layer
from .other_libraries import is_torch, read_whole
from .pattern_set import PatternSet, PatternStrategy
from .sub_networks import SubNetworks, given, patterns


@dataclass(frozen=True, init=False)
class PatternsOf(PatternStrategy):
    """The distinct patterns [X u_j >= 0] of a network's hidden neurons u_j, in order of first appearance.

    network : one of ours, a torch module of two `Linear` layers with ReLU or LeakyReLU between them, or a fitted scikit-learn MLP with one
        hidden layer; raises `InputTypeError` or `InputError` for anything else, also where the module computes another function than
        its layers, at random points. Its hidden weights are copied when this is declared, so later training changes nothing here, and
        they are what `to_dict` writes.
    """

    network: HiddenLayer | SubNetworkLayers

    def __init__(self, network: Any) -> None:
        three = isinstance(network, SubNetworkLayers) or (hasattr(network, "second_weights") and not isinstance(network, type))
        if is_torch(network) or hasattr(network, "hidden_layer_sizes"):
            layers: HiddenLayer | SubNetworkLayers = read_whole(network).layer
        else:
            layers = (
                SubNetworkLayers(network.hidden_weights, network.second_weights, network.bias) if three else hidden_layer(network)
            )
        if isinstance(layers, HiddenLayer) and layers.neurons == 0:
            raise InputError(
                "The network has no neurons, so there are no patterns of it; take others, for example rm.SamplePatterns(50, seed=0)."
            )
        object.__setattr__(self, "network", layers)

    def find(self, X: NDArray[np.float64], bias: bool, ball: Ball | None = None) -> PatternSet:
        """The network's patterns on X (n, d). Raises `InputError` when its inputs or its bias do not fit the data."""
        D, witnesses, boundary = self._of_neurons(X, bias, SINGLE_PROCESS)
        witnesses[boundary] = np.nan
        return dataclasses.replace(self._found(D, witnesses, X if ball is None else None), neurons=self._neurons(X, bias, D))

    def _neurons(self, X: NDArray[np.float64], bias: bool, D: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """All of them, and where their patterns are in D (n, P)."""
        weights = _weights_for(self.network, X, bias)  # type: ignore[arg-type]
        column = {word.tobytes(): i for i, word in enumerate(pack(D.T))}
        return unit_rows(weights.T), np.array([column[word.tobytes()] for word in pack((X @ weights >= 0).T)], dtype=np.intp)

    def find_shards(self, X: NDArray[np.float64], bias: bool, ranks: SingleProcess) -> PatternSet:
        """Patterns of neurons with a sample on their boundary stay without witness: to find one takes all rows."""
        D, witnesses, boundary = self._of_neurons(X, bias, ranks)
        witnesses[boundary] = np.nan
        return self._found(D, witnesses)

    def _found(self, D: NDArray[np.bool_], witnesses: NDArray[np.float64], X: NDArray[np.float64] | None = None) -> PatternSet:
        origin = f"{len(witnesses):,} of a network with {self.network.neurons:,} neurons"  # type: ignore[union-attr]
        return PatternSet(D, witnesses, complete=False, origin=origin, X=X)

    def _of_neurons(
        self, X: NDArray[np.float64], bias: bool, ranks: SingleProcess
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.bool_]]:
        """The distinct patterns, a neuron of each, strict where one is, and which have none."""
        if isinstance(self.network, SubNetworkLayers):
            raise InputError("These are the patterns of a three-layer network; compile rm.ParallelThreeLayer(width=...) on them.")
        weights = _weights_for(self.network, X, bias)
        D = X @ weights >= 0
        vectors = unit_rows(weights.T)
        strict = ranks.all(is_strict(X, vectors, D))
        # of the neurons that share a pattern, a strict one is the witness
        words, strict_first = global_keys(pack(D.T), ranks), np.argsort(~strict, kind="stable")
        first, best = distinct(words).first, strict_first[distinct(words[strict_first]).first]
        appearance = np.argsort(first)
        D, best = np.ascontiguousarray(D[:, first[appearance]]), best[appearance]
        return D, vectors[best], ~strict[best]

    def find_directions(self, X: NDArray[np.float64], bias: bool) -> PatternSet:
        """The directions of the network's neurons themselves, equal ones once, zero ones left out. Raises as `find` does."""
        if isinstance(self.network, SubNetworkLayers):
            raise InputError("These are the directions of a three-layer network; train rm.ParallelThreeLayer(width=...) on them.")
        vectors = unit_rows(_weights_for(self.network, X, bias).T)
        vectors = vectors[np.sort(np.unique(vectors, axis=0, return_index=True)[1])]
        vectors = np.ascontiguousarray(vectors[vectors.any(axis=1)])
        if not len(vectors):
            raise InputError("Every hidden neuron of this network is zero, so it has no directions to train on.")
        origin = f"{len(vectors):,} directions of a network with {self.network.neurons:,} neurons"
        return PatternSet(X @ vectors.T >= 0, vectors, complete=False, origin=origin)

    def find_sub_network_directions(self, X: NDArray[np.float64], bias: bool, width: int) -> SubNetworks:
        """The weights of the network's sub-networks, those left out that have a neuron without weights."""
        layers = self._sub_networks(X, bias, width)
        U, v = layers.hidden_weights.transpose(0, 2, 1), layers.second_weights
        used = np.flatnonzero((U.any(axis=2) & (v != 0)).all(axis=1))
        if not len(used):
            raise InputError(
                "Every sub-network of this network has a neuron without weights, so there are no directions to train on."
            )
        units = np.stack([unit_rows(U[g]) for g in used])
        v = v[used] * np.linalg.norm(U[used], axis=2)
        parts = [patterns(X, *pair) for pair in zip(units, v, strict=True)]
        inner, outer = np.stack([part[0] for part in parts]), np.stack([part[1] for part in parts])
        return SubNetworks(inner, outer, units, v, f"{len(used):,} of a network with {len(layers.second_weights):,} sub-networks")

    def find_sub_networks(self, X: NDArray[np.float64], bias: bool, width: int) -> SubNetworks:
        """Those of the sub-networks that are not 0 on every sample, equal ones once. The program is never worse than the network."""
        layers = self._sub_networks(X, bias, width)
        return given(X, layers.hidden_weights.transpose(0, 2, 1), layers.second_weights)

    def _sub_networks(self, X: NDArray[np.float64], bias: bool, width: int) -> SubNetworkLayers:
        """The network's sub-networks, or an error where they do not fit the data."""
        layers = self.network
        if not isinstance(layers, SubNetworkLayers):
            raise InputError(
                "PatternsOf a two-layer network does not give patterns of three-layer sub-networks; use rm.SamplePatterns(10, seed=0)."
            )
        shape = (X.shape[1] - bias, bias, width)
        own = (layers.hidden_weights.shape[1] - layers.bias, layers.bias, layers.hidden_weights.shape[2])
        if shape != own:
            raise InputError(
                f"The network's sub-networks have {own[0]} features, bias={own[1]} and {own[2]} neurons; the data and the model have "
                f"{shape[0]}, bias={shape[1]} and {shape[2]}."
            )
        return layers


def _weights_for(layer: HiddenLayer, X: NDArray[np.float64], bias: bool) -> NDArray[np.float64]:
    """The weights (d, m) that apply to X (n, d) as it arrives, its ones column included."""
    features = X.shape[1] - bias
    if layer.inputs != features:
        raise InputError(f"The network takes {layer.inputs} features, but X has {features}.")
    if layer.bias and not bias:
        raise InputError("The network has a bias but the model has none; declare the model's network with bias=True.")
    if bias and not layer.bias:
        return np.vstack([layer.hidden_weights, np.zeros(layer.neurons)])
    return layer.hidden_weights
