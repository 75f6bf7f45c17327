"""Passes through all of the data at a fixed point, in float64: what is reported is measured here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ..certify.scaling import scaled_bound
from ..data import BatchData, with_bias
from ..functions.penalties import Penalty
from ..program.arrays import Arrays, converted
from .layer import Array, Batch, Layer, Patterns, beyond, pull, smoothed

if TYPE_CHECKING:
    from .program import BatchProgram

Matrix = NDArray[np.float64]

#: Hidden values held at a time by a pass: 64 MB in float64.
HIDDEN = 8_000_000

#: How much more the metric of multipliers counts the first principal axis than the last.
CARRIED, TINY = 3.0, 1e-300

#: A step along a witness ends so many roundings inside the cones.
ROUNDINGS = 32


@dataclass
class Measured:
    """What a pass saw at blocks U (c, C, G m, d). objective : the training objective of the network that the blocks become, each with its
    own pattern; where violation is 0 it is the program's too.  violation : the largest amount by which a cone is left.
    program : the program's objective there, for what it is worth outside of the cones."""

    blocks: Array
    objective: float = 0.0
    violation: float = 0.0


@dataclass
class Dual:
    """The multipliers that the slopes at a point are. rest : the gradient of all terms but the penalty, -sum K_j' q_j of the bound.
    losses : the loss of every batch and its multiplier."""

    rest: Array = 0.0
    losses: list[tuple[Any, Matrix]] = field(default_factory=list)

    def bound(self, penalty: Penalty, d: int) -> float:
        """A lower bound on the program's optimum: as in relumodel.certify.bound, the multipliers scaled into the domains of all
        conjugates. Those of cones stay in theirs at any scale and cost nothing."""
        gauge = penalty.function(d).dual_gauge(array_namespace(self.rest).reshape(self.rest, (-1,)))
        return scaled_bound(self.losses, gauge)[1]


