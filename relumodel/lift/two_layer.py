"""Two-layer networks with piecewise linear activations (Pilanci & Ergen 2020; Bai et al. 2022/2023, eq. 2.2).

    min over v_i, w_i   loss( sum_i M_i X (v_i - w_i), y ) + sum_i ( |v_i| + |w_i| )      M_i = D_i, or D_i + s (1 - D_i) when leaky
    s.t.                T_i * (X v_i) >= 0,   T_i * (X w_i) >= 0                          T_i = 2 D_i - 1

Gated networks have no sign cones, so v_i - w_i is one free block (Mishkin et al. 2022): one copy suffices.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..arrangement.robust_witness import without_undecided
from ..data import Data, with_bias
from ..declare.networks import Activation, DeclaredNetwork, TwoLayer
from ..declare.perturbations import Ball
from ..errors import InputError, InputTypeError
from ..functions.base import Nonnegative, SampleLoss
from ..maps.base import Identity, MaskedProduct
from ..patterns.given import GivenPatterns
from ..patterns.pattern_set import PatternSet, PatternStrategy
from ..patterns.robust_sample import with_uniform
from ..program.program import Guarantee, Program, Term, Variable
from ..program.ranks import SINGLE_PROCESS, SingleProcess
from ..resources.deadline import current
from ..resources.memory import FEWER, require
from ..trained.network import Network
from .cone_repair import hurried_into_cone, into_cone
from .lower import lower_activation, rebuild_network
from .robust import ball_of, crossing_terms, strict_terms, surviving
from .sparsest import sparsest

if TYPE_CHECKING:
    from ..declare.model import Model

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TwoLayerInverse:
    """The way back from the blocks (v, w), or u for gated networks. X : (n, d) with the bias column, if any; ball : the
    perturbation set that every neuron's sign must survive, or None."""

    constraints: ClassVar[frozenset[str]] = frozenset({"cones"})
    by_hand: ClassVar[str] = (
        "the first columns are the variables below, each in C order; a row v[i] or w[i], the block of pattern i, becomes the neuron "
        "v[i] / sqrt|v[i]| with output weight +sqrt|v[i]| or -sqrt|w[i]|, the norm being that of the penalty (u[i], of fixed gates, "
        "as v[i]); the last entry is the bias, if any."
    )

    model: Model
    X: Matrix
    found: PatternSet
    feature_names: tuple[str, ...] | None
    ball: Ball | None = None

    @property
    def patterns(self) -> NDArray[np.bool_]:
        D = self.found.D.view()
        D.flags.writeable = False
        return D

    def repair(self, program: Program, x: Matrix, room: float = 0.0) -> Matrix:
        """The sparsest strictly feasible point next to x that costs at most `room` (relative)."""
        blocks = self.blocks(x)
        moved, done = np.zeros_like(blocks), np.zeros(len(blocks), dtype=bool)

        def feasible(some: Matrix) -> Matrix:
            """Moving blocks costs most, so each is moved once, small ones only where they are tried."""
            used = np.asarray(some.any(axis=1))
            fresh = used & ~done
            moved[fresh] = self.feasible(np.where(fresh[:, None], blocks, 0.0), program.ranks)[fresh]
            done[fresh] = True
            return self.point(np.where(used[:, None], moved, 0.0))

        return program.ranks.same(sparsest(program, blocks, feasible, room))

    def blocks(self, x: Matrix) -> Matrix:
        """The weight blocks of a point, one a row."""
        return x.reshape(-1, self.X.shape[1])

    def point(self, blocks: Matrix) -> Matrix:
        """The point with these blocks."""
        return blocks.reshape(-1)

    def feasible(self, blocks: Matrix, ranks: SingleProcess = SINGLE_PROCESS) -> Matrix:
        """Every block moved into its cone; only those outside are touched."""
        if not self.model.network.activation.self_gated:
            return blocks
        X = self.X
        if self.ball is not None:
            blocks, X = without_undecided(X, self.ball, blocks), without_undecided(X, self.ball, X)
        used = np.flatnonzero(blocks.any(axis=1))
        pattern = used % self.found.count
        side = np.where(self.found.D.T[pattern], 1.0, -1.0)
        slack = (blocks[used] @ X.T) * side
        if self.ball is not None:
            slack -= self.ball.support(blocks[used])[:, None]
        # a row may round differently in the next product, so the target lies a few roundings inside the cone
        margin = 8 * np.finfo(float).eps * np.linalg.norm(X, axis=1) * np.linalg.norm(blocks[used], axis=1)[:, None]
        out = blocks.copy()
        for j in np.flatnonzero(ranks.any((slack < margin).any(axis=1))):
            i, block = int(pattern[j]), blocks[used[j]]
            G, known = side[j][:, None] * X, self.found.known[i]
            if ranks.any(current().expired()):
                moved = hurried_into_cone(block, G, known, self.ball, ranks)
            else:
                moved = into_cone(block, G, known, self.ball, ranks, partial(self.found.witness, i))
            # where the nearest point is the apex, what is computed is rounding: the block is zero
            out[used[j]] = moved if np.linalg.norm(moved) > 1e-13 * np.linalg.norm(block) else 0.0
        return out

    def network(self, x: Matrix) -> Network:
        """One neuron a block whose norm is not zero."""
        model = self.model
        blocks = self.blocks(x)
        norms = model.penalty.norms(blocks)
        used = np.flatnonzero(norms > 0)
        scale = np.sqrt(norms[used])
        signs = np.where(used < self.found.count, 1.0, -1.0)
        gated = not model.network.activation.self_gated
        return Network(
            activation=model.network.activation,
            bias=model.network.bias,
            hidden_weights=np.ascontiguousarray((blocks[used] / scale[:, None]).T),
            output_weights=signs * scale,
            gates=np.ascontiguousarray(self.found.witnesses[used].T) if gated else None,
            classifies=model.loss.reads == "margin",
            feature_names=self.feature_names,
        )

    def reweighted(self, model: Model) -> TwoLayerInverse:
        return dataclasses.replace(self, model=model)

    def describe(self) -> list[tuple[str, str]]:
        n, d = self.X.shape
        bias = " with the ones column" if self.model.network.bias else ""
        return [("data", f"{n} samples, {d} features{bias}"), ("patterns", self.found.origin)]


