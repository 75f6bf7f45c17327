"""Networks as torch modules of the same function: torch's own layers where it has them, so they train, save and compile as any other."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..declare.networks import Polynomial, ReLU
from ..errors import MissingPackageError
from ..robustness.neurons import TwoLayers
from .conversion import ThreeLayers, checked_precision, with_a_neuron, with_a_sub_network


def two_layers(network: TwoLayers, dtype: str) -> Any:
    """`Sequential(Linear, activation, Linear, Flatten)`, with gates inside the activation's place where there are any; several outputs
    stay (n, c), without the last layer."""
    torch, network = _torch(dtype), with_a_neuron(network)
    hidden = linear(network.hidden_weights, network.bias, dtype)
    output = linear(_columns(network.output_weights), False, dtype)
    if network.gates is not None:
        from .torch_layers import Gated

        return torch.nn.Sequential(Gated(hidden, linear(network.gates, network.bias, dtype)), output, *_score(network))
    return torch.nn.Sequential(hidden, activation_of(network.activation), output, *_score(network))


def three_layers(network: ThreeLayers, dtype: str) -> Any:
    """The sub-networks side by side; the second layer is a convolution in groups, which keeps them apart in training as well."""
    torch, network = _torch(dtype), with_a_sub_network(network)
    G, width, m = network.hidden_weights.shape
    hidden = linear(network.hidden_weights.transpose(1, 0, 2).reshape(width, G * m), network.bias, dtype)
    output = linear(_columns(network.output_weights), False, dtype)
    second = _skip_init(torch.nn.Conv1d, dtype, G * m, G, 1, groups=G, bias=False)
    _set(second.weight, network.second_weights[:, :, None])
    return torch.nn.Sequential(
        hidden,
        torch.nn.ReLU(),
        torch.nn.Unflatten(1, (G * m, 1)),
        second,
        torch.nn.ReLU(),
        torch.nn.Flatten(1),
        output,
        *_score(network),
    )


def _columns(output: Any) -> Any:
    """Output weights as a matrix, one column an output."""
    return output.reshape(len(output), -1)


def _score(network: TwoLayers | ThreeLayers) -> list[Any]:
    """What turns (n, 1) into (n,) where there is one output."""
    import torch

    return [torch.nn.Flatten(0)] if network.output_weights.ndim == 1 else []


def _torch(dtype: Any) -> Any:
    checked_precision(dtype)
    try:
        import torch
    except ImportError as error:
        raise MissingPackageError("to_torch() needs the package torch; install it with pip install 'relumodel[torch]'.") from error
    return torch


def activation_of(activation: Any) -> Any:
    """The layer of a declared activation."""
    import torch

    if isinstance(activation, Polynomial):
        from .torch_layers import PolynomialActivation

        return PolynomialActivation(activation.a, activation.b, activation.c)
    return torch.nn.ReLU() if isinstance(activation, ReLU) else torch.nn.LeakyReLU(activation.inactive)


def linear(weights: np.ndarray, bias: bool, dtype: str = "float64") -> Any:
    """x -> x weights, the last row of the weights being the bias if there is one."""
    import torch

    inputs = weights[:-1] if bias else weights
    layer = _skip_init(torch.nn.Linear, dtype, *inputs.shape, bias=bias)
    _set(layer.weight, inputs.T)
    if bias:
        _set(layer.bias, weights[-1])
    return layer


def _skip_init(kind: Any, dtype: str, *args: Any, **named: Any) -> Any:
    """A layer whose weights are not drawn: nothing is taken from torch's random numbers."""
    import torch

    return torch.nn.utils.skip_init(kind, *args, **named, dtype=getattr(torch, dtype))


def _set(parameter: Any, values: np.ndarray) -> None:
    import torch

    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)))
