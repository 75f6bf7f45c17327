"""Stochastic steps on the smoothed program: Adam (Kingma & Ba 2015) on the factors of blocks, along the principal axes of the data.

Cones count by rho/2 times the squared distance to them, losses with a kink by their Moreau envelope; with the penalty as squares of
the factors everything is smooth. The rate falls along a cosine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace

from ..data import BatchData
from ..program.arrays import Arrays
from ..resources.progress import Progress
from ..solve.protocol import Options
from .factors import Neurons, Sides, factored
from .layer import Array, Batch, smoothed
from .passes import prepared

if TYPE_CHECKING:
    from .program import BatchProgram

#: The first rate in units of the data: SCALE over the root of the number of steps, within these limits. It falls to the share END.
SCALE, RATES, END = 4.5, (0.02, 0.2), 1e-3

#: From a start with more blocks an output than this, rates fall with their number: all move its values at once, and may lose the start.
CROWD = 100

#: The rate of the sizes s of neurons u = a s, as a share of that of a.
SIZES = 0.3

#: The first factors, in units of the data.
START = 0.3

#: How much of the running means is kept at a step: of the gradients, and of their squares.
MEAN, SQUARES = 0.9, 0.99

#: The rate after a step that is not finite, as a share of the one before.
BACK = 0.1

#: The weight of the cones, with a smooth loss and with one that has a kink, and the width of the rounded loss; the first and the last, in
#: units of the loss at zero and the targets. All fall: what is returned is a network whose neurons have patterns of their own, and it
#: gains as the cones let go near the end, less where few samples decide.
SMOOTH, KINKED, WIDTHS = (1.0, 0.03), (3.0, 0.3), (0.03, 0.001)

#: The share of an epoch, its end, in which the objective is estimated.
WATCHED = 0.25

#: Blocks below this share of the largest are zero in the end, and from the share LATE of the epochs on: neither stepped nor multiplied.
NEGLIGIBLE, LATE = 1e-3, 0.3


@dataclass
class Best:
    """The factors with the lowest estimate so far, and the blocks that they are of."""

    factors: Neurons | Sides
    live: Array
    estimate: float
    epoch: int


class Steps:
    """One training run. start : (c, C, G m, d) blocks, or None for small ones along their directions."""

    def __init__(self, program: BatchProgram, arrays: Arrays, epochs: int, seed: int, start: Any) -> None:
        self.program, self.arrays, self.epochs = program, arrays, epochs
        self.order = np.random.default_rng(seed)
        self.layer, self.units = program.layer(arrays), program.units
        self.basis = None if self.units.basis is None else arrays.give(self.units.basis)
        self.factors = self._first(start)
        self.beta = program.model.penalty.beta
        self.live: Array = None  # indices of the blocks that the factors are of; None for all
        self.best = Best(self._copied(), None, math.inf, 0)
        rate = min(max(SCALE / math.sqrt(epochs * program.found.totals.batches), RATES[0]), RATES[1]) * self.units.size
        if start is not None:
            rate *= min(1.0, CROWD / self.layer.blocks)
        along = rate * self.units.share
        self.rates = (along, SIZES * rate) if isinstance(self.factors, Neurons) else (along, along)
        self.back = 1.0
        self.rhos = tuple(rho * program.curvature for rho in (KINKED if program.has_kink else SMOOTH))
        self.rho = self.rhos[0]
        self.widths = tuple(w / program.curvature for w in WIDTHS) if program.has_kink else (0.0, 0.0)
        self._forget()

    def _first(self, start: Any) -> Neurons | Sides:
        """The factors to start from; blocks that are zero become small ones, so that they can grow."""
        xp = array_namespace(self.layer.gates)
        size = START * self.units.size
        small = self.layer.gates * size**2 + xp.zeros(
            self.program.shape, dtype=self.layer.gates.dtype, device=self.layer.gates.device
        )
        U = small
        if start is not None:
            U = self.arrays.give(start)
            U = xp.where(xp.any(U != 0, axis=-1)[..., None], U, 1e-2 * small)
        U = xp.reshape(U, (-1, U.shape[-1]))
        return factored(U if self.basis is None else U @ self.basis, self.program.model.penalty, size)

    def _copied(self) -> Neurons | Sides:
        xp = array_namespace(self.factors.parts[0])
        return type(self.factors)(*(xp.asarray(part, copy=True) for part in self.factors.parts))

    def _forget(self) -> None:
        xp = array_namespace(self.factors.parts[0])
        self.means = [xp.zeros_like(part) for part in self.factors.parts]
        self.squares = [xp.zeros_like(part) for part in self.factors.parts]
        self.count = 0

    @property
    def width(self) -> float:
        """That of the rounded loss at the end."""
        return self.widths[1]

    def blocks(self, factors: Neurons | Sides, live: Array) -> Array:
        """The blocks (c, C, G m, d) in the coordinates of the data, of factors of the blocks `live`, negligible ones zero."""
        xp = array_namespace(factors.parts[0])
        U = factors.blocks()
        sizes = _sizes(U)
        U = U * (sizes > NEGLIGIBLE * xp.max(sizes))[:, None]
        U = U if self.basis is None else U @ self.basis.T
        if live is not None:
            some, U = U, xp.zeros((math.prod(self.program.shape[:-1]), U.shape[-1]), dtype=U.dtype, device=U.device)
            U[live, :] = some
        return xp.reshape(U, self.program.shape)

    def last(self) -> Array:
        """The blocks now; where they are not finite those of the best epoch, or zero."""
        xp = array_namespace(self.factors.parts[0])
        U = self.blocks(self.factors, self.live)
        if not bool(xp.all(xp.isfinite(U))):
            U = self.blocks(self.best.factors, self.best.live)
        return xp.where(xp.isfinite(U), U, xp.zeros_like(U))

    def _drop(self) -> None:
        """Leave negligible blocks behind, if they are many."""
        xp = array_namespace(self.factors.parts[0])
        sizes = _sizes(self.factors.blocks())
        kept = xp.nonzero(sizes > NEGLIGIBLE * xp.max(sizes))[0]
        if 0 < len(kept) < 0.9 * len(sizes):
            self.factors = type(self.factors)(*(part[kept, ...] for part in self.factors.parts))
            self.means, self.squares = ([part[kept, ...] for part in parts] for parts in (self.means, self.squares))
            self.live = kept if self.live is None else self.live[kept]

    def run(self, options: Options, line: Any) -> int:
        """Steps until the epochs are over, or the options say to stop; how many epochs were begun."""
        batches = self.program.found.totals.batches
        for epoch in range(self.epochs):
            self.watched: list[tuple[float, float]] = []
            if epoch >= LATE * self.epochs:
                self._drop()
            for number, batch in enumerate(self._epoch()):
                done = epoch + number / batches
                if not self.step(batch, done / self.epochs, number >= (1 - WATCHED) * batches - 1):
                    self._back_off()
                line(Progress(epoch + 1, self._estimate(), elapsed=time.perf_counter() - options.started))
                if _must_stop(options):
                    break
            estimate = self._estimate()
            if estimate < self.best.estimate:
                self.best = Best(self._copied(), self.live, estimate, epoch + 1)
            if options.report(epoch + 1, estimate) or _must_stop(options):
                return epoch + 1
        return self.epochs

    def _epoch(self) -> Iterator[Batch]:
        for data in self.program.source.batches(self.order):
            yield self.prepared(data)

    def prepared(self, data: BatchData) -> Batch:
        """A batch in the engine's arrays, its samples in the basis of the steps."""
        batch = prepared(self.program, self.arrays, self.layer, data)
        return batch if self.basis is None else batch._replace(X=batch.X @ self.basis)

    def step(self, batch: Batch, done: float, watch: bool) -> bool:
        """One step when the share `done` of all is done; False where it was not finite. watch : estimate the objective too."""
        xp = array_namespace(batch.X)
        first, last = self.widths
        width = first * (last / first) ** min(1.2 * done, 1.0) if last else 0.0
        self.rho = self.rhos[0] * (self.rhos[1] / self.rhos[0]) ** done
        S = self._hidden(batch)
        if watch:
            loss = float(batch.loss.value(self.layer.network(S, batch.patterns)))
            self.watched.append((float(xp.sum(batch.weights)), loss))
        slopes = smoothed(S, batch, self.layer, self.rho, width)
        if not math.isfinite(slopes.loss + slopes.distance):
            return False
        slope = xp.reshape(slopes.gradient, (-1, batch.X.shape[0]))
        G = (slope if self.live is None else slope[self.live, :]) @ batch.X
        G *= self.program.found.totals.batches
        self.count += 1
        rate = self.back * max(0.5 * (1 + math.cos(math.pi * done)), END) / (1 - MEAN**self.count)
        for part, g, mean, square, r in zip(
            self.factors.parts, self.factors.pull(G, self.beta), self.means, self.squares, self.rates, strict=True
        ):
            mean *= MEAN
            mean += (1 - MEAN) * g
            g *= g
            g *= 1 - SQUARES
            square *= SQUARES
            square += g
            step = xp.sqrt(square)
            step += TINY
            part -= (rate * r * math.sqrt(1 - SQUARES**self.count)) * mean / step
        return True

    def _hidden(self, batch: Batch) -> Array:
        """The hidden values (c, C, G m, n); those of blocks left behind are zero."""
        xp = array_namespace(batch.X)
        S = self.factors.blocks() @ batch.X.T
        if self.live is not None:
            some, S = S, xp.zeros((math.prod(self.program.shape[:-1]), S.shape[1]), dtype=S.dtype, device=S.device)
            S[self.live, :] = some
        return xp.reshape(S, (*self.program.shape[:-1], batch.X.shape[0]))

    def _estimate(self) -> float:
        """The objective of the network, from the batches at the end of an epoch; NaN before there are any."""
        if not self.watched:
            return math.nan
        share, loss = (sum(part) for part in zip(*self.watched, strict=True))
        U = self.factors.blocks()
        penalty = self.program.model.penalty.function(U.shape[-1]).value(array_namespace(U).reshape(U, (-1,)))
        return loss / share * self.program.weight_of_all + float(penalty)

    def _back_off(self) -> None:
        """To the best factors so far, at a smaller rate."""
        self.factors, self.live = self.best.factors, self.best.live
        self.factors = self._copied()
        self.back *= BACK
        self._forget()


def _sizes(U: Array) -> Array:
    """The 2-norms of the rows."""
    xp = array_namespace(U)
    return xp.sqrt(xp.sum(U * U, axis=-1))


#: Keeps quotients of zeros finite.
TINY = 1e-15


def _must_stop(options: Options) -> bool:
    """Whether Ctrl-C, the callback or the clock asks to stop."""
    if options.stopped is None and options.remaining() == 0:
        options.stopped = "time limit"
    return options.stopped is not None
