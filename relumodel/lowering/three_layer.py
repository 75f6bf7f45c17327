"""Parallel three-layer ReLU networks (Ergen & Pilanci 2021, Theorem 1 and Remark 3).

For every sub-network pattern g, with I_gj the sign of the second layer, and for both signs of the third:

    min over v_gj, w_gj   loss( sum_g E_g sum_j I_gj D_gj X (v_gj - w_gj), y ) + beta sum_gj ( |v_gj| + |w_gj| )
    s.t.                  (2 D_gj - 1) * (X v_gj) >= 0,   (2 E_g - 1) * sum_j I_gj D_gj X v_gj >= 0,   the same for w

D_gj is the pattern of hidden neuron j, E_g that of the second layer. (The source writes blocks with I = -1 with their first cone
reversed: the same set.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import Data, with_bias
from ..errors import InputTypeError
from ..networks import ParallelThreeLayer
from ..patterns.pattern_set import PatternSet, PatternStrategy
from ..patterns.sub_networks import SubNetworks
from ..program.functions import Nonnegative, SampleLoss
from ..program.maps import Identity, MaskedProduct, SegmentSums
from ..program.program import Guarantee, Program, Term, Variable
from ..recovery.three_layer import ThreeLayerInverse
from .lower import lower_network, rebuild_network

if TYPE_CHECKING:
    from ..model import Model


@lower_network.register(ParallelThreeLayer)
def lower_three_layer(network: ParallelThreeLayer, model: Model, data: Data, patterns: Any) -> Program:
    """The restricted convex program on patterns of sub-networks."""
    if not isinstance(patterns, PatternStrategy):
        raise InputTypeError(
            "A three-layer network compiles on patterns of sub-networks: pass patterns=rm.SamplePatterns(10, seed=0) for ten of them; "
            f"got {patterns!r}."
        )
    found = patterns.find_sub_networks(with_bias(data.X, network.bias), network.bias, network.width)
    return three_layer_program(model, data, found)


def three_layer_program(model: Model, data: Data, found: SubNetworks) -> Program:
    """The program on sub-networks that were found before."""
    X = with_bias(data.X, model.network.bias)
    (G, m, n), d = found.inner.shape, X.shape[1]
    neurons = found.inner.reshape(G * m, n)
    active = (found.inner * found.signs[:, :, None]).reshape(G * m, n)
    outer = np.repeat(found.outer, m, axis=0)
    prediction = MaskedProduct(X, active * outer.astype(np.int8), (1.0, -1.0), summed=True)
    sides = MaskedProduct(X, np.where(neurons, 1, -1).astype(np.int8), (1.0, 1.0), summed=False)
    second = MaskedProduct(X, active * np.where(outer, 1, -1).astype(np.int8), (1.0, 1.0), summed=False)
    rows = np.flatnonzero(np.tile(found.used & X.any(axis=1), (2, 1)))
    terms = (
        Term("loss", SampleLoss.bind(model.loss, data.y, data.weights), prediction),
        Term("penalty", model.penalty.function(d), Identity(prediction.shape[1])),
        Term("cones", Nonnegative(), sides),
        Term("outer cones", Nonnegative(), SegmentSums(second, m, rows)),
    )
    guarantee = _guarantee(found)
    variables = (Variable("v", (G, m, d), 0), Variable("w", (G, m, d), G * m * d))
    return Program(model, variables, terms, guarantee, ThreeLayerInverse(model, X, found, data.names))


def _guarantee(found: SubNetworks) -> Guarantee:
    if found.complete:
        return Guarantee(
            "exact",
            "the optimum equals that of the non-convex training problem with any number of sub-networks of this width, at least two a pattern",
            "Ergen & Pilanci 2021, Theorem 1",
        )
    return Guarantee(
        "upper bound",
        "the optimum is attained by a parallel three-layer network, so it bounds the non-convex optimum from above; patterns left out "
        "may lower it",
        "Ergen & Pilanci 2021, Theorem 1 and Remark 3",
    )


@rebuild_network.register(ParallelThreeLayer)
def _(network: ParallelThreeLayer, model: Model, data: Data, found: PatternSet, arrays: Any) -> Program:
    weights, n = arrays["second_weights"], len(data.X)
    inner = np.ascontiguousarray(found.D.T).reshape(*weights.shape, n)
    directions = found.witnesses.reshape(*weights.shape, -1)
    return three_layer_program(
        model, data, SubNetworks(inner, arrays["second_patterns"], directions, weights, found.origin, found.complete)
    )
