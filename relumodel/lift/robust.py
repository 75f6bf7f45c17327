"""The robust counterparts of a two-layer program: terms in place of the clean ones, and the patterns that survive.

strict (Bai et al. 2023, section 4): every neuron keeps its pattern on every perturbed sample; the loss is then the true worst
case.  crossing (see relumodel.functions.crossing): no sign cones, a certified bound instead; any pattern may be used.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import scipy

from ..arrangement.robust_witness import largest_factor, robust_witnesses
from ..data import Data
from ..declare.networks import Activation
from ..declare.perturbations import Ball
from ..errors import InputError
from ..functions.base import SampleLoss
from ..functions.crossing import CrossingLoss
from ..functions.robust import RobustCones, RobustLoss
from ..functions.support import SupportEpigraph
from ..maps.base import Identity, MaskedProduct, Slice
from ..maps.crossing import CrossingMap
from ..maps.readings import Composed
from ..maps.robust_maps import SampleWeights, Stacked
from ..patterns.pattern_set import PatternSet
from ..program.program import Program, Term
from ..resources.deadline import current

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..declare.model import Model


def ball_of(model: Model, data: Data, bias: bool) -> Ball | None:
    """The perturbation set on the columns the library computes with; None when nothing is perturbed."""
    return None if model.perturbation is None else model.perturbation.ball(data.X.shape[1], data.names, bias)


def surviving(X: NDArray[np.float64], found: PatternSet, ball: Ball) -> PatternSet:
    """The patterns whose robust cone has interior, with robust witnesses; an error when none is left."""
    witnesses = robust_witnesses(X, found.D, ball, found.witnesses)
    kept = np.isfinite(witnesses).all(axis=1)
    if not kept.any():
        raise InputError(
            f"The perturbation is too large: the robust cone of each of the {found.count:,} patterns is {{0}}; "
            f"{_room(largest_factor(X, found.D, ball), ball)}. Use a smaller radius, more patterns, a bias, or "
            "robust='crossing', which needs no cones."
        )
    dropped = int((~kept).sum())
    why = (
        "whose robust cone is {0}, or was not looked at in the time there was"
        if current().expired()
        else "whose robust cone is {0}"
    )
    origin = found.origin + (f"; {dropped:,} dropped, {why}" if dropped else "")
    return PatternSet(
        np.ascontiguousarray(found.D[:, kept]), witnesses[kept], complete=found.complete and not dropped, origin=origin
    )


def _room(factor: float, ball: Ball) -> str:
    """What an error says of the largest radius, rounded down so that it can be used."""
    if factor == 0:
        return "they are {0} at any radius"
    radius = ball.perturbation.radius
    largest = factor if isinstance(radius, tuple) else factor * radius
    step = 10.0 ** (np.floor(np.log10(largest)) - 3)
    shown = f"{np.floor(largest / step - 1e-9) * step:.4g}"
    if isinstance(radius, tuple):
        return f"the largest perturbation that leaves one is {shown} times as large"
    return f"the largest radius that leaves one is {shown}"


def strict_terms(model: Model, X: NDArray[np.float64], data: Data, found: PatternSet, ball: Ball) -> list[Term]:
    """Worst-case loss, penalty, and robust sign cones (not for fixed gates, whose planes miss the boxes already)."""
    activation: Activation = model.network.activation
    active = np.ascontiguousarray(found.D.T)
    signs = (1.0, -1.0) if activation.self_gated else (1.0,)
    d = X.shape[1]
    size = len(signs) * found.count * d
    weights = SampleWeights(X, activation.mask(active), signs)
    terms = [
        _strict_loss(SampleLoss.bind(model.loss, data.y, data.weights), weights, ball, activation.inactive),
        Term("penalty", model.penalty.function(d), Identity(size)),
    ]
    if activation.self_gated:
        side = np.where(active, 1, -1).astype(np.int8)
        sides = MaskedProduct(X, side, (1.0, 1.0), summed=False)
        terms.append(Term("cones", RobustCones(len(X), ball), Stacked((sides, Identity(size)))))
    return terms


def _strict_loss(clean: SampleLoss, weights: SampleWeights, ball: Ball, slope: float) -> Term:
    """The worst case of predictions with the weights that act on each sample. Of a loss with two different halves each half reads bounds
    of its own, those of a crossing program without neurons that cross."""
    group, first = weights.grouping
    if clean.loss.reads == "margin" or clean.loss.even:
        return Term("loss", RobustLoss(clean, ball, group), weights)
    n, d = weights.X.shape
    every, z = np.arange(n), scipy.sparse.eye_array(n)
    at = (group[:, None] * d + np.arange(d)).reshape(-1)
    q = scipy.sparse.csr_array((np.ones(n * d), at, np.arange(n * d + 1)), shape=(n * d, len(first) * d))
    both = scipy.sparse.vstack([scipy.sparse.block_diag([sign * z, q]) for sign in (1.0, -1.0)], format="csr")
    return Term("loss", CrossingLoss(clean, ball, (every, every), 0, slope), Composed(scipy.sparse.csr_array(both), weights))


def crossing_terms(model: Model, X: NDArray[np.float64], data: Data, shares: NDArray[np.float64], ball: Ball) -> list[Term]:
    """Certified worst-case loss, penalty on the blocks, and their sizes h(u) <= p. shares : (2, 2, P, n), see CrossingMap."""
    d, B = X.shape[1], 2 * shares.shape[2]
    slope = model.network.activation.inactive
    clean = SampleLoss.bind(model.loss, data.y, data.weights)
    everyone = np.arange(len(X))
    samples = (np.flatnonzero(data.y > 0), np.flatnonzero(data.y < 0)) if model.loss.reads == "margin" else (everyone, everyone)
    loss = CrossingLoss(clean, ball, samples, shares.shape[2], slope)
    return [
        Term("loss", loss, CrossingMap(X, samples, shares, slope)),
        Term("penalty", model.penalty.function(d), Slice(B * d, B * d + B)),
        Term("sizes", SupportEpigraph(ball, B), Identity(B * d + B)),
    ]


def with_slopes(program: Program, shares: NDArray[np.float64]) -> Program:
    """A crossing program with other slopes, sharing all else. shares : (2, 2, P, n), see CrossingMap."""
    loss = program.term("loss")
    assert isinstance(loss.map, CrossingMap)
    chosen = Term(loss.name, loss.function, dataclasses.replace(loss.map, shares=shares))
    return dataclasses.replace(program, terms=tuple(chosen if term is loss else term for term in program.terms))
