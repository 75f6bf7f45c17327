"""Parallel three-layer ReLU networks (Ergen & Pilanci 2021, Theorem 1 and Remark 3).

For every sub-network pattern g, with I_gj the sign of the second layer, and for both signs of the third:

    min over v_gj, w_gj   loss( sum_g E_g sum_j I_gj D_gj X (v_gj - w_gj), y ) + beta sum_gj ( |v_gj| + |w_gj| )
    s.t.                  (2 D_gj - 1) * (X v_gj) >= 0,   (2 E_g - 1) * sum_j I_gj D_gj X v_gj >= 0,   the same for w

D_gj is the pattern of hidden neuron j, E_g that of the second layer. (The source writes blocks with I = -1 with their first cone
reversed: the same set.)
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..data import Data, with_bias
from ..declare.networks import ParallelThreeLayer
from ..errors import InputTypeError
from ..functions.base import Nonnegative, SampleLoss
from ..maps.base import Identity, MaskedProduct, SegmentSums
from ..patterns.pattern_set import PatternSet, PatternStrategy
from ..patterns.sub_networks import SubNetworks
from ..program.program import Guarantee, Program, Term, Variable
from ..resources.deadline import current
from ..trained.three_layer import ThreeLayerNetwork
from .cone_repair import hurried_into_cone, into_cone
from .lower import lower_network, rebuild_network
from .sparsest import sparsest

if TYPE_CHECKING:
    from ..declare.model import Model

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ThreeLayerInverse:
    """The way back from the blocks (v, w). X : (n, d) with the bias column, if any."""

    constraints: ClassVar[frozenset[str]] = frozenset({"cones", "outer cones"})
    by_hand: ClassVar[str] = (
        "the first columns are the variables below, each in C order; the blocks v[g, j] of a sub-network g, with S = sum_j |v[g, j]|_2, "
        "become the hidden neurons v[g, j] / sqrt(|v[g, j]| S), the second layer I[g, j] sqrt|v[g, j]| and the output +sqrt S, those of w "
        "-sqrt S; I is the sign of the array 'second_weights'; the last entry of a block is the bias, if any."
    )

    model: Model
    X: Matrix
    found: SubNetworks
    feature_names: tuple[str, ...] | None

    @property
    def patterns(self) -> NDArray[np.bool_]:
        """(n, G m), those of the hidden neurons, sub-network by sub-network."""
        D = self.found.D
        D.flags.writeable = False
        return D

    def repair(self, program: Program, x: Matrix, room: float = 0.0) -> Matrix:
        """The sparsest strictly feasible point next to x that costs at most `room` (relative), whole sub-networks being dropped."""
        _, m, d = self.found.directions.shape
        return sparsest(program, x.reshape(-1, m * d), self.feasible, room)

    def feasible(self, blocks: Matrix) -> Matrix:
        """The point with every sub-network (2 G, m d) moved into its cones; only those outside are touched."""
        found, X = self.found, self.X
        G, m, d = found.directions.shape
        out = blocks.copy()
        sizes = np.linalg.norm(blocks, axis=1)
        witnesses = found.witnesses.reshape(G, -1)
        for b in np.flatnonzero(sizes):
            g = b % G
            S = blocks[b].reshape(m, d) @ X.T
            slack = np.vstack([S * np.where(found.inner[g], 1, -1), self._second(g, S)])
            # a row may round differently in the next product, so the target lies a few roundings inside the cones
            if (slack < 8 * np.finfo(float).eps * sizes[b] * np.linalg.norm(X, axis=1)).any():
                move = hurried_into_cone if current().expired() else into_cone
                moved = move(blocks[b], found.cone(g, X), witnesses[g])
                out[b] = moved if np.linalg.norm(moved) > 1e-13 * sizes[b] else 0.0
        return out.reshape(-1)

    def _second(self, g: int, S: Matrix) -> Matrix:
        """The slack of the second layer for hidden values S (m, n): (n,)."""
        active = self.found.inner[g] * self.found.signs[g][:, None]
        return np.where(self.found.outer[g], 1.0, -1.0) * (active * S).sum(axis=0)

    def network(self, x: Matrix) -> ThreeLayerNetwork:
        """One sub-network for every one whose blocks are not all zero."""
        G, m, d = self.found.directions.shape
        signs = np.repeat([1.0, -1.0], G)
        return network_of_blocks(self.model, x.reshape(2 * G, m, d), np.tile(self.found.signs, (2, 1)), signs, self.feature_names)

    def reweighted(self, model: Model) -> ThreeLayerInverse:
        return dataclasses.replace(self, model=model)

    def describe(self) -> list[tuple[str, str]]:
        n, d = self.X.shape
        bias = " with the ones column" if self.model.network.bias else ""
        return [("data", f"{n} samples, {d} features{bias}"), ("patterns", self.found.origin)]


def network_of_blocks(
    model: Model,
    blocks: Matrix,
    inner: Matrix,
    outer: Matrix,
    feature_names: tuple[str, ...] | None,
    classes: Matrix | None = None,
) -> ThreeLayerNetwork:
    """The sub-networks of blocks (B, m, d) that are not zero, with the signs of the second layer (B, m) and the third, (B,) or (B, c)."""
    norms = np.linalg.norm(blocks, axis=2)
    total = norms.sum(axis=1)
    used = np.flatnonzero(total > 0)
    roots, root = np.sqrt(norms[used]), np.sqrt(total[used])
    scale = (roots * root[:, None])[:, :, None]
    columns = np.divide(blocks[used], scale, out=np.zeros((len(used), *blocks.shape[1:])), where=scale > 0)
    return ThreeLayerNetwork(
        bias=model.network.bias,
        hidden_weights=np.ascontiguousarray(columns.transpose(0, 2, 1)),
        second_weights=inner[used] * roots,
        output_weights=(outer[used].T * root).T,
        classifies=model.loss.reads != "residual",
        feature_names=feature_names,
        classes=classes,
    )


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
