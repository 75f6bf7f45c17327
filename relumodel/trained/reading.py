"""The neurons of a network trained elsewhere, in the terms of a model: ours, a torch module, or scikit-learn's MLP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..data import Data, same_names
from ..declare.networks import LeakyReLU, ReLU
from ..errors import InputError
from ..patterns.hidden_layer import HiddenLayer, hidden_layer
from ..patterns.other_libraries import read_whole
from ..robustness.neurons import Neurons, neurons_of
from .network import Network

if TYPE_CHECKING:
    from ..declare.model import Model

Matrix = NDArray[np.float64]


def trained_neurons(network: Any, model: Model, data: Data) -> Neurons:
    """The neurons of `network`, computing the same function, for a model on data.

    network : one of ours; a torch module that computes Linear, ReLU or LeakyReLU, Linear (in evaluation mode, compared on the data); a
        fitted scikit-learn MLPRegressor or MLPClassifier with one hidden layer of "relu". Its outputs are those of the targets, classes in
        the order of their labels. A hidden bias is the last row of the weights; an output bias c becomes a constant neuron
        sigma(0.x + 1) c. Both need a model with bias=True. A neuron that serves several outputs counts once for each.
    Raises `InputError` or `InputTypeError` for anything else.
    """
    if isinstance(network, Network):
        layer, activation = hidden_layer(network), network.activation
        output, shift, neurons = network.output_weights, np.zeros(network.n_outputs), neurons_of(network)
        if layer.inputs != data.X.shape[1]:
            raise InputError(f"The network takes {layer.inputs} features, but X has {data.X.shape[1]}.")
        same_names(data.names, network.feature_names, " Reorder or rename them: X[list(network.feature_names)].")
    else:
        read = read_whole(network, data.X)
        layer, shift, activation = read.layer, read.shift, LeakyReLU(read.slope) if read.slope else ReLU()
        output = np.ascontiguousarray(read.output[:, 0] if read.output.shape[1] == 1 else read.output)
        neurons = neurons_of(Network(activation, layer.bias, layer.hidden_weights, output))
        if hasattr(network, "feature_names_in_"):
            same_names(data.names, tuple(map(str, network.feature_names_in_)), " Reorder or rename them.")
    outputs = 1 if output.ndim == 1 else output.shape[1]
    if outputs != data.outputs:
        raise InputError(f"The network has {outputs} output{'s' * (outputs > 1)}; the loss and the targets ask for {data.outputs}.")
    if activation != model.network.activation:
        raise InputError(f"The network's activation is {activation}, the model's is {model.network.activation}; they must agree.")
    return _with_bias_of(model, layer, neurons, shift)


def network_of(neurons: Neurons, model: Model, data: Data) -> Network:
    """The network of these neurons with their cheapest weights: u = b / sqrt|b|, a = +-sqrt|b|."""
    sizes = np.sqrt(model.penalty.norms(neurons.blocks))
    return Network(
        activation=model.network.activation,
        bias=model.network.bias,
        hidden_weights=np.ascontiguousarray((neurons.blocks / sizes[:, None]).T),
        output_weights=(neurons.signs.T * sizes).T,
        gates=None if neurons.gates is None else np.ascontiguousarray(neurons.gates.T),
        classifies=model.loss.reads != "residual",
        feature_names=data.names,
        classes=data.classes,
    )


def _with_bias_of(model: Model, layer: HiddenLayer, neurons: Neurons, shift: Matrix) -> Neurons:
    """The neurons on the model's columns, with an output bias as one more of them."""
    blocks, signs, gates = neurons.blocks, neurons.signs, neurons.gates
    if gates is not None and layer.bias != model.network.bias:
        raise InputError(f"The gated network has bias={layer.bias}, the model has bias={model.network.bias}; they must agree.")
    if model.network.bias and not layer.bias:
        blocks = np.hstack([blocks, np.zeros((len(blocks), 1))])
    if layer.bias and not model.network.bias:
        if blocks[:, -1].any():
            raise InputError("The network has a hidden bias but the model has none; declare the model's network with bias=True.")
        blocks = blocks[:, :-1]
    if shift.any():
        if not model.network.bias:
            raise InputError("The network has an output bias, which needs a model with bias=True to be carried by a neuron.")
        constant = np.zeros((len(shift), blocks.shape[1]))
        constant[:, -1] = np.abs(shift)
        blocks = np.vstack([blocks, constant])
        signs = np.concatenate([signs, np.sign(shift) if signs.ndim == 1 else np.diag(np.sign(shift))])
    used = ((signs != 0) if signs.ndim == 1 else signs.any(axis=1)) & blocks.any(axis=1)
    return Neurons(np.ascontiguousarray(blocks[used]), signs[used], neurons.slope, None if gates is None else gates[used])
