"""A model and data that come by batches: a convex program that is never written down."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ..data import BatchData, Data, bound, with_bias
from ..declare.networks import Activation, ParallelThreeLayer, RandomFeatures, TwoLayer
from ..declared import whole
from ..errors import InputError, InputTypeError
from ..functions.penalties import known_norm
from ..lift.lower import rebuild
from ..patterns.pattern_set import PatternSet, PatternStrategy
from ..program.arrays import Arrays
from ..program.program import Guarantee, Program
from .layer import Array, Layer
from .source import Source, Survey, survey
from .units import LARGEST, Units, units_of

if TYPE_CHECKING:
    from ..declare.model import Model

Matrix = NDArray[np.float64]

#: Samples of the first batches in which patterns are looked for.
FIRST = 2048

#: Samples of the program that is compiled to read guarantee and network from.
FEW = 64


@dataclass(frozen=True, eq=False)
class BatchProgram:
    """The convex program of a model on data that come by batches: the bare one, to which relumodel.api adds solving.

    Blocks are those of fixed directions, one pattern [X g >= 0] each on all of the data.
    """

    model: Model
    source: Source
    found: Survey
    gates: Matrix
    second_weights: Matrix | None
    few: Program

    @property
    def guarantee(self) -> Guarantee:
        """What the program's optimum says about the training problem."""
        return self.few.guarantee

    @property
    def n_samples(self) -> int:
        """Samples of positive weight."""
        return self.found.totals.rows

    @property
    def n_variables(self) -> int:
        """The length of a point."""
        return self.few.n_variables

    @property
    def n_constraints(self) -> int:
        """Sign constraints, those that hold whatever the weights are included."""
        if self.copies == 1:
            return 0
        sub_networks = 0 if self.second_weights is None else len(self.second_weights)
        return self.outputs * self.copies * (len(self.gates) + sub_networks) * self.n_samples

    @property
    def outputs(self) -> int:
        """c, the outputs of the network."""
        return self.found.outputs

    @property
    def copies(self) -> int:
        """Blocks a pattern: 2 where there are sign cones, v and w."""
        return 2 if self.model.network.activation.self_gated else 1

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(c, C, G m, d), the blocks of a point."""
        return self.outputs, self.copies, *self.gates.shape

    def layer(self, arrays: Arrays) -> Layer:
        """The directions in an engine's arrays."""
        weights = self.second_weights
        return Layer(
            arrays.give(self.gates),
            None if weights is None else arrays.give(weights),
            self.model.network.activation.inactive,
            self.copies,
        )

    def witness(self, arrays: Arrays) -> Array:
        """(G m,) how long every direction is in the point of norm 1 a sub-network that is inside all cones."""
        if self.second_weights is None:
            return arrays.give(np.ones(len(self.gates)))
        sizes = np.abs(self.second_weights)
        return arrays.give((sizes / np.linalg.norm(sizes, axis=1, keepdims=True)).reshape(-1))

    def weights(self, weights: Matrix) -> Matrix:
        """Of samples with these sample weights in the whole loss: of their sum over all data for a mean."""
        return weights / self.found.totals.weight if self.model.loss.reduction == "mean" else weights

    def loss(self, data: BatchData, weights: Matrix) -> Any:
        """The loss on a batch, whose samples have these weights in it."""
        one = bound(self.model.loss, Data(data.X, data.y, None, data.weights, self.found.classes))
        outputs = 1 if self.found.classes is not None else self.outputs
        return dataclasses.replace(cast(Any, one), weights=np.tile(weights, outputs))

    @property
    def weight_of_all(self) -> float:
        """The sum of the samples' weights in the loss."""
        return 1.0 if self.model.loss.reduction == "mean" else self.found.totals.weight

    @property
    def has_kink(self) -> bool:
        """Whether the loss has one."""
        return bool(self._first_loss.has_kink)

    @property
    def curvature(self) -> float:
        """The curvature that goes with the size of loss and targets: twice the loss of an output at zero over the square of the spread."""
        first = self._first_loss
        zero = float(first.value(np.zeros(self.outputs * len(self.found.first.X)))) / float(self.found.first.weights.sum())
        return 2 * zero / (self.outputs if self.found.classes is None else 1) / self.found.spread**2 or 1.0

    @property
    def _first_loss(self) -> Any:
        return self.loss(self.found.first, self.found.first.weights)

    @property
    def units(self) -> Units:
        """Those of steps."""
        X = with_bias(self.found.first.X, self.model.network.bias)
        return units_of(self.found.gram, self.model.penalty, self.found.spread, X)

    def network(self, point: Matrix) -> Any:
        """The network of a point, each block with its own pattern, zero ones dropped."""
        return self.few.inverse.network(self.few.point(point))

    def __str__(self) -> str:
        n, d = self.n_samples, self.gates.shape[1]
        bias = " with the ones column" if self.model.network.bias else ""
        sizes = f"{self.n_variables:,} variables, {self.n_constraints:,} linear inequalities, never written down"
        totals = self.found.totals
        lines = [
            ("problem", str(self.model).replace("\n", "\n" + " " * 12)),
            ("data", f"{n:,} samples, {d} features{bias}, {self.source.described}, {totals.batches:,} a pass"),
            *((label, text) for label, text in self.few.inverse.describe() if label != "data"),
            ("size", sizes),
            ("guarantee", f"{self.guarantee.kind}: {self.guarantee.statement}"),
            ("source", self.guarantee.source),
        ]
        return "\n".join(f"{label:<10}  {text}" for label, text in lines)

    def __repr__(self) -> str:
        return f"<BatchProgram: {self.n_samples} samples, {self.n_variables} variables, {self.guarantee.kind}>"


