"""The neurons of a network trained elsewhere, in the terms of a model: ours, a torch module, or scikit-learn's MLP."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..certify.neurons import Neurons, neurons_of
from ..data import Data
from ..errors import InputError, InputTypeError
from ..networks import Activation, LeakyReLU, ReLU
from ..patterns.hidden_layer import HiddenLayer, hidden_layer
from ..recovery.network import Network

if TYPE_CHECKING:
    from ..model import Model

Matrix = NDArray[np.float64]


def trained_neurons(network: Any, model: Model, data: Data) -> Neurons:
    """The neurons of `network`, computing the same function, for a model on data.

    network : one of ours; a torch `Sequential(Linear, ReLU or LeakyReLU, Linear)` or a module of these three parts; a fitted
        scikit-learn MLPRegressor or MLPClassifier with one hidden layer of "relu". Its outputs are those of the targets, classes in
        the order of their labels. A hidden bias is the last row of the weights; an output bias c becomes a constant neuron
        sigma(0.x + 1) c. Both need a model with bias=True. A neuron that serves several outputs counts once for each.
    Raises `InputError` or `InputTypeError` for anything else.
    """
    layer, features = hidden_layer(network), data.X.shape[1]
    if layer.inputs != features:
        raise InputError(f"The network takes {layer.inputs} features, but X has {features}.")
    if isinstance(network, Network):
        activation, output, shift = network.activation, network.output_weights, np.zeros(network.n_outputs)
        neurons = neurons_of(network)
    else:
        activation, output, shift = _of_torch(network) if _is_torch(network) else _of_sklearn(network)
        neurons = neurons_of(Network(activation, layer.bias, layer.hidden_weights, output))
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


def _is_torch(network: Any) -> bool:
    torch = sys.modules.get("torch")  # a torch module exists only where torch is loaded; we never load it
    return torch is not None and isinstance(network, torch.nn.Module)


def _of_torch(module: Any) -> tuple[Activation, Matrix, Matrix]:
    """Activation, output weights (m,) or (m, c), and output biases (c,); the hidden layer has been checked."""
    torch = sys.modules["torch"]
    leaves = [part for part in module.modules() if not list(part.children())]
    linear = [part for part in leaves if isinstance(part, torch.nn.Linear)]
    between = [part for part in leaves if not isinstance(part, torch.nn.Linear | torch.nn.Identity | torch.nn.Flatten)]
    if len(between) != 1 or not isinstance(between[0], torch.nn.ReLU | torch.nn.LeakyReLU):
        shown = ", ".join(type(part).__name__ for part in between) or "nothing"
        raise InputError(
            f"A torch module to polish is Linear, ReLU or LeakyReLU, Linear; {type(module).__name__} has {shown} besides its "
            "two Linear layers. Functions called in forward() cannot be seen: write the activation as a module."
        )
    weight = linear[1].weight.detach().cpu().double().numpy()
    bias = np.zeros(len(weight)) if linear[1].bias is None else linear[1].bias.detach().cpu().double().numpy()
    slope = getattr(between[0], "negative_slope", None)
    return (ReLU() if slope is None else LeakyReLU(slope)), _outputs(weight), bias


def _of_sklearn(mlp: Any) -> tuple[Activation, Matrix, Matrix]:
    name = type(mlp).__name__
    if not hasattr(mlp, "coefs_"):
        raise InputTypeError(f"A network to polish is one of relumodel, a torch module or a scikit-learn MLP; got {name}.")
    if mlp.activation != "relu":
        raise InputError(f'The {name} to polish has activation="{mlp.activation}"; only "relu" is piecewise linear.')
    # a binary classifier's last step is the logistic function, of the score that a network of ours returns
    return ReLU(), _outputs(mlp.coefs_[1].T), mlp.intercepts_[1]


def _outputs(weight: Matrix) -> Matrix:
    """Weights (c, m) of the last layer as ours: (m, c), or (m,) for one output."""
    return np.ascontiguousarray(weight[0] if len(weight) == 1 else weight.T)
