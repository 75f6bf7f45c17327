"""Adaptive training for the worst case: descend on the certified bound, polish through the crossing program, and again.

explore   a descent from random neurons on the certified objective, slopes and weights moving together (robust_descend.py)
settle    a gentle descent from there, then the convex crossing program of these neurons with the slopes of their own certificate
          (robust_program.py): never above it, and its network never above the program; again while they gain
bound     where the program is small: a loss is at least that on any fixed perturbed samples, so no network is better in the worst case
          than the best one on the samples that attack the result, whose objective clean training bounds from below

The certified objective of the best network never rises from round to round. A convex-concave procedure (Yuille & Rangarajan 2003)
with restarts.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..certify.bound import relative_gap
from ..data import Data
from ..declare.perturbations import Ball
from ..lift.lower import lower
from ..patterns.adaptive import AdaptivePatterns
from ..resources.deadline import current, limited
from ..robustness.neurons import Neurons, neurons_of
from ..robustness.worst_case import worst_case
from ..solve.solution import Solution
from ..solve.solve import solve
from .loop import Loop
from .measured import measured
from .result import Round
from .robust_descend import descend, random_start
from .robust_program import program_of
from .robust_training import RobustTraining
from .training import Training

if TYPE_CHECKING:
    from ..declare.model import Model

Matrix = NDArray[np.float64]

#: Steps and first rate of an exploring and of a settling descent.
EXPLORE, SETTLE = (2000, 0.3), (1000, 0.02)

#: Gentle descents in one round, at most.
TURNS = 5

#: Rounds in a row that gain less than the gap wanted, before the loop gives up.
PATIENCE = 2

#: The share of the time left that exploring may take; settling takes the same of the rest.
SHARE = 0.75

#: Blocks below these shares of the largest are tried as zero, the largest first.
NEGLIGIBLE = (3e-2, 1e-2, 1e-3)

#: A program whose loss reads more numbers than this is not polished: conic solvers then take longer than descents that gain more.
POLISHED = 10_000

#: Neurons are measured exactly when their estimate is at most this many times the best objective.
NEAR = 1.02

#: Rounds of clean training on the attacked data, for the lower bound.
ATTACKED = 3


@dataclass
class RobustLoop:
    """The state of one run. `options` : of `Program.solve`; `watch` is told every round and returns True to stop."""

    model: Model
    data: Data
    ball: Ball
    strategy: AdaptivePatterns
    options: Mapping[str, Any]
    started: float
    watch: Callable[[Round], Any]
    objective: float = np.inf
    bound: float = 0.0
    starts: int = 0
    price: float = float("nan")
    history: list[Round] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.training = RobustTraining.of(self.model, self.data, self.ball)
        self.rng = np.random.default_rng(self.strategy.seed)
        self._keep(self.training.neurons(np.zeros((0, self.training.X.shape[1])), np.zeros(0)))

    def run(self, neurons: Neurons | None) -> str:
        """Start from the neurons given, or from random ones; the status at the end. `best` and `objective` hold what was found."""
        if neurons is not None:
            self._keep(neurons, exactly=True)
        status = self._rounds(neurons)
        if status == "gap not reached" and self._small(len(self.best.signs)):
            self._lower_bound()
        if status == "interrupted" or current().interrupted:
            return "interrupted"
        return "optimal" if relative_gap(self.objective, self.bound) <= self.strategy.gap else status

    def solution(self) -> Solution:
        """The crossing program of the best neurons, measured at them."""
        program, point = program_of(self.model, self.data, self.training, self.best)
        return measured(program, point, self.options["tol"], time.perf_counter() - self.started)

    def _rounds(self, neurons: Neurons | None) -> str:
        """Explore, or go on with neurons that still gain, and settle; why it ended."""
        stalled, longest = 0, 0.0
        for k in range(1, self.strategy.rounds + 1):
            before, begun = self.objective, time.perf_counter()
            if neurons is None:
                start = random_start(self.training, self.strategy.width, self.rng)
                neurons = self._descended(start, EXPLORE)
            neurons = self._settle(neurons)
            longest = max(longest, time.perf_counter() - begun)
            self.history.append(self._round(k))
            if self.watch(self.history[-1]) or current().interrupted:
                return "interrupted"
            if current().remaining() < 0.5 * longest:  # too little for another to end well
                return "time limit"
            stalled = 0 if before - self.objective > self.strategy.gap * self.objective else stalled + 1
            if stalled == PATIENCE:
                break
        return "gap not reached"

    def _settle(self, neurons: Neurons) -> Neurons | None:
        """Gentle descents and convex programs in turn, while they gain; the neurons if there may be more to gain."""
        objective = self._keep(neurons)
        for _ in range(TURNS):
            if current().expired():
                return None
            before = objective
            neurons = self._descended(neurons, SETTLE)
            if self._small(len(neurons.signs)):
                neurons = self._polished(neurons)
            objective = self._keep(neurons)
            if before - objective <= self.strategy.gap * objective:
                return None
        return neurons

    def _polished(self, neurons: Neurons) -> Neurons:
        """The neurons at the optimum of their crossing program."""
        program, point = program_of(self.model, self.data, self.training, neurons)
        return neurons_of(solve(program, warm_start=point, **self.options).network())

    def _small(self, width: int) -> bool:
        """Whether the crossing program of so many neurons can be solved in about the time of a descent."""
        n, d = self.training.X.shape
        return len(self.training.signs) * n * (1 + d + width) <= POLISHED

    def _keep(self, neurons: Neurons, exactly: bool = False) -> float:
        """The certified objective of the neurons, or an estimate where it is far from the best; they become the best if they are."""
        estimate = self.training.estimate(neurons)
        if estimate > NEAR * self.objective and not exactly:
            return estimate
        objective = self.training.objective(neurons)
        if objective < self.objective:
            self.best, self.objective = neurons, objective
        return objective

    def _sparse(self, neurons: Neurons) -> Neurons:
        """The neurons without those that count for little, where that costs less than a tenth of the gap wanted."""
        sizes = self.training.clean.penalty.norms(neurons.blocks)
        limit = self.training.estimate(neurons) * (1 + 0.1 * self.strategy.gap)
        for share in NEGLIGIBLE:
            used = sizes > share * sizes.max(initial=0.0)
            fewer = self.training.neurons(neurons.blocks[used], neurons.signs[used])
            if self.training.estimate(fewer) <= limit:
                return fewer
        return neurons

    def _descended(self, neurons: Neurons, how: tuple[int, float]) -> Neurons:
        with limited(SHARE * current().remaining()):
            found = descend(self.training, neurons, *how)
        return self._sparse(found)

    def _lower_bound(self) -> None:
        """Clean training on the perturbed samples that are worst for the best network."""
        model, data = self.model, self.data
        attack = worst_case(self.best, model.loss, data.X, data.y, self.ball, model.network.bias).X
        strategy = dataclasses.replace(self.strategy, rounds=ATTACKED)
        clean, attacked = dataclasses.replace(model, perturbation=None), dataclasses.replace(data, X=attack)
        training, compiled = Training.of(clean, attacked), partial(lower, clean.network, clean, attacked)
        loop = Loop(training, compiled, strategy, self.options, self.started, lambda progress: False)
        loop.run(self.best)
        if loop.dual is not None:
            self.bound, self.starts, self.price = max(0.0, loop.dual.bound), loop.starts, loop.dual.price

    def _round(self, number: int) -> Round:
        return Round(
            iteration=number,
            objective=self.objective,
            bound=self.bound,
            gap=relative_gap(self.objective, self.bound),
            patterns=len(self.best.signs),
            neurons=len(self.best.signs),
            price=self.price,
            elapsed=time.perf_counter() - self.started,
        )