def compile_batches(model: Model, data: Any, patterns: Any, batch_size: int) -> BatchProgram:
    """See `Model.compile_batches`."""
    network = model.network
    _refuse(model, patterns)
    source = Source(data, model.loss, whole(batch_size, "batch_size", low=1))
    found = survey(source, network.bias, LARGEST, FIRST)
    X = with_bias(found.first.X, network.bias)
    few = Data(found.first.X[:FEW], found.first.y[:FEW], source.names, None, found.classes)
    if isinstance(network, ParallelThreeLayer):
        sub = patterns.find_sub_network_directions(X, network.bias, network.width)
        directions, weights = sub.directions, sub.weights
        gates = directions.reshape(-1, X.shape[1])
        arrays = {"second_weights": weights, "second_patterns": sub.outer[:, :FEW]}
        set_of = PatternSet(sub.D[:FEW], gates, complete=False, origin=sub.origin)
        return BatchProgram(model, source, found, gates, weights, rebuild(network, model, few, set_of, arrays))
    some = patterns.find_directions(X, network.bias)
    set_of = PatternSet(some.D[:FEW], some.witnesses, complete=False, origin=some.origin)
    return BatchProgram(model, source, found, some.witnesses, None, rebuild(network, model, few, set_of, {}))


def _refuse(model: Model, patterns: Any) -> None:
    """Errors for what is not trained by batches."""
    network = model.network
    known = isinstance(network, ParallelThreeLayer) or (
        isinstance(network, TwoLayer) and isinstance(network.activation, Activation) and not network.activation.unit_neurons
    )
    if not known or isinstance(network, RandomFeatures):
        raise InputError(
            "Batches train rm.TwoLayer with rm.ReLU, rm.LeakyReLU or rm.GatedReLU, and rm.ParallelThreeLayer; for "
            f"{network!r} use model.compile(X, y) on data in memory."
        )
    known_norm(model.penalty, "Training by batches")
    if model.perturbation is not None:
        raise InputError(
            f"Batches train without a perturbation; got {model.perturbation!r}. Use model.compile(X, y) on data in memory, or train without "
            "one and see what the network keeps with network.certified(X, y, perturbation)."
        )
    if not isinstance(patterns, PatternStrategy):
        raise InputTypeError(
            "Training by batches needs directions: pass patterns=rm.SamplePatterns(50, seed=0), or rm.PatternsOf(network) for those of a "
            f"network; got {patterns!r}."
        )
