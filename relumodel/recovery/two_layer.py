"""Solutions of two-layer programs: repaired to strict feasibility, cleaned of negligible blocks, turned into networks.

A block v != 0 of pattern i becomes the neuron u = v / sqrt|v|, a = +sqrt|v|; a block w != 0 the same with a = -sqrt|w|
(Pilanci & Ergen 2020, Theorem 1). The objective of that network equals the program's.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..deadline import current
from ..patterns.pattern_set import PatternSet
from ..patterns.robust_witness import without_undecided
from ..perturbations import Ball
from ..program.program import Program
from ..program.ranks import ALONE, Alone
from .cone_repair import hurried_into_cone, into_cone
from .network import Network
from .sparsest import sparsest

if TYPE_CHECKING:
    from ..model import Model

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

    def feasible(self, blocks: Matrix, ranks: Alone = ALONE) -> Matrix:
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

    def feasible(self, blocks: Matrix, ranks: Alone = ALONE) -> Matrix:
        return blocks

    def point(self, blocks: Matrix) -> Matrix:
        assert self.ball is not None
        return np.concatenate([blocks.reshape(-1), self.ball.support(blocks)])