@dataclass(frozen=True, eq=False)
class CrossingInverse(TwoLayerInverse):
    """The way back from (v, w, p) of a crossing program: no cones, only the sizes p = h(u) to be set."""

    constraints: ClassVar[frozenset[str]] = frozenset({"sizes"})

    def blocks(self, x: Matrix) -> Matrix:
        d = self.X.shape[1]
        return x[: len(x) // (d + 1) * d].reshape(-1, d)

    def feasible(self, blocks: Matrix, ranks: SingleProcess = SINGLE_PROCESS) -> Matrix:
        return blocks

    def point(self, blocks: Matrix) -> Matrix:
        assert self.ball is not None
        return np.concatenate([blocks.reshape(-1), self.ball.support(blocks)])


@lower_activation.register(Activation)
def lower_piecewise_linear(activation: Activation, model: Model, data: Data, patterns: Any) -> Program:
    """The exact or restricted convex program of a two-layer network with an activation that is linear on each side of zero."""
    network = model.network
    if not isinstance(patterns, PatternStrategy):
        raise InputTypeError(
            "A two-layer network compiles on activation patterns: pass patterns=rm.SamplePatterns(50, seed=0), rm.EnumeratePatterns(), "
            f"rm.PatternsOf(network) or rm.GivenPatterns(array); got {patterns!r}."
        )
    X = with_bias(data.X, network.bias)
    ball = ball_of(model, data, network.bias)
    if ball is not None and model.robust == "crossing" and not network.activation.self_gated:
        raise InputError("robust='crossing' bounds neurons whose own sign decides; for a gated network use robust='strict'.")
    return two_layer_program(model, data, _patterns(network, model, X, patterns, ball))


def two_layer_program(model: Model, data: Data, found: PatternSet, shares: Matrix | None = None) -> Program:
    """The program on patterns that were found before. shares : (2, 2, P, n) for crossing programs, see CrossingMap; by default
    those of the patterns."""
    network = model.network
    assert isinstance(network, TwoLayer)
    X = with_bias(data.X, network.bias)
    ball = ball_of(model, data, network.bias)
    crossing = ball is not None and model.robust == "crossing"
    # patterns, masks and sides in bytes; the slopes of a crossing program in float64, one a copy and sign
    require(found.D.size * (32 if crossing else 3), f"A program on {found.count:,} patterns of {len(X):,} samples", FEWER)
    if ball is not None and crossing:
        if shares is None:
            shares = np.broadcast_to(found.D.T.astype(float), (2, 2, found.count, len(X)))
        return crossing_program(model, X, data, found, ball, shares)
    terms = _clean_terms(model, X, data, found) if ball is None else strict_terms(model, X, data, found, ball)
    names = ("v", "w") if network.activation.self_gated else ("u",)
    P, d = found.count, X.shape[1]
    variables = tuple(Variable(name, (P, d), i * P * d) for i, name in enumerate(names))
    inverse = TwoLayerInverse(model, X, found, data.names, ball)
    guarantee = _guarantee(network, found) if ball is None else _strict_guarantee(network)
    return Program(model, variables, tuple(terms), guarantee, inverse)


@rebuild_network.register(TwoLayer)
def _(network: TwoLayer, model: Model, data: Data, found: PatternSet | None, arrays: Any) -> Program:
    if found is None:  # an activation without patterns
        return lower_activation(network.activation, model, data, None)
    if model.perturbation is None:  # what was not at hand may be looked for
        found = dataclasses.replace(found, X=with_bias(data.X, network.bias))
    return two_layer_program(model, data, found, arrays.get("shares"))


def _patterns(network: DeclaredNetwork, model: Model, X: Matrix, strategy: PatternStrategy, ball: Ball | None) -> PatternSet:
    """The patterns to use: those found, with what a perturbation adds and drops."""
    found = strategy.find(X, network.bias, ball)
    if ball is not None:
        found = found if isinstance(strategy, GivenPatterns) else with_uniform(X, found)
        found = dataclasses.replace(found, complete=False) if model.robust == "crossing" else surviving(X, found, ball)
    return refuse_gates(network, found)


def refuse_gates(network: DeclaredNetwork, found: PatternSet) -> PatternSet:
    """The patterns, with all their gates for a gated network, or an error where there is none for one."""
    if network.activation.self_gated:
        return found
    gates = found.witnesses
    if np.isnan(gates).any():
        bad = int(np.isnan(gates).any(axis=1).argmax())
        raise InputError(
            f"Pattern {bad} is not [X g >= 0] for any gate g with no sample on its boundary, so a gated network cannot use it; "
            "remove it or use rm.ReLU()."
        )
    return dataclasses.replace(found, known=gates)


def _clean_terms(model: Model, X: Matrix, data: Data, found: PatternSet) -> list[Term]:
    activation = model.network.activation
    active = np.ascontiguousarray(found.D.T)
    signs = (1.0, -1.0) if activation.self_gated else (1.0,)
    prediction = MaskedProduct(X, activation.mask(active), signs, summed=True)
    terms = [
        Term("loss", SampleLoss.bind(model.loss, data.y, data.weights, data.total), prediction),
        Term("penalty", model.penalty.function(X.shape[1]), Identity(prediction.shape[1])),
    ]
    if activation.self_gated:
        side = np.where(active, 1, -1).astype(np.int8)
        terms.append(Term("cones", Nonnegative(), MaskedProduct(X, side, (1.0, 1.0), summed=False)))
    return terms


def crossing_program(model: Model, X: Matrix, data: Data, found: PatternSet, ball: Ball, shares: Matrix) -> Program:
    """The crossing program with the slopes that `shares` (2, 2, P, n) chooses, one a sign, copy, pattern and sample."""
    P, d = found.count, X.shape[1]
    terms = crossing_terms(model, X, data, shares, ball)
    variables = (Variable("v", (P, d), 0), Variable("w", (P, d), P * d), Variable("p", (2, P), 2 * P * d))
    guarantee = Guarantee(
        "upper bound",
        "the objective at any point is a certified upper bound on the worst-case objective of its network",
        "relumodel, crossing program",
    )
    return Program(model, variables, tuple(terms), guarantee, CrossingInverse(model, X, found, data.names, ball))


def _strict_guarantee(network: TwoLayer) -> Guarantee:
    if not network.activation.self_gated:
        return Guarantee(
            "exact",
            "the optimum equals that of the worst-case training of the gated network with these fixed gates, which no perturbation flips",
            "Mishkin, Sahiner & Pilanci 2022, Theorem 2.2, on every perturbed sample",
        )
    return Guarantee(
        "upper bound",
        "the objective is the true worst-case objective of the network it returns, so the optimum bounds the min-max problem from above",
        "Bai et al. 2023, section 4",
    )


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
