"""Convex, or concave, two-layer networks: one copy of the blocks, and one block for the linear part.

    min over v_i, g   loss( sum_i M_i X v_i + (1 + s) / 2 X g, y ) + sum_i |v_i| + |g|     s.t.  T_i * (X v_i) >= 0      (concave: - v_i)

A network sum_j a_j sigma(x.u_j), s the slope of sigma's inactive side, is convex exactly where on every hyperplane {x.u = 0} the output weights of
u and -u (at |u| = 1) have a sum >= 0. Weights p < 0 < q with p + q >= 0 are one neuron of weight p + q and the linear function p (1 + s) x.u, at
|p| + |q| = (p + q) + 2 |p|; linear functions add up, and two neurons sigma(t) - sigma(-t) = (1 + s) t make their sum at the sum of the sizes or
less. So one linear block at the price of two neurons is all that is needed, and the program is exact on all patterns: the infimum over
convex networks of any width (with Pilanci & Ergen 2020, Theorem 1, for the neurons of one sign and pattern).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import Data, with_bias
from ..declare.model import Model
from ..declare.networks import TwoLayer
from ..errors import InputTypeError
from ..functions.base import Nonnegative, SampleLoss
from ..maps.base import Identity, MaskedProduct
from ..maps.on_slice import OnSlice
from ..patterns.pattern_set import PatternSet, PatternStrategy
from ..program.program import Guarantee, Program, Term, Variable
from ..program.ranks import SINGLE_PROCESS, SingleProcess
from ..trained.network import Network
from .lower import lower_network
from .two_layer import TwoLayerInverse

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class CurvedTwoLayer(TwoLayer, abstract=True):
    """A two-layer network of one curvature: 1 convex, -1 concave."""

    curvature: int = 1

    @classmethod
    def of(cls, network: TwoLayer, curvature: int) -> CurvedTwoLayer:
        """The declared network with a curvature."""
        return cls(network.activation, network.bias, outputs=network.outputs, curvature=curvature)


@dataclass(frozen=True, eq=False)
class CurvedInverse(TwoLayerInverse):
    """The way back from the blocks (v, g), the last one of which is linear."""

    curvature: int = 1

    def feasible(self, blocks: Matrix, ranks: SingleProcess = SINGLE_PROCESS) -> Matrix:
        """Every block but the linear one, the last of every output, moved into its cone."""
        P, d = self.found.count, blocks.shape[1]
        out = blocks.copy().reshape(-1, P + 1, d)
        out[:, :-1] = super().feasible(out[:, :-1].reshape(-1, d), ranks).reshape(-1, P, d)
        return out.reshape(-1, d)

    def network(self, x: Matrix) -> Network:
        """One neuron a block whose norm is not zero, two for the linear one."""
        blocks = self.blocks(x)
        half = 0.5 * blocks[-1:]
        rows = np.vstack([blocks[:-1], half, -half])
        signs = self.curvature * np.append(np.ones(len(rows) - 1), -1.0)
        norms = self.model.penalty.norms(rows)
        used = np.flatnonzero(norms > 0)
        scale = np.sqrt(norms[used])
        return Network(
            activation=self.model.network.activation,
            bias=self.model.network.bias,
            hidden_weights=np.ascontiguousarray((rows[used] / scale[:, None]).T),
            output_weights=signs[used] * scale,
            classifies=self.model.loss.reads == "margin",
            feature_names=self.feature_names,
        )

    def reweighted(self, model: Any) -> CurvedInverse:
        return dataclasses.replace(self, model=model)


@lower_network.register(CurvedTwoLayer)
def lower_curved(network: CurvedTwoLayer, model: Model, data: Data, patterns: Any) -> Program:
    """The program of one output."""
    if not isinstance(patterns, PatternStrategy):
        raise InputTypeError(f"A two-layer network compiles on patterns, e.g. rm.SamplePatterns(50, seed=0); got {patterns!r}.")
    X = with_bias(data.X, network.bias)
    found = patterns.find(X, network.bias, None)
    active, sign, activation = np.ascontiguousarray(found.D.T), float(network.curvature), network.activation
    P, d = found.count, X.shape[1]
    linear = np.full((1, len(X)), 0.5 * (1 + activation.inactive))
    prediction = MaskedProduct(X, np.vstack([activation.mask(active), linear]), (sign,), summed=True)
    cones = MaskedProduct(X, np.where(active, 1, -1).astype(np.int8), (1.0,), summed=False)
    terms = (
        Term("loss", SampleLoss.bind(model.loss, data.y, data.weights, data.total), prediction),
        Term("penalty", model.penalty.function(d), Identity(prediction.shape[1])),
        Term("cones", Nonnegative(), OnSlice(cones, prediction.shape[1])),
    )
    # the names say which sign a_j u_j has, for shapes
    name = "v" if sign > 0 else "w"
    variables = (Variable(name, (P, d), 0), Variable(f"{name}_linear", (1, d), P * d))
    inverse = CurvedInverse(model, X, found, data.names, None, network.curvature)
    return Program(model, variables, terms, _guarantee(found, "convex" if sign > 0 else "concave"), inverse)


def _guarantee(found: PatternSet, kind: str) -> Guarantee:
    source = "Pilanci & Ergen 2020, Theorem 1, for networks of one curvature (relumodel)"
    if found.complete:
        return Guarantee(
            "exact", f"the optimum equals that of the non-convex training problem over {kind} networks of every width", source
        )
    return Guarantee(
        "upper bound",
        f"the optimum is attained by a {kind} network, so it bounds the non-convex optimum from above; patterns left out may lower it",
        source,
    )
