"""Two-layer ReLU networks whose hidden directions are drawn and kept (Bai et al. 2023, the sampled convex program).

    min over a   loss( sum_i (X u_i)_+ a_i, y ) + beta |a|_1

The u_i are of norm 1 in the norm of the penalty, the 2-norm for weight decay; then beta |a|_1 is what the penalty asks of the
neurons (sqrt|a_i| u_i, +-sqrt|a_i|). No constraints: with the losses that are linear or quadratic, an LP or a QP.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..data import Data, with_bias
from ..declare.networks import RandomFeatures
from ..errors import InputError, InputTypeError
from ..functions.base import L1Norm, SampleLoss
from ..maps.base import Dense, Identity
from ..patterns.pattern_set import PatternSet, PatternStrategy
from ..program.program import Guarantee, Program, Term, Variable
from ..trained.network import Network
from .lower import lower_network, rebuild_network
from .sparsest import sparsest

if TYPE_CHECKING:
    from ..declare.model import Model

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RandomFeaturesInverse:
    """The way back from the output weights a. X : (n, d) with the bias column, if any.  found : the patterns with the vectors that
    make the features.  features : (d, P), these vectors at norm 1 in the norm of the penalty."""

    constraints: ClassVar[frozenset[str]] = frozenset()
    by_hand: ClassVar[str] = (
        "the first columns are the output weights a of f(x) = sum_i max(0, x.u_i) a_i; u_i is row i of the array 'witnesses' (float64, "
        "little-endian, base64) divided by its norm, the 2-norm for WeightDecay and the 1-norm for PathNorm; its last entry is the bias, if any."
    )

    model: Model
    X: Matrix
    found: PatternSet
    features: Matrix
    feature_names: tuple[str, ...] | None

    @property
    def patterns(self) -> NDArray[np.bool_]:
        D = self.found.D.view()
        D.flags.writeable = False
        return D

    def repair(self, program: Program, x: Matrix, room: float = 0.0) -> Matrix:
        """Every point is feasible; negligible weights become zero."""
        return sparsest(program, x[:, None], lambda blocks: blocks[:, 0], room)

    def network(self, x: Matrix) -> Network:
        used = np.flatnonzero(x)
        scale = np.sqrt(np.abs(x[used]))
        return Network(
            activation=self.model.network.activation,
            bias=self.model.network.bias,
            hidden_weights=self.features[:, used] * scale,
            output_weights=np.sign(x[used]) * scale,
            classifies=self.model.loss.reads == "margin",
            feature_names=self.feature_names,
        )

    def reweighted(self, model: Model) -> RandomFeaturesInverse:
        return dataclasses.replace(self, model=model)

    def describe(self) -> list[tuple[str, str]]:
        n, d = self.X.shape
        bias = " with the ones column" if self.model.network.bias else ""
        return [("data", f"{n} samples, {d} features{bias}"), ("features", f"the directions of patterns: {self.found.origin}")]


@lower_network.register(RandomFeatures)
def lower_random_features(network: RandomFeatures, model: Model, data: Data, patterns: Any) -> Program:
    """The convex program over the output weights. The features are the vectors that produced the patterns."""
    if not isinstance(patterns, PatternStrategy):
        raise InputTypeError(
            "Random features are the directions in which patterns are sampled: pass patterns=rm.SamplePatterns(50, seed=0) for 50 of "
            f"them, or rm.PatternsOf(network) for those of a network; got {patterns!r}."
        )
    found = patterns.find(with_bias(data.X, network.bias), network.bias)
    found = dataclasses.replace(found, known=found.witnesses)
    if np.isnan(found.known).any():
        bad = int(np.isnan(found.known).any(axis=1).argmax())
        raise InputError(
            f"Pattern {bad} is not [X u >= 0] for any u with no sample on its boundary, so it gives no feature; remove it, or use "
            "rm.SamplePatterns."
        )
    return random_features_program(model, data, found)


def random_features_program(model: Model, data: Data, found: PatternSet) -> Program:
    """The program on the witnesses of patterns that were found before."""
    X = with_bias(data.X, model.network.bias)
    features: NDArray[np.float64] = np.ascontiguousarray((found.known / model.penalty.norms(found.known)[:, None]).T)
    S = X @ features
    terms = (
        Term(
            "loss",
            SampleLoss.bind(model.loss, data.y, data.weights),
            Dense(np.where(S >= 0, S, model.network.activation.inactive * S)),
        ),
        Term("penalty", L1Norm(model.penalty.beta, 1), Identity(found.count)),
    )
    guarantee = Guarantee(
        "upper bound",
        "the optimum is that of a two-layer network with these hidden directions, so it bounds two-layer training from above",
        "Bai et al. 2023, sampled convex program",
    )
    inverse = RandomFeaturesInverse(model, X, found, features, data.names)
    return Program(model, (Variable("a", (found.count,), 0),), terms, guarantee, inverse)


@rebuild_network.register(RandomFeatures)
def _(network: RandomFeatures, model: Model, data: Data, found: PatternSet, arrays: Any) -> Program:
    return random_features_program(model, data, found)
