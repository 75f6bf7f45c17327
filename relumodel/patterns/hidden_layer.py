"""The hidden layer of a trained two-layer network: ours, a torch module, or scikit-learn's."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, InputTypeError
from .holding_arrays import HoldsArrays, frozen


@dataclass(frozen=True, eq=False, init=False, repr=False)
class HiddenLayer(HoldsArrays):
    """The hidden weights of a two-layer network, as our networks hold them.

    hidden_weights : (d, m), or (d + 1, m) with a bias, which is the last row.
    Raises `InputTypeError` or `InputError` for weights that are not a matrix of finite numbers.
    """

    hidden_weights: NDArray[np.float64]
    bias: bool

    def __init__(self, hidden_weights: ArrayLike, bias: bool) -> None:
        try:
            weights = np.asarray(hidden_weights, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputTypeError(f"Hidden weights must be a matrix of numbers; {error}.") from None
        if weights.ndim != 2 or weights.shape[0] < 1 + bias:
            raise InputError(
                f"Hidden weights must be a matrix with a row per input, at least one{', one more for the bias' * bias}, and a column "
                f"per neuron; got shape {weights.shape}."
            )
        if not np.isfinite(weights).all():
            raise InputError("The network has hidden weights that are NaN or infinite; train it again, or check how.")
        object.__setattr__(self, "hidden_weights", frozen(weights))
        object.__setattr__(self, "bias", bool(bias))

    def __repr__(self) -> str:
        return f"HiddenLayer({self.inputs} inputs, {self.neurons} neurons, bias={self.bias})"

    @property
    def inputs(self) -> int:
        return self.hidden_weights.shape[0] - self.bias

    @property
    def neurons(self) -> int:
        return self.hidden_weights.shape[1]


@dataclass(frozen=True, eq=False, init=False, repr=False)
class SubNetworkLayers(HoldsArrays):
    """The weights of three-layer sub-networks before the last layer. hidden_weights : (G, d, m), or (G, d + 1, m) with a bias, which is
    the last row.  second_weights : (G, m)."""

    hidden_weights: NDArray[np.float64]
    second_weights: NDArray[np.float64]
    bias: bool

    def __init__(self, hidden_weights: ArrayLike, second_weights: ArrayLike, bias: bool) -> None:
        W1, w2 = np.asarray(hidden_weights, dtype=np.float64), np.asarray(second_weights, dtype=np.float64)
        if (
            W1.ndim != 3
            or w2.shape != (W1.shape[0], W1.shape[2])
            or not W1.size
            or not (np.isfinite(W1).all() and np.isfinite(w2).all())
        ):
            raise InputError(
                f"Sub-networks have finite weights of shapes (G, d, m) and (G, m), one at least; got shapes {W1.shape} and {w2.shape}."
            )
        object.__setattr__(self, "hidden_weights", frozen(W1))
        object.__setattr__(self, "second_weights", frozen(w2))
        object.__setattr__(self, "bias", bool(bias))

    def __repr__(self) -> str:
        return f"SubNetworkLayers({len(self.second_weights)} sub-networks, bias={self.bias})"


def hidden_layer(network: Any) -> HiddenLayer:
    """The hidden layer of a network as it is now; later training does not change it.

    network : one of ours (it has `hidden_weights`), a torch module with exactly two `Linear` layers, the first one
        created being the hidden one, or a fitted scikit-learn MLP with one hidden layer.
    Raises `InputTypeError` for anything else, and `InputError` for a network of another depth.
    """
    if isinstance(network, HiddenLayer):
        return network
    torch = sys.modules.get("torch")  # a torch module exists only where torch is loaded; we never load it
    if torch is not None and isinstance(network, torch.nn.Module):
        return _of_torch(network, torch.nn.Linear)
    if hasattr(network, "hidden_layer_sizes"):
        return _of_sklearn(network)
    if hasattr(network, "hidden_weights") and not isinstance(network, type):
        gates = getattr(network, "gates", None)  # where there are gates, they make the patterns
        weights = network.hidden_weights if gates is None else gates
        return HiddenLayer(weights, bias=bool(getattr(network, "bias", False)))
    pipeline = hasattr(network, "steps") and hasattr(network, "named_steps")
    hint = " Its last step is pipeline[-1], which takes pipeline[:-1].transform(X): give both of these." if pipeline else ""
    raise InputTypeError(
        f"A two-layer network is needed: one of relumodel, a torch module with two Linear layers, or a fitted "
        f"scikit-learn MLP with one hidden layer; got {type(network).__name__}.{hint}"
    )


def _of_torch(module: Any, linear: Any) -> HiddenLayer:
    layers = [m for m in module.modules() if isinstance(m, linear)]
    shapes = ", ".join(f"{m.in_features} -> {m.out_features}" for m in layers) or "none"
    if len(layers) != 2 or layers[0].out_features != layers[1].in_features:
        raise InputError(
            f"A torch module must have exactly two Linear layers, the second taking what the first gives; "
            f"{type(module).__name__} has {len(layers)}: {shapes}."
        )
    parts = [layers[0].weight.T] + ([layers[0].bias[None, :]] if layers[0].bias is not None else [])
    arrays = [part.detach().cpu().double().numpy() for part in parts]
    return HiddenLayer(np.vstack(arrays), bias=len(arrays) == 2)


def _of_sklearn(mlp: Any) -> HiddenLayer:
    name = type(mlp).__name__
    if not hasattr(mlp, "coefs_"):
        raise InputError(f"This {name} has not been trained; call its fit(X, y) first.")
    if len(mlp.coefs_) != 2:
        raise InputError(
            f"A network with one hidden layer is needed; this {name} has {len(mlp.coefs_) - 1} "
            f"(hidden_layer_sizes={mlp.hidden_layer_sizes!r})."
        )
    return HiddenLayer(np.vstack([mlp.coefs_[0], mlp.intercepts_[0]]), bias=True)
