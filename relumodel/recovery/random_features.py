"""Solutions of random-feature programs as networks: neurons (sqrt|a_i| u_i, +-sqrt|a_i|), zero ones dropped.

With |u_i| = 1 in the norm of the penalty, the penalty of these neurons is beta |a|_1, that of the program.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..patterns.pattern_set import PatternSet
from ..program.program import Program
from .network import Network
from .sparsest import sparsest

if TYPE_CHECKING:
    from ..model import Model

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
