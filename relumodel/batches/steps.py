"""Stochastic proximal steps on the smoothed program.

    u <- argmin over v of  m.v + s / (2 r) |v - u|_M^2 + |v|,   m the running mean of the batches' gradients, s that of their dual norms

of every block u: Adam (Kingma & Ba 2015) with one second moment a block, which keeps the proximal map of the penalty in closed form, in
a metric M of the data. So a step moves the hidden values of a block by about r, whatever the scale of loss, data or penalty. The rate
r falls along a cosine. Cones count by rho/2 times the squared distance to them, losses with a kink by their Moreau envelope.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace

from ..backend import Options, Progress
from ..program.arrays import Arrays
from .layer import Array, Batch, pull, smoothed
from .passes import prepared

if TYPE_CHECKING:
    from .program import BatchProgram

#: The first rate, as a share of the size of the targets; it falls to the share END of itself.
RATE, END = 0.05, 1e-3

#: How much of the running means is kept at a step: of the gradients, and of their squared norms.
MEAN, SQUARES = 0.9, 0.99

#: The rate after a step that is not finite, as a share of the one before.
BACK = 0.25

#: The weight of the cones and, as first and last, the width of the rounded loss, in units of the loss at zero and the targets.
RHO, WIDTHS = 1.0, (0.1, 0.002)

#: The share of an epoch, its end, in which the objective is estimated.
WATCHED = 0.25


@dataclass
class Best:
    """The blocks with the lowest estimate so far."""

    blocks: Array
    estimate: float
    epoch: int


class Steps:
    """One training run."""

    def __init__(self, program: BatchProgram, arrays: Arrays, epochs: int, seed: int, start: Array | None) -> None:
        self.program, self.arrays, self.epochs = program, arrays, epochs
        self.order = np.random.default_rng(seed)
        self.layer, self.metric = program.layer(arrays), program.metric(arrays)
        self.U = arrays.give(np.zeros(program.shape)) if start is None else start
        self.penalty = program.model.penalty.function(self.U.shape[-1])
        self.best = Best(self.U, math.inf, 0)
        self.back = 1.0
        unit = program.unit
        self.rho = RHO * unit
        self.widths = tuple(w / unit for w in WIDTHS) if program.has_kink else (0.0, 0.0)
        self._forget()

    def _forget(self) -> None:
        xp = array_namespace(self.U)
        self.mean = xp.zeros_like(self.U)
        self.squares = xp.zeros_like(self.U[..., 0])
        self.count = 0

    @property
    def width(self) -> float:
        """That of the rounded loss at the end."""
        return self.widths[1]

    def run(self, options: Options, line: Any) -> int:
        """Steps until the epochs are over, or the options say to stop; how many epochs were begun."""
        batches = self.program.found.totals.batches
        for epoch in range(self.epochs):
            self.watched: list[tuple[float, float]] = []
            for number, batch in enumerate(self._epoch()):
                done = epoch + number / batches
                watch = number >= (1 - WATCHED) * batches - 1
                if not self._step(batch, done / self.epochs, watch):
                    self._back_off()
                line(Progress(epoch + 1, self._estimate(), elapsed=time.perf_counter() - options.started))
                if _must_stop(options):
                    break
            estimate = self._estimate()
            if estimate < self.best.estimate:
                self.best = Best(array_namespace(self.U).asarray(self.U, copy=True), estimate, epoch + 1)
            if options.report(epoch + 1, estimate) or _must_stop(options):
                return epoch + 1
        return self.epochs

    def _epoch(self) -> Iterator[Batch]:
        for data in self.program.source.batches(self.order):
            yield prepared(self.program, self.arrays, self.layer, data)

    def _step(self, batch: Batch, done: float, watch: bool) -> bool:
        """One step; False where it was not finite."""
        xp = array_namespace(self.U)
        first, last = self.widths
        width = first * (last / first) ** min(1.2 * done, 1.0) if last else 0.0
        S = self.layer.hidden(self.U, batch.X)
        if watch:
            share = float(xp.sum(batch.weights))
            self.watched.append((share, float(batch.loss.value(self.layer.network(S, batch.patterns)))))
        slopes = smoothed(S, batch, self.layer, self.rho, width)
        G = pull(slopes.gradient, batch.X)
        self.count += 1
        self.mean *= MEAN
        G *= 1 - MEAN
        self.mean += G
        self.squares = SQUARES * self.squares + (1 - SQUARES) / (1 - MEAN) ** 2 * self.metric.dual_squares(G)
        rate = self.back * RATE * self.program.found.spread * max(0.5 * (1 + math.cos(math.pi * done)), END)
        sizes = xp.sqrt(self.squares / (1 - SQUARES**self.count))
        floor = 1e-6 * float(xp.max(sizes))
        if not (math.isfinite(slopes.loss) and math.isfinite(floor)):
            return False
        if floor == 0:  # nothing pulls
            return True
        scale = self.program.found.totals.batches
        U = self.metric.prox(self.U, self.mean * (scale / (1 - MEAN**self.count)), xp.clip(sizes, min=floor) * (scale / rate))
        if not math.isfinite(float(xp.sum(U))):
            return False
        self.U = U
        return True

    def _estimate(self) -> float:
        """The objective of the network, from the batches at the end of an epoch; NaN before there are any."""
        if not self.watched:
            return math.nan
        share, loss = (sum(part) for part in zip(*self.watched, strict=True))
        whole = float(self.program.weight_of_all)
        return loss / share * whole + float(self.penalty.value(array_namespace(self.U).reshape(self.U, (-1,))))

    def _back_off(self) -> None:
        """To the best blocks so far, at a smaller rate."""
        xp = array_namespace(self.U)
        known = math.isfinite(self.best.estimate)
        self.U = xp.asarray(self.best.blocks, copy=True) if known else xp.zeros_like(self.U)
        self.back *= BACK
        self._forget()


def _must_stop(options: Options) -> bool:
    """Whether Ctrl-C, the callback or the clock asks to stop."""
    if options.stopped is None and options.remaining() == 0:
        options.stopped = "time limit"
    return options.stopped is not None
