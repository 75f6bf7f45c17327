"""What conversions of networks to other libraries share."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol, TypeVar, cast

import numpy as np

from ..errors import InputError
from ..robustness.neurons import TwoLayers


class ThreeLayers(Protocol):
    """What is read of a trained three-layer network; see `relumodel.ThreeLayerNetwork`."""

    @property
    def bias(self) -> bool: ...

    @property
    def hidden_weights(self) -> np.ndarray: ...

    @property
    def second_weights(self) -> np.ndarray: ...

    @property
    def output_weights(self) -> np.ndarray: ...

    @property
    def n_features(self) -> int: ...


Two = TypeVar("Two", bound=TwoLayers)
Three = TypeVar("Three", bound=ThreeLayers)

PRECISIONS = ("float64", "float32")


def checked_precision(dtype: Any) -> str:
    """One of `PRECISIONS`, or an error that says so."""
    if dtype not in PRECISIONS:
        raise InputError(f"dtype must be one of {', '.join(PRECISIONS)}; got {dtype!r}.")
    return dtype


def with_a_neuron(network: Two) -> Two:
    """The network, a zero neuron added if it has none: other libraries warn of empty matrices, or refuse them."""
    if network.n_neurons:
        return network
    hidden = np.zeros((len(network.hidden_weights), 1))
    gates = None if network.gates is None else hidden
    return dataclasses.replace(cast(Any, network), hidden_weights=hidden, output_weights=_no_output(network), gates=gates)


def with_a_sub_network(network: Three) -> Three:
    """The same for sub-networks."""
    G, width, m = network.hidden_weights.shape
    if G and m:
        return network
    return dataclasses.replace(
        cast(Any, network),
        hidden_weights=np.zeros((1, width, 1)),
        second_weights=np.zeros((1, 1)),
        output_weights=_no_output(network),
    )


def _no_output(network: TwoLayers | ThreeLayers) -> np.ndarray:
    """Output weights of zero for one neuron, in the shape of the network's."""
    return np.zeros((1, *network.output_weights.shape[1:]))
