"""Two-layer networks with piecewise linear activations (Pilanci & Ergen 2020; Bai et al. 2022/2023, eq. 2.2).

    min over v_i, w_i   loss( sum_i M_i X (v_i - w_i), y ) + sum_i ( |v_i| + |w_i| )      M_i = D_i, or D_i + s (1 - D_i) when leaky
    s.t.                T_i * (X v_i) >= 0,   T_i * (X w_i) >= 0                          T_i = 2 D_i - 1

Gated networks have no sign cones, so v_i - w_i is one free block (Mishkin et al. 2022): one copy suffices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import Data, with_bias
from ..errors import InputError, InputTypeError
from ..networks import TwoLayer
from ..patterns.pattern_set import PatternSet, PatternStrategy
from ..program.functions import Nonnegative, SampleLoss
from ..program.maps import Identity, MaskedProduct
from ..program.program import Guarantee, Program, Term, Variable
from ..recovery.two_layer import TwoLayerInverse
from .lower import lower

if TYPE_CHECKING:
    from ..model import Model


@lower.register(TwoLayer)
def lower_two_layer(network: TwoLayer, model: Model, data: Data, patterns: Any) -> Program:
    """The exact or restricted convex program of a two-layer network."""
    if not isinstance(patterns, PatternStrategy):
        raise InputTypeError(
            "A two-layer network compiles on activation patterns: pass patterns=rm.SamplePatterns(50, seed=0), rm.EnumeratePatterns(), "
            f"rm.PatternsOf(network) or rm.GivenPatterns(array); got {patterns!r}."
        )
    X = with_bias(data.X, network.bias)
    found = patterns.find(X, network.bias)
    activation = network.activation
    if not activation.self_gated and np.isnan(found.witnesses).any():
        bad = int(np.isnan(found.witnesses).any(axis=1).argmax())
        raise InputError(
            f"Pattern {bad} is not [X g >= 0] for any gate g with no sample on its boundary, so a gated network cannot use it; "
            "remove it or use rm.ReLU()."
        )

    signs = (1.0, -1.0) if activation.self_gated else (1.0,)
    P, d = found.count, X.shape[1]
    active = np.ascontiguousarray(found.D.T)
    prediction = MaskedProduct(X, activation.mask(active), signs, summed=True)
    size = len(signs) * P * d
    terms = [
        Term("loss", SampleLoss.bind(model.loss, data.y), prediction),
        Term("penalty", model.penalty.function(d), Identity(size)),
    ]
    if activation.self_gated:
        side = np.where(active, 1, -1).astype(np.int8)
        terms.append(Term("cones", Nonnegative(), MaskedProduct(X, side, (1.0, 1.0), summed=False)))
    names = ("v", "w") if activation.self_gated else ("u",)
    variables = tuple(Variable(name, (P, d), i * P * d) for i, name in enumerate(names))
    inverse = TwoLayerInverse(model, X, found, data.names)
    return Program(model, variables, tuple(terms), _guarantee(network, found), inverse)


def _guarantee(network: TwoLayer, found: PatternSet) -> Guarantee:
    if not network.activation.self_gated:
        return Guarantee(
            "exact",
            "the optimum equals that of the gated network with these fixed gates",
            "Mishkin, Sahiner & Pilanci 2022, Theorem 2.2",
        )
    if found.complete:
        return Guarantee(
            "exact",
            "the optimum equals that of the non-convex training problem at every width >= the number of non-zero blocks (n + 1 suffice)",
            "Pilanci & Ergen 2020, Theorem 1",
        )
    return Guarantee(
        "upper bound",
        "the optimum is attained by a network, so it bounds the non-convex optimum from above; patterns left out may lower it",
        "Bai et al. 2023, Algorithm 2.1",
    )
