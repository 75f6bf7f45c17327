"""Pricing: does the dual q leave a block at zero?

A block stays at zero when  min over a >= 0 of | F'q - G'a |_* <= 1.  For all blocks together that is an interior point
without coupling: with c = F'q every block minimises  c.u + |u|_* + 1/2 |u|^2  over G u >= 0, which is zero exactly then.
On the way every iterate decides what it can: multipliers a with |c - G'a|_* <= 1 prove that the block stays, a feasible u
with c.u + |u|_* < 0 that it enters. Decided blocks leave the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .block_newton import BlockNewton, State
from .interior_point import FRACTION
from .linear_algebra import Gram, apply_inverse
from .norm_cone import dots
from .scaled import Blocks, Scaled

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

#: Iterations before undecided blocks are given up (they count as entering).
LIMIT = 40


@dataclass(frozen=True, eq=False)
class Prices:
    """What is known of blocks at one q. gauge : (B,) a proven upper bound of the least |F'q - G'a|_*, reached by
    `multipliers` (B, n).  promise : (B,) for blocks that enter a lower bound of it, zero for the others."""

    gauge: Vector
    promise: Vector
    multipliers: Matrix

    @property
    def enter(self) -> NDArray[np.intp]:
        """The blocks that may not stay at zero, the most promising first."""
        order = np.argsort(-self.promise, kind="stable")
        return order[self.gauge[order] > 1]


def price(
    problem: Scaled,
    gram: Gram,
    blocks: Blocks,
    q: Vector,
    slack: float = 0.0,
    warm: State | None = None,
    limit: int = LIMIT,
) -> Prices:
    """Price blocks at q. A block whose least gauge lies within `slack` of one may be left undecided. warm : states
    to start from, as an interior point on these blocks left them."""
    c = problem.pulls(blocks, q)
    multipliers = np.zeros(blocks.side.shape)
    gauge, promise = problem.gauges(c), np.zeros(blocks.count)
    if not blocks.count:
        return Prices(gauge, promise, multipliers)
    open_ = np.flatnonzero(gauge > 1)
    if not blocks.side.shape[1]:
        promise[open_] = gauge[open_]
        return Prices(gauge, promise, multipliers)
    with np.errstate(all="ignore"):
        batch = _Batch(problem, gram, blocks, c, open_, warm)
        for k in range(limit + 1):
            stay, enter, level = batch.decide(slack)
            better = batch.gauges < gauge[batch.index]
            gauge[batch.index[better]] = batch.gauges[better]
            multipliers[batch.index[better]] = batch.state.a[better]
            promise[batch.index[enter]] = level[enter]
            batch.keep(~(stay | enter))
            if k == limit or not len(batch.index):
                break
            try:
                batch.step()
            except np.linalg.LinAlgError:
                break
    promise[(gauge > 1) & (promise == 0)] = 1.0
    promise[gauge <= 1] = 0.0
    return Prices(gauge, promise, multipliers)


class _Batch:
    """The undecided blocks and their interior points, each with its own step lengths."""

    signed: Matrix
    pull: Matrix
    gauges: Vector

    def __init__(self, problem: Scaled, gram: Gram, blocks: Blocks, c: Matrix, index: NDArray[np.intp], warm: State | None) -> None:
        self.problem, self.gram = problem, gram
        self.blocks, self.c, self.index = part(blocks, index), c[index], index
        self.state = _cold(problem, self.blocks) if warm is None else warm.take(index)
        self.look()

    def keep(self, kept: NDArray[np.bool_]) -> None:
        if kept.all():
            return
        self.index, self.c = self.index[kept], self.c[kept]
        self.blocks, self.state = part(self.blocks, np.flatnonzero(kept)), self.state.take(kept)
        self.signed, self.pull = self.signed[kept], self.pull[kept]
        self.gauges = self.gauges[kept]

    def look(self) -> None:
        """Products at the state."""
        self.signed = (self.state.u @ self.gram.XT) * self.blocks.side
        self.pull = self.c - (self.blocks.side * self.state.a) @ self.gram.X
        self.gauges = self.problem.gauges(self.pull)

    def decide(self, slack: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Vector]:
        """Which blocks stay, which enter, and the lower bound of the gauge that u proves."""
        u = self.state.u
        norm = np.sqrt(dots(u, u)) if self.problem.group == u.shape[1] else np.abs(u).sum(axis=1)
        inside = self.signed.min(axis=1) >= 0
        level = np.where(inside & (norm > 0), -dots(self.c, u) / np.where(norm > 0, norm, 1.0), 0.0)
        stay = self.gauges <= 1
        enter = ~stay & ((level > 1 + slack) | ((level > 1) & (self.gauges - level <= 0.1 * slack)))
        return stay, enter, level

    def step(self) -> None:
        """One predictor-corrector step of every block."""
        state = self.state
        dual, primal = self.pull + state.u - state.y, self.signed - state.s
        newton = BlockNewton(self.blocks, self.gram, state, rho=1.0)
        mu = state.complementarity() / state.products
        newton.affine(dual, primal)
        ahead = self._direction(newton)
        alpha = np.minimum(1.0, np.minimum(*state.longest(ahead)))
        towards = ((1 - alpha) ** 3 * mu)[:, None]
        newton.corrected(towards, towards, ahead, dual, primal)
        ahead = self._direction(newton)
        alpha = np.minimum(1.0, FRACTION * np.minimum(*state.longest(ahead)))[:, None]
        state.step(ahead, alpha, alpha)
        self.look()

    def _direction(self, newton: BlockNewton) -> State:
        du = apply_inverse(newton.factors, newton.right)
        dU = du @ self.gram.XT
        return newton.direction(du, dU, newton.multipliers(dU), np.zeros_like(du))


def _cold(problem: Scaled, blocks: Blocks) -> State:
    B, d, n = blocks.count, problem.X.shape[1], blocks.side.shape[1]
    s = np.full((B, n), 0.3)
    return State(np.zeros((B, d)), np.ones(B * d // problem.group), s, np.full((B, n), 0.1 / n), np.zeros((B, d)))


def part(blocks: Blocks, kept: NDArray[np.intp]) -> Blocks:
    """Some of the blocks."""
    return Blocks(blocks.index[kept], blocks.pattern[kept], blocks.mask[kept], blocks.side[kept])
