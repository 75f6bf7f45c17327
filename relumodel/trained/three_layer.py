"""The parallel three-layer network a solution becomes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..data import bound, read, read_as_trained, with_bias
from ..declare.networks import ParallelThreeLayer
from ..errors import InputError
from ..files import replace_file
from .classes import block_columns, flat, outputs_fit, predicted, same_outputs
from .saved import check_arrays, check_header, check_sizes, check_values

if TYPE_CHECKING:
    from ..declare.model import Model

Matrix = NDArray[np.float64]

FORMAT = "relumodel three-layer network 1"


@dataclass(frozen=True, eq=False)
class ThreeLayerNetwork:
    """f(x) = sum_g ((x W1_g)_+ w2_g)_+ w3_g: G sub-networks of m hidden neurons.

    bias : True where a one is appended to x; every method takes X without that column.
    hidden_weights : (G, d, m), or (G, d + 1, m) with the bias row last: the W1_g.
    second_weights : (G, m), the w2_g.  output_weights : (G,), the w3_g, or (G, c) for c outputs.
    classifies : True where `predict` returns labels: -1/+1, or those of `classes`.
    feature_names : column names of the training frame, or None.
    classes : (c,) the labels, one an output, of a network trained with a loss of classes, else None.
    """

    bias: bool
    hidden_weights: Matrix
    second_weights: Matrix
    output_weights: Matrix
    classifies: bool = False
    feature_names: tuple[str, ...] | None = None
    classes: Matrix | None = None

    @property
    def n_outputs(self) -> int:
        """The number c of outputs."""
        return 1 if self.output_weights.ndim == 1 else self.output_weights.shape[1]

    @property
    def n_sub_networks(self) -> int:
        """The number G of sub-networks."""
        return len(self.output_weights)

    @property
    def n_neurons(self) -> int:
        """The number of hidden neurons with an input and an output weight that are not zero."""
        return int((self.hidden_weights.any(axis=1) & (self.second_weights != 0)).sum())

    @property
    def n_features(self) -> int:
        """The number of columns of X that the network takes."""
        return self.hidden_weights.shape[1] - self.bias

    def __call__(self, X: Any) -> Matrix:
        """f at the rows of X (n, d): (n,), or (n, c) for c outputs."""
        A = with_bias(read_as_trained(X, self.n_features, self.feature_names), self.bias)
        hidden = np.maximum(A @ self.hidden_weights, 0.0)  # (G, n, m)
        return np.maximum(np.einsum("gnm,gm->ng", hidden, self.second_weights), 0.0) @ self.output_weights

    def predict(self, X: Any) -> Matrix:
        """As for `Network`: labels for losses of labels or classes, f(X) for regression losses; (n,) or (n, c)."""
        return predicted(self(X), self.classifies, self.classes)

    @classmethod
    def side_by_side(cls, networks: Sequence[ThreeLayerNetwork], classifies: bool, classes: Matrix | None) -> ThreeLayerNetwork:
        """The network whose outputs are those of networks with one output each."""
        return dataclasses.replace(
            networks[0],
            hidden_weights=np.concatenate([f.hidden_weights for f in networks]),
            second_weights=np.concatenate([f.second_weights for f in networks]),
            output_weights=block_columns([f.output_weights for f in networks]),
            classifies=classifies,
            classes=classes,
        )

    def objective(self, model: Model, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The non-convex training objective of this network under `model` on data: loss plus penalty, float64.

        The penalty is that of the sub-networks scaled to |W1_g|_F = 1. sample_weight : as for `Model.compile`.
        """
        width = self.second_weights.shape[1]
        if not isinstance(model.network, ParallelThreeLayer) or (model.network.width, model.network.bias) != (width, self.bias):
            raise InputError(
                f"The model's network is {model.network}, this network is ParallelThreeLayer(width={width}, bias={self.bias})."
            )
        read_as_trained(X, self.n_features, self.feature_names)
        data = read(X, y, model.loss, sample_weight, self.classes)
        same_outputs(data, self.n_outputs, self.classes)
        loss = bound(model.loss, data)
        penalty = model.penalty.of_sub_networks(self.hidden_weights, self.second_weights, self.output_weights)
        return float(loss.value(flat(self(data.X)))) + penalty

    def save(self, path: str | Path) -> Path:
        """Write the network to `path` (.npz, no pickle), atomically. `rm.load` reads it back bit for bit."""
        header = {
            "format": FORMAT,
            "bias": self.bias,
            "classifies": self.classifies,
            "feature_names": self.feature_names,
        }
        arrays: Any = {} if self.classes is None else {"classes": self.classes}
        return replace_file(
            path,
            lambda file: np.savez(
                file,
                header=np.array(json.dumps(header)),
                hidden_weights=self.hidden_weights,
                second_weights=self.second_weights,
                output_weights=self.output_weights,
                **arrays,
            ),
        )

    def to_torch(self, dtype: str = "float64") -> Any:
        """The same function as a plain `torch.nn.Module` with trainable weights: raw features (n, d) to scores (n,).

        dtype : "float64", the precision of these weights, or "float32". Raises `MissingPackageError` without torch.
        """
        from .torch_module import three_layers

        return three_layers(self, dtype)

    def to_onnx(self, path: str | Path, dtype: str = "float32") -> Path:
        """Write the same function as an ONNX graph, atomically: input "X", raw features (n, d), output "f", scores (n,).

        dtype : of input, weights and output: "float32", which every runtime takes, or "float64". Raises `MissingPackageError`
            without the package onnx, `FileError` where the file cannot be written.
        """
        from .onnx_graph import write_three_layers

        return write_three_layers(self, path, dtype)

    def __repr__(self) -> str:
        bias = ", bias" if self.bias else ""
        width = self.second_weights.shape[1]
        outputs = f", {self.n_outputs} outputs" if self.n_outputs > 1 else ""
        return (
            f"<ThreeLayerNetwork: {self.n_features} features{bias}, {self.n_sub_networks} sub-networks of {width} neurons{outputs}>"
        )


def from_parts(header: dict[str, Any], arrays: dict[str, Matrix]) -> ThreeLayerNetwork:
    """What `ThreeLayerNetwork.save` took apart; raises when a part is missing or does not fit the others."""
    check_header(header, ("bias", "classifies", "feature_names"))
    check_arrays(arrays, ("hidden_weights", "second_weights", "output_weights"))
    W1, w2, w3 = (arrays[name] for name in ("hidden_weights", "second_weights", "output_weights"))
    names, classes = header["feature_names"], arrays.get("classes")
    fits = W1.ndim == 3 and w2.shape == (W1.shape[0], W1.shape[2]) and w3.shape[:1] == W1.shape[:1] and outputs_fit(w3, classes)
    if not fits:
        raise ValueError("its weights do not fit together")
    named = None if names is None else tuple(names)
    check_sizes(W1.shape[1] - header["bias"], named, w3, classes)
    first, second, third = np.abs(W1), np.abs(w2), np.abs(w3)
    check_values(lambda x: (first * x).sum(axis=1), lambda t: (t * second).sum(axis=1), lambda t: t @ third)
    return ThreeLayerNetwork(header["bias"], W1, w2, w3, header["classifies"], named, classes)
