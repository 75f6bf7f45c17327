"""The two-layer network a solution becomes: it predicts, measures itself, and is saved without pickle."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from ..data import Data, bound, read, read_as_trained, read_features, read_labels, with_bias
from ..declare.networks import Activation
from ..declare.perturbations import L2, Ball, Perturbation
from ..declared import number, whole
from ..errors import InputError, InputTypeError
from ..files import replace_file
from ..robustness.neurons import neurons_of
from .classes import block_columns, certified_classes, class_index, flat, predicted, same_outputs

if TYPE_CHECKING:
    from ..declare.box import Box
    from ..declare.model import Model
    from ..functions.losses import Loss
    from ..robustness.worst_case import WorstCase
    from .box_range import Range

Matrix = NDArray[np.float64]

FORMAT = "relumodel network 1"


@dataclass(frozen=True, eq=False)
class Network:
    """f(x) = sum_j sigma(x.u_j) a_j.

    activation : the declared sigma.
    bias : True where a one is appended to x; every method takes X without that column.
    hidden_weights : (d, m), or (d + 1, m) with the bias row last.
    output_weights : (m,), or (m, c) for c outputs.
    gates : (d or d + 1, m) for gated activations, else None.
    classifies : True where `predict` returns labels: -1/+1, or those of `classes`.
    feature_names : column names of the training frame, or None.
    classes : (c,) the labels, one an output, of a network trained with a loss of classes, else None.
    """

    activation: Activation
    bias: bool
    hidden_weights: Matrix
    output_weights: Matrix
    gates: Matrix | None = None
    classifies: bool = False
    feature_names: tuple[str, ...] | None = None
    classes: Matrix | None = None

    @property
    def n_outputs(self) -> int:
        """The number c of outputs."""
        return 1 if self.output_weights.ndim == 1 else self.output_weights.shape[1]

    @property
    def n_neurons(self) -> int:
        """The width m."""
        return self.hidden_weights.shape[1]

    @property
    def n_features(self) -> int:
        """The number of columns of X that the network takes."""
        return self.hidden_weights.shape[0] - self.bias

    def __call__(self, X: Any) -> Matrix:
        """f at the rows of X (n, d): (n,), or (n, c) for c outputs."""
        return self._outputs(self._read(X))

    def predict(self, X: Any) -> Matrix:
        """(n,), or (n, c) where every output stands for itself: labels -1/+1 (a score of exactly 0 counts as +1) for classification
        losses, the class of the largest output (the first of equals) for losses of classes, f(X) for regression losses."""
        return predicted(self(X), self.classifies, self.classes)

    def output(self, r: int) -> Self:
        """The network of output r alone, with the neurons that it uses."""
        r = whole(r, "r")
        if r >= self.n_outputs:
            raise InputError(f"The network has {self.n_outputs} outputs, counted from 0; got r = {r}.")
        if self.output_weights.ndim == 1:
            return self
        return self._scored(self.output_weights[:, r], self.classifies and self.classes is None)

    def between(self, one: float, other: float) -> Self:
        """The network of the margin f_one - f_other between two classes; it predicts +1 where `one` has the larger output.

        What is proved of its sign (`certified`, `distance_to_boundary`) is proved of the choice between the two.
        """
        if self.classes is None:
            raise InputError(
                "between() is about classes, and this network was trained with a loss of single outputs; see output(r)."
            )
        i, j = (class_index(self.classes, label) for label in (one, other))
        if i == j:
            raise InputError(f"between() takes two classes; got {one!r} twice.")
        return self._scored(self.output_weights[:, i] - self.output_weights[:, j], True)

    def _scored(self, weights: Matrix, classifies: bool) -> Self:
        """The network with one output of these weights (m,), neurons that it does not use left out."""
        used = weights != 0
        return dataclasses.replace(
            self,
            hidden_weights=np.ascontiguousarray(self.hidden_weights[:, used]),
            output_weights=weights[used],
            gates=None if self.gates is None else np.ascontiguousarray(self.gates[:, used]),
            classifies=classifies,
            classes=None,
        )

    @classmethod
    def side_by_side(cls, networks: Sequence[Network], classifies: bool, classes: Matrix | None) -> Network:
        """The network whose outputs are those of networks with one output each."""
        first = networks[0]
        gates = None if first.gates is None else np.hstack([f.gates for f in networks if f.gates is not None])
        return dataclasses.replace(
            first,
            hidden_weights=np.hstack([f.hidden_weights for f in networks]),
            output_weights=block_columns([f.output_weights for f in networks]),
            gates=gates,
            classifies=classifies,
            classes=classes,
        )

    def objective(self, model: Model, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The non-convex training objective of this network under `model` on data: loss plus penalty, float64.

        With a perturbation the loss is that of `worst_case`: the true worst case, or a certified upper bound on it.
        sample_weight : as for `Model.compile`.
        """
        data, ball = self._training_data(model, X, y, sample_weight)
        loss = bound(model.loss, data)
        value = loss.value(flat(self(data.X))) if ball is None else loss.weights @ self._worst_losses(model.loss, data, ball)
        return float(value) + self._penalty(model)

    def _worst_losses(self, loss: Loss, data: Data, ball: Ball) -> Matrix:
        """The worst loss of every sample, (n,), or a certified upper bound."""
        from ..robustness.worst_case import worst_losses

        return worst_losses(neurons_of(self), loss, data.X, data.y, ball, self.bias)

    def _penalty(self, model: Model) -> float:
        return model.penalty.of_network(self.hidden_weights, self.output_weights)

    def worst_case(self, model: Model, X: Any, y: Any) -> WorstCase:
        """The worst perturbed samples and their losses: `X_adv, losses = network.worst_case(model, X, y)`, (n, d) and (n,).

        losses : unweighted; the exact worst case where no neuron changes sides within the perturbation set, as for every
            network of a strict robust program on its training data; elsewhere a certified upper bound. `.exact` (n,) says which.
        X_adv : the worst points found, those with `losses` where exact.
        Source: Bai et al. 2023, section 4; relumodel, crossing program.
        """
        from ..robustness.worst_case import worst_case

        data, ball = self._training_data(model, X, y)
        self._one_output(
            "worst_case()", "certified(X, y, perturbation) is about classes, and network.output(r) is a network of one output"
        )
        return worst_case(neurons_of(self), model.loss, data.X, data.y, ball, self.bias)

    def certified(
        self, X: Any, y: Any, perturbation: Perturbation, exact: bool = False, time_limit: float | None = None
    ) -> NDArray[np.str_]:
        """What a perturbation can do to the label of every sample, as (n,) strings; each answer is sound.

        "certified"   every point of the set has the label y: a lower bound on y f is positive
        "falsified"   a point of the set has the other label: one was found and checked with `predict`
        "unknown"     neither was shown

        y : labels -1/+1, or those of the network's classes: then a label is certified when it wins against every other class, and
            falsified when another class was found ahead of it.  exact : decide what bounds and search leave open by mixed-integer programs (HiGHS), for LInf and L1.
        time_limit : seconds for all samples together; those not reached in time stay "unknown".
        """
        from ..robustness.certified import certified

        if self.classes is not None:
            return certified_classes(self, X, y, perturbation, exact, time_limit)
        features, labels = self._labelled(X, y, perturbation)
        if exact and isinstance(perturbation, L2):
            raise InputError("exact=True needs a perturbation with flat sides, rm.LInf or rm.L1; with rm.L2 leave it False.")
        limit = None if time_limit is None else number(time_limit, "time_limit", above=0)
        ball = perturbation.ball(self.n_features, self.feature_names or read_features(X)[1], self.bias)
        return certified(neurons_of(self), self.predict, features, labels, ball, self.bias, bool(exact), limit)

    def _labelled(self, X: Any, y: Any, perturbation: Any) -> tuple[Matrix, Matrix]:
        """Features and labels for `certified`, its other arguments checked."""
        self._one_output("certified()", "take one output of the network, network.output(r)")
        if not self.classifies:
            raise InputError("certified() is about labels, and this network was trained for regression; see worst_case().")
        if not isinstance(perturbation, Perturbation):
            raise InputTypeError(f"perturbation must be rm.LInf(r), rm.L2(r) or rm.L1(r); got {perturbation!r}.")
        features = self._features(X)
        return features, read_labels(y, len(features), "certified()")

    def distance_to_boundary(self, X: Any) -> Matrix:
        """The Euclidean distance of every row of X (n, d) to the nearest change of sign of f, exactly: (n,). Polynomial networks only."""
        raise InputError(
            f"distance_to_boundary is exact for polynomial networks only; this one has {type(self.activation).__name__} neurons. "
            "certified(X, y, perturbation) says whether a label survives a given perturbation."
        )

    def input_gradient(self, X: Any) -> Matrix:
        """The gradient of f with respect to the features at the rows of X (n, d): (n, d). Where x.u_j = 0, of the active side."""
        self._one_output(
            "input_gradient()", "take that of one output, network.output(r), or of a margin, network.between(one, other)"
        )
        return neurons_of(self).gradient(self._read(X))[:, : self.n_features]

    def range(self, box: Box, time_limit: float | None = None, gap: float = 1e-6) -> Range:
        """The lowest and highest value of f over a box of features, with points that attain them and what is proved: a `Range`.

        box : `rm.Box(low, high)` or `rm.Box.of(X)`.  gap : relative, at which a search ends.  time_limit : seconds for all searches;
        what was not proved in time is said. For ReLU and leaky ReLU networks; several outputs one by one.
        Source: mixed-integer programs in HiGHS, as in Tjeng, Xiao & Tedrake 2019.
        """
        from .box_range import value_range

        return value_range(self, box, time_limit, gap)

    def slope_range(self, box: Box, along: Any = None, time_limit: float | None = None, gap: float = 1e-6) -> Range:
        """The lowest and highest slope of f over a box, everywhere but on kinks: of every feature, (d,) each, or along one.

        along : a feature's name or number, or a direction (d,); None for every feature. A network with a lowest slope >= 0 along a feature
        rises in it everywhere in the box. The other arguments are those of `range`.
        """
        from .box_range import slope_range

        self._one_output("slope_range()", "take one output, network.output(r)")
        return slope_range(self, box, along, time_limit, gap)

    def prune(self, model: Model, X: Any) -> Network:
        """A network with the same predictions on X (n, d), up to rounding, no larger penalty, and usually far fewer neurons: at most
        n + 1 an output. Its objective on X is never above this network's, whatever y; predictions elsewhere may differ.

        With a perturbation the two are the same on every point of the perturbation sets, and so is what is certified of them; then
        only neurons that divide none of the sets are merged, and there may be more than n + 1 left.
        Source: Pilanci & Ergen 2020, Theorem 1; Caratheodory.
        """
        from .prune import pruned

        self._of(model)
        features = self._features(X)
        if self.n_outputs > 1:
            pruned_outputs = [self.output(r).prune(model, X) for r in range(self.n_outputs)]
            return self.side_by_side(pruned_outputs, self.classifies, self.classes)
        names = self.feature_names or read_features(X)[1]
        ball = None if model.perturbation is None else model.perturbation.ball(self.n_features, names, self.bias)
        return pruned(self, model.penalty, with_bias(features, self.bias), ball)

    def _of(self, model: Model) -> None:
        """An error if the model is one of other networks."""
        if model.network.layers != 2 or model.network.activation != self.activation or model.network.bias != self.bias:
            raise InputError(
                f"The model's network is {model.network}, this network has activation {self.activation} and bias={self.bias}."
            )

    def _training_data(self, model: Model, X: Any, y: Any, sample_weight: Any = None) -> tuple[Data, Ball | None]:
        """The data and the perturbation set of a model of this network."""
        self._of(model)
        self._features(X)
        data = read(X, y, model.loss, sample_weight, self.classes)
        same_outputs(data, self.n_outputs, self.classes)
        if model.perturbation is None:
            return data, None
        self._one_output(
            "The worst case over a perturbation", "leave the model's perturbation out, or take one output, network.output(r)"
        )
        return data, model.perturbation.ball(self.n_features, self.feature_names or data.names, self.bias)

    def _one_output(self, what: str, instead: str) -> None:
        """An error for what is about one output where there are several."""
        if self.output_weights.ndim > 1:
            raise InputError(f"{what} is for networks with one output, this one has {self.n_outputs}; {instead}.")

    def save(self, path: str | Path) -> Path:
        """Write the network to `path` (.npz, no pickle), atomically. `rm.load` reads it back bit for bit."""
        header = {
            "format": FORMAT,
            "activation": self.activation.to_dict(),
            "bias": self.bias,
            "classifies": self.classifies,
            "feature_names": self.feature_names,
        }
        arrays = {"hidden_weights": self.hidden_weights, "output_weights": self.output_weights}
        if self.gates is not None:
            arrays["gates"] = self.gates
        if self.classes is not None:
            arrays["classes"] = self.classes
        return replace_file(path, lambda file: np.savez(file, header=np.array(json.dumps(header)), **cast(Any, arrays)))

    def to_torch(self, dtype: str = "float64") -> Any:
        """The same function as a plain `torch.nn.Module` with trainable weights: raw features (n, d) to scores (n,).

        dtype : "float64", the precision of these weights, or "float32". Raises `MissingPackageError` without torch.
        """
        from .torch_module import two_layers

        return two_layers(self, dtype)

    def to_onnx(self, path: str | Path, dtype: str = "float32") -> Path:
        """Write the same function as an ONNX graph, atomically: input "X", raw features (n, d), output "f", scores (n,).

        dtype : of input, weights and output: "float32", which every runtime takes, or "float64". Raises `MissingPackageError`
            without the package onnx, `FileError` where the file cannot be written.
        """
        from .onnx_graph import write_two_layers

        return write_two_layers(self, path, dtype)

    def _read(self, X: Any) -> Matrix:
        return with_bias(self._features(X), self.bias)

    def _features(self, X: Any) -> Matrix:
        """X checked against the training columns."""
        return read_as_trained(X, self.n_features, self.feature_names)

    def _outputs(self, X: Matrix) -> Matrix:
        S = X @ self.hidden_weights
        side = S if self.gates is None else X @ self.gates
        return np.where(side >= 0, S, self.activation.inactive * S) @ self.output_weights

    def __repr__(self) -> str:
        bias = ", bias" if self.bias else ""
        outputs = f", {self.n_outputs} outputs" if self.n_outputs > 1 else ""
        return f"<Network: {self.n_features} features{bias}, {self.n_neurons} {type(self.activation).__name__} neurons{outputs}>"
