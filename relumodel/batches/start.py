"""The point to start from: that of another solve, or a network on whose own directions the program was compiled."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrangement.scaling import unit_rows
from ..data import Data
from ..declare.networks import ReLU, TwoLayer
from ..errors import InputError
from ..solve.solution import Solution
from ..trained.network import Network
from ..trained.reading import trained_neurons
from ..trained.three_layer import ThreeLayerNetwork
from .solution import BatchSolution

if TYPE_CHECKING:
    from .program import BatchProgram

Matrix = NDArray[np.float64]

#: Unit directions that differ by no more than this are the same.
SAME = 1e-9


def start_of(program: BatchProgram, warm_start: Any) -> Matrix | None:
    """The blocks (c, C, G m, d) of `warm_start`, or None where there is none. See `BatchProgram.solve`."""
    if warm_start is None:
        return None
    if isinstance(warm_start, ThreeLayerNetwork):
        return _of_sub_networks(program, warm_start)
    if not isinstance(warm_start, BatchSolution | Solution) and not _is_point(warm_start):
        return _of_neurons(program, warm_start)
    point = warm_start.point if isinstance(warm_start, BatchSolution | Solution) else warm_start
    return program.few.point(point).reshape(program.shape)


def _is_point(value: ArrayLike) -> bool:
    return hasattr(value, "__len__") and hasattr(value, "__getitem__") and not hasattr(value, "forward")


def _of_neurons(program: BatchProgram, network: Any) -> Matrix:
    """Every neuron as the block of its own direction. A network of ReLU serves a gated program too: it has the sides of its gates."""
    if program.second_weights is not None:
        raise InputError("A three-layer program starts from a three-layer network, a solution or a point.")
    model = program.model
    gated = isinstance(network, Network) and network.gates is not None
    if program.copies == 1 and not gated:
        model = dataclasses.replace(model, network=TwoLayer(ReLU(), model.network.bias))
    first = program.found.first
    neurons = trained_neurons(network, model, Data(first.X, first.y, first.names, None, program.found.classes))
    directions = unit_rows(neurons.blocks if neurons.gates is None else neurons.gates)
    products = directions @ program.gates.T
    which = products.argmax(axis=1)
    _same_directions(directions, program.gates[which])
    out = np.zeros(program.shape)
    signs = neurons.signs.reshape(len(which), -1)
    for r in range(program.outputs):
        for copy in range(program.copies):
            share = signs[:, r] if program.copies == 1 else np.maximum((-1) ** copy * signs[:, r], 0)
            np.add.at(out[r, copy], which, share[:, None] * neurons.blocks)
    return out


def _of_sub_networks(program: BatchProgram, network: ThreeLayerNetwork) -> Matrix:
    """Every sub-network as the blocks of its own directions, those left out that have a neuron without weights."""
    U, w2 = network.hidden_weights.transpose(0, 2, 1), network.second_weights
    used = np.flatnonzero((U.any(axis=2) & (w2 != 0)).all(axis=1))
    outer = network.output_weights.reshape(len(w2), -1)
    own = program.second_weights
    if own is None or own.shape != (len(used), w2.shape[1]) or outer.shape[1] != program.outputs or U.shape[2] != program.shape[-1]:
        raise InputError(_refused("its sub-networks, outputs or features are not as many as those of the program"))
    units = np.concatenate([unit_rows(U[g]) for g in used])
    _same_directions(np.sign(own.reshape(-1, 1)) * units, np.sign(w2[used].reshape(-1, 1)) * program.gates)
    blocks = (U[used] * np.abs(w2[used])[:, :, None])[None, None]
    shares = np.stack([np.maximum(outer[used].T, 0), np.maximum(-outer[used].T, 0)], axis=1)
    return (shares[..., None, None] * blocks).reshape(program.shape)


def _same_directions(one: Matrix, other: Matrix) -> None:
    if np.abs(one - other).max(initial=0.0) > SAME:
        raise InputError(_refused("it has neurons along other directions than the program"))


def _refused(why: str) -> str:
    return (
        f"This network cannot be the warm start: {why}. Compile with patterns=rm.PatternsOf(network) of the same network; an output bias "
        "has no direction there, so train without one (bias=False)."
    )
