"""Solutions of three-layer programs: repaired to strict feasibility, turned into parallel sub-networks.

Blocks w_j of a sub-network with signs I_j and S = sum_j |w_j|_2 become  W1 column j = w_j / sqrt(|w_j| S),  w2_j = I_j sqrt|w_j|,
w3 = +-sqrt S. Then |W1|_F = 1 and the objective of the network equals the program's (Ergen & Pilanci 2021, Proposition 1).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..deadline import current
from ..patterns.sub_networks import SubNetworks
from ..program.program import Program
from .cone_repair import hurried_into_cone, into_cone
from .sparsest import sparsest
from .three_layer_network import ThreeLayerNetwork

if TYPE_CHECKING:
    from ..model import Model

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
