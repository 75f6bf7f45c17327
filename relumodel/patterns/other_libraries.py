"""Two-layer networks of torch and scikit-learn, read whole, and compared with what they compute.

Layers say what a network is made of, not what it does with them: a `forward` may scale its input, add a skip connection or pass its output
through another function. So the network read from the layers is evaluated beside the original, and a difference is an error.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, InputTypeError
from ..evaluation_mode import evaluation_mode
from .hidden_layer import HiddenLayer, hidden_layer

Matrix = NDArray[np.float64]

#: Rows of the data, evenly spaced, on which two networks are compared.
ROWS = 10_000

#: Without data: so many Gaussian points at each of these scales, which show clipping as well as offsets.
POINTS, SCALES = 64, (0.1, 1.0, 10.0, 100.0)


@dataclass(frozen=True, eq=False)
class TwoLayers:
    """f(x) = sum_j sigma([x, 1].u_j) a_j + shift.  slope : of sigma's inactive side.  output : (m, c), the a_j.  shift : (c,)."""

    layer: HiddenLayer
    slope: float
    output: Matrix
    shift: Matrix

    def __call__(self, X: Matrix) -> tuple[Matrix, Matrix]:
        """f at the rows of X (n, d), (n, c), and the sums of the absolute values that it adds up, by which rounding is measured."""
        weights, inputs = self.layer.hidden_weights, self.layer.inputs
        bias = weights[inputs:].sum(axis=0)  # of no row where there is none
        S = X @ weights[:inputs] + bias
        sizes = np.abs(X) @ np.abs(weights[:inputs]) + np.abs(bias)
        f = np.where(S >= 0, S, self.slope * S) @ self.output + self.shift
        return f, max(1.0, abs(self.slope)) * sizes @ np.abs(self.output) + np.abs(self.shift)


def is_torch(network: Any) -> bool:
    torch = sys.modules.get("torch")  # a torch module exists only where torch is loaded; we never load it
    return torch is not None and isinstance(network, torch.nn.Module)


def read_whole(network: Any, X: Matrix | None = None) -> TwoLayers:
    """A torch module of two `Linear` layers, or a fitted scikit-learn MLP, that computes the same function as these layers with ReLU or
    LeakyReLU between them: on X (n, d), or on random points where there is none.

    Raises `InputError` with the size of the difference where it computes another, `InputTypeError` for other kinds.
    """
    layer = hidden_layer(network)
    if X is None:
        points = np.random.default_rng(0).standard_normal((len(SCALES), POINTS, layer.inputs))
        X = (points * np.array(SCALES)[:, None, None]).reshape(-1, layer.inputs)
    elif layer.inputs != X.shape[1]:
        raise InputError(f"The network takes {layer.inputs} features, but X has {X.shape[1]}.")
    X = X[np.linspace(0, len(X) - 1, min(len(X), ROWS)).astype(int)]
    return _of_torch(network, layer, X) if is_torch(network) else _of_sklearn(network, layer, X)


def _of_torch(module: Any, layer: HiddenLayer, X: Matrix) -> TwoLayers:
    torch = sys.modules["torch"]
    leaves = [part for part in module.modules() if not list(part.children())]
    hidden, last = (part for part in module.modules() if isinstance(part, torch.nn.Linear))
    activations = [part for part in leaves if isinstance(part, torch.nn.ReLU | torch.nn.LeakyReLU)]
    slope = getattr(activations[0], "negative_slope", 0.0) if activations else 0.0
    output = last.weight.detach().cpu().double().numpy().T
    shift = np.zeros(output.shape[1]) if last.bias is None else last.bias.detach().cpu().double().numpy()
    read = TwoLayers(layer, slope, output, shift)
    others = [part for part in leaves if not isinstance(part, torch.nn.Linear | torch.nn.Identity | torch.nn.Flatten)]
    parts = f"Linear, {f'LeakyReLU({slope:g})' if slope else 'ReLU'}, Linear"
    shown = f"; it has {', '.join(type(part).__name__ for part in others) or 'no other module'} besides its two Linear layers"
    values = _outputs_of(module, hidden.weight, X)
    _refuse_difference(values, *read(X), torch.finfo(hidden.weight.dtype).eps, type(module).__name__, parts, shown)
    return read


def _outputs_of(module: Any, weight: Any, X: Matrix) -> Matrix:
    """What the module computes in evaluation mode, (n, outputs)."""
    torch = sys.modules["torch"]
    try:
        with torch.no_grad(), evaluation_mode(module):
            out = module(torch.as_tensor(X, dtype=weight.dtype, device=weight.device))
            return np.asarray(out.detach().cpu().double().numpy()).reshape(len(X), -1)
    except Exception as error:  # whatever a forward() of others raises, or a result that is no tensor of n rows
        raise InputError(
            f"{type(module).__name__} cannot be compared with its layers: called on features {X.shape} in evaluation mode it "
            f"gives {type(error).__name__}: {error}"
        ) from error


def _of_sklearn(mlp: Any, layer: HiddenLayer, X: Matrix) -> TwoLayers:
    name = type(mlp).__name__
    if not hasattr(mlp, "coefs_"):
        raise InputTypeError(f"A network from elsewhere is a torch module or a scikit-learn MLP; got {name}.")
    if mlp.activation != "relu":
        raise InputError(f'This {name} has activation="{mlp.activation}"; only "relu" is piecewise linear.')
    read = TwoLayers(layer, 0.0, np.asarray(mlp.coefs_[1], dtype=np.float64), np.asarray(mlp.intercepts_[1], dtype=np.float64))
    f, sizes = read(X)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        if hasattr(mlp, "predict_proba"):
            # a classifier's last step is the logistic function or softmax, of the scores that a network of ours returns
            values = np.asarray(mlp.predict_proba(X), dtype=np.float64).reshape(len(X), -1)
            values = values[:, 1:] if f.shape[1] == 1 else values
            f, sizes = _probabilities(f, mlp.out_activation_), np.maximum(sizes, 1.0)
        else:
            values = np.asarray(mlp.predict(X), dtype=np.float64).reshape(len(X), -1)
    eps = float(np.finfo(mlp.coefs_[0].dtype).eps)
    _refuse_difference(values, f, sizes, eps, name, "its two layers with relu between them", "")
    return read


def _probabilities(scores: Matrix, activation: str) -> Matrix:
    from scipy.special import expit, softmax

    return softmax(scores, axis=1) if activation == "softmax" else expit(scores)


def _refuse_difference(values: Matrix, f: Matrix, sizes: Matrix, eps: float, name: str, parts: str, shown: str) -> None:
    """An error where `values` (n, c) are not those of the layers, f, up to the rounding of sums of these sizes."""
    if values.shape != f.shape:
        raise InputError(f"{name} gives {values.shape[1]} numbers a sample, its layers give {f.shape[1]}.")
    difference = np.abs(values - f)
    if not (difference <= np.sqrt(eps) * sizes).all():
        raise InputError(
            f"{name} computes another function than {parts}: outputs differ by up to {difference.max():.3g} at {len(f)} points, where "
            f"the layers alone give up to {np.abs(f).max():.3g}{shown}. What it does besides (scaling, a skip connection, an output function, "
            "hooks) cannot be read: apply it to X or y instead, or give a module of the two layers alone."
        )