def pieces(program: BatchProgram, arrays: Arrays, layer: Layer) -> Iterator[Batch]:
    """The data once, in parts whose hidden values fit HIDDEN."""
    step = max(1, HIDDEN // (program.outputs * program.copies * layer.blocks))
    for batch in program.source.batches():
        for start in range(0, len(batch.X), step):
            at = slice(start, start + step)
            yield prepared(program, arrays, layer, BatchData(batch.X[at], batch.y[at], batch.weights[at], batch.names))


def prepared(program: BatchProgram, arrays: Arrays, layer: Layer, data: BatchData) -> Batch:
    """A batch in an engine's arrays, its weights those that the samples have in the whole loss."""
    X = arrays.give(with_bias(data.X, program.model.network.bias))
    weights = program.weights(data.weights)
    loss = program.loss(data, weights)
    return Batch(X, layer.patterns(X), converted(loss, arrays), arrays.give(weights), loss)


def measure(
    program: BatchProgram, arrays: Arrays, U: Array, dual: tuple[float, float] | None = None
) -> tuple[Measured, Dual, Array]:
    """One pass at blocks U. dual : (rho, width) for multipliers of the program smoothed that much; without them only values.

    Returns what was measured, the multipliers, and for every sub-network (c, C, G) the step along its witness that would take it into
    its cones.
    """
    layer = program.layer(arrays)
    xp = array_namespace(U)
    cones = layer.copies == 2
    out, multipliers = Measured(U), Dual()
    groups = (*U.shape[:2], layer.blocks if layer.weights is None else layer.sub_networks)
    steps = xp.zeros(groups, dtype=U.dtype, device=U.device)
    sizes = xp.sqrt(xp.sum(U * U, axis=-1))
    witness = program.witness(arrays)
    for batch in pieces(program, arrays, layer):
        S = layer.hidden(U, batch.X)
        out.objective += float(batch.loss.value(layer.network(S, batch.patterns)))
        if cones:
            violation, needed = _to_cones(S, batch, layer, sizes, witness)
            out.violation = max(out.violation, violation)
            steps = xp.maximum(steps, needed)
        if dual is not None:
            rho, width = dual
            slopes = smoothed(S, batch, layer, rho, width)
            multipliers.rest = multipliers.rest + pull(slopes.gradient, batch.X)
            multipliers.losses.append((batch.exact, batch.exact.project_dual(arrays.take(slopes.multiplier))))
    penalty = float(program.model.penalty.function(U.shape[-1]).value(xp.reshape(U, (-1,))))
    out.objective += penalty
    return out, multipliers, steps


def tighten(program: BatchProgram, arrays: Arrays, dual: Dual) -> Dual:
    """One pass for better multipliers of the cones: along the gradient of |rest|^2 in them, as far as serves every sub-network.

    A block that is zero has none at first, though the cones could carry much of its rest; so the bound would be loose where many
    directions went unused. Any multipliers (-side * X y)_+ are in the domain, whatever the y: here minus the rest in the metric
    I + `CARRIED` X'X / |X|^2, for blocks beyond what the penalty carries.
    """
    layer, units = program.layer(arrays), program.units
    R = dual.rest
    xp = array_namespace(R)
    sizes = xp.sqrt(xp.sum(R * R, axis=-1))
    Y = -R * (sizes > program.model.penalty.beta)[..., None]
    if units.basis is not None:
        basis, values = arrays.give(units.basis), arrays.give(units.values)
        Y = ((Y @ basis) / (1 + CARRIED * values / max(float(xp.max(values)), TINY))) @ basis.T
    more: Array = 0.0
    for batch in pieces(program, arrays, layer):
        slopes = smoothed(layer.hidden(Y, batch.X), batch._replace(loss=NoLoss()), layer, 1.0, 0.0)
        more = more + pull(slopes.gradient, batch.X)
    groups = layer.blocks if layer.weights is None else layer.sub_networks
    rest, along = (xp.reshape(part, (*R.shape[:2], groups, -1)) for part in (R, more))
    lengths = xp.sum(along * along, axis=-1)
    step = xp.clip(-xp.sum(rest * along, axis=-1) / xp.where(lengths > 0, lengths, xp.ones_like(lengths)), min=0.0)
    return Dual(xp.reshape(rest + step[..., None] * along, R.shape), dual.losses)


class NoLoss:
    """A loss that is zero."""

    def rounded(self, z: Array, width: float) -> tuple[float, Array]:
        """Value and gradient."""
        return 0.0, 0 * z


def _to_cones(S: Array, batch: Batch, layer: Layer, sizes: Array, witness: Array) -> tuple[float, Array]:
    """How far hidden values S are outside of the cones, and the least step along the witness (of norm 1 a sub-network) after which every
    sample of the batch is a few roundings inside: (c, C, groups), infinite where the witness does not lead there."""
    xp = array_namespace(S)
    patterns = batch.patterns
    rows = xp.sqrt(xp.sum(batch.X * batch.X, axis=1))
    eps = ROUNDINGS * xp.finfo(S.dtype).eps * rows
    gain, outer_gain = _gains(layer, patterns, witness)
    worst, steps = 0.0, []
    for r in range(S.shape[0]):
        for k in range(S.shape[1]):
            outside = xp.abs(beyond(S[r, k, ...], patterns.on))
            worst = max(worst, float(xp.max(outside)))
            margin = sizes[r, k, :][:, None] * eps
            step = xp.max(_steps(outside, margin, gain, rows > 0), axis=1)
            if layer.weights is not None:
                G, m = layer.weights.shape
                H = layer.sums(S[r, k, ...] * patterns.active)
                outside = xp.abs(beyond(H, patterns.outer))
                worst = max(worst, float(xp.max(outside)))
                whole = xp.sum(xp.reshape(sizes[r, k, :], (G, m)), axis=1)
                used = xp.any(xp.reshape(patterns.active, (G, m, -1)) != 0, axis=1) & (rows > 0)
                second = xp.max(_steps(outside, whole[:, None] * eps, outer_gain, used), axis=1)
                step = xp.maximum(xp.max(xp.reshape(step, (G, m)), axis=1), second)
            steps.append(step)
    return worst, xp.reshape(xp.concat(steps), (S.shape[0], S.shape[1], -1))


def _gains(layer: Layer, patterns: Patterns, witness: Array) -> tuple[Array, Array | None]:
    """What a unit step along the witness adds to the slack of both kinds of cones. witness : (G m,) how long the part of a neuron is."""
    xp = array_namespace(patterns.products)
    values = patterns.products * witness[:, None]
    return xp.abs(values), None if layer.weights is None else xp.abs(layer.sums(values * patterns.active))


def _steps(outside: Array, margin: Array, gain: Array, live: Array) -> Array:
    """(outside + margin) / gain where a sample is live and a cone is left, infinite where nothing is gained, else 0."""
    xp = array_namespace(outside)
    one = xp.ones_like(gain)
    steps = xp.where(gain > 0, (outside + margin) / xp.where(gain > 0, gain, one), xp.inf * one)
    return xp.where(live & (outside > 0), steps, xp.zeros_like(outside))


def repaired(U: Array, steps: Array, gates: Array, witness: Array) -> Array:
    """Blocks moved along their witnesses into the cones; those for which that is further than they are long become zero."""
    xp = array_namespace(U)
    c, C, B, d = U.shape
    groups = steps.shape[-1]
    whole = xp.reshape(U, (c, C, groups, -1))
    near = steps <= xp.sqrt(xp.sum(whole * whole, axis=-1))
    direction = xp.reshape(gates * witness[:, None], (groups, -1))
    moved = whole + xp.where(near, steps, xp.zeros_like(steps))[..., None] * direction
    return xp.reshape(xp.where(near[..., None], moved, xp.zeros_like(moved)), (c, C, B, d))
