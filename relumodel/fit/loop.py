"""Adaptive patterns: descend, polish, price, grow, and again until the gap is small.

descend   a local descent on the neurons proposes activation patterns (descend.py)
polish    the convex program on these patterns is solved exactly: never worse than the network they came from; on more samples than
          POLISHED the weights of these neurons, and of all directions found before, are optimised instead (reweigh.py)
price     its dual is searched for directions that would lower the objective (price.py); the largest price gives the bound
grow      the directions found become small neurons, nearly parallel ones are merged, everything descends again together

A conditional gradient method over measures of neurons (Bach 2017, section 3; Boyd, Schiebinger & Recht 2017) whose
corrective steps are a non-convex descent and the convex program of Pilanci & Ergen (2020).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrangement.scaling import unit_rows
from ..certify.bound import relative_gap
from ..patterns.adaptive import AdaptivePatterns
from ..program.program import Program
from ..resources.deadline import current, limited, wrapping_up
from ..robustness.neurons import Neurons, neurons_of
from ..solve.choose import choose
from ..solve.solution import Solution
from ..solve.solve import solve
from .cells import Cells, cells_of
from .descend import descend, random_start
from .dual import Dual
from .measured import measured
from .merge import merged, spread
from .price import most_violating, prices
from .result import Round
from .reweigh import Directions, reweighed
from .training import Training

Matrix = NDArray[np.float64]

#: Rounds in a row that gain less than a tenth of the gap wanted, before the loop gives up.
PATIENCE = 4

#: Iterations of the first descent and of the later ones.
FIRST, LATER = 2000, 1000

#: Neurons within SAME (a cosine) of each other are merged; directions that enter, at most ENTER a round, are further apart than
#: APART, and start with SMALL times the size of the median neuron.
SAME, ENTER, APART, SMALL = 0.999, 80, 0.99, 0.03

#: A pricing that would end the loop is repeated with this many times as many starts.
CONFIRM = 4

#: The share of the time left that a descent may take, and of the rest that a convex program may, before pricing.
DESCENT, PROGRAM = 0.75, 0.8

#: The largest number of samples whose convex programs are solved every round, and of directions that are kept beyond it.
POLISHED, KNOWN = 2000, 1500

#: On more samples: iterations of the first descent and of the later ones; the size of neurons that enter, as SMALL, and how many.
BRIEF, SHORT, ENTERING, MANY = 600, 150, 0.2, 150

#: The share of the time left that is kept for the program of the result then, and seconds at most.
COMPILED = 0.2, 5.0

#: The largest rank of X at which a proof is tried.
PROVABLE = 8


@dataclass
class Loop:
    """The state of one run. `compile` : the program on some cells.  `options` : of `Program.solve`; `watch` is told every round and returns
    True to stop.  restricted : the program has constraints that the descent does not know, so its neurons may be no point of it.
    best, objective : the best network so far."""

    training: Training
    compile: Callable[[Cells], Program]
    strategy: AdaptivePatterns
    options: Mapping[str, Any]
    started: float
    watch: Callable[[Round], Any]
    restricted: bool = False
    solution: Solution | None = None
    best: Neurons | None = None
    objective: float = np.inf
    dual: Dual | None = None
    starts: int = 0
    stalled: int = 0
    proving: float = 0.0
    history: list[Round] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.strategy.seed)
        self.polishes = self.restricted or len(self.training.X) <= POLISHED  # or descends and reweighs alone
        self.known = Directions(np.zeros((0, self.training.X.shape[1])), self.training.serving(np.zeros(0, dtype=int), np.zeros(0)))
        self.provable = self.training.penalty.beta > 0 and np.linalg.matrix_rank(self.training.X) <= PROVABLE

    def run(self, neurons: Neurons | None) -> str:
        """Start from the neurons given, or from random ones; the status at the end. `solution` and `dual` hold what was found."""
        if neurons is None:
            neurons = self._descended(random_start(self.training, self.strategy.width, self.rng), FIRST if self.polishes else BRIEF)
        if self.polishes:
            return self._rounds(neurons)
        left = current().remaining()
        with limited(None if np.isinf(left) else left - min(COMPILED[0] * left, COMPILED[1])):
            status = self._rounds(neurons)
        self._compile()
        return status

    def _rounds(self, neurons: Neurons) -> str:
        entering = self._random(1)  # a direction, so that there is a pattern whatever the network
        for k in range(1, self.strategy.rounds + 1):
            before = self.objective
            patterns = self._polish(neurons, entering) if self.polishes else self._reweigh(neurons)
            over = self._price(neurons)
            assert self.dual is not None
            gap = relative_gap(self.objective, self.dual.bound)
            self.history.append(self._round(k, gap, patterns))
            stopped = self.solution is not None and self.solution.status == "interrupted"
            if self.watch(self.history[-1]) or stopped or current().interrupted:
                return "interrupted"
            if gap <= self.strategy.gap:
                return "optimal"
            if (reason := current().stopped) is not None:
                return reason
            gained = before - self.objective > 0.1 * self.strategy.gap * abs(self.objective)
            self.stalled = 0 if gained else self.stalled + 1
            if self.stalled == PATIENCE:
                break
            entering = np.vstack([over, self._random(ENTER)]) if self.stalled else over
            neurons = self._grow(entering)
        return "gap not reached"

    def _polish(self, neurons: Neurons, entering: Matrix) -> int:
        """Solve on the cells of the neurons, then those that enter, and those in use if the neurons are worse; how many cells."""
        X, best = self.training.X, self.solution
        if not len(neurons.blocks) + len(entering):
            entering = self._random(1)
        cells, index = cells_of(X, np.vstack([neurons.blocks, entering]), self.rng)
        if best is not None and (self.restricted or self.training.objective(neurons) > best.objective):
            cells = cells.joined(_in_use(best))
        cells = cells.take(slice(max(self.strategy.max_patterns, len(neurons.signs))))
        program = self.compile(cells)
        with limited(PROGRAM * current().remaining()):
            start = None if self.restricted else point_of(program, neurons, index)
            solution = self._solved(program, start)
        if best is None or solution.objective <= best.objective:
            self.solution, self.objective, self.best = solution, solution.objective, neurons_of(solution.network())
        self.multiplier = self.solution.dual["loss"]  # type: ignore[union-attr]
        return cells.count

    def _solved(self, program: Program, start: Matrix | None) -> Solution:
        """The program's solution. Where the first choice of "auto" misses the gap, the second may take twenty times as long; the next round has
        other patterns, so that is left for rounds that gain nothing."""
        options = dict(self.options)
        if options["backend"] == "auto" and not self.stalled:
            options["backend"] = choose(program, "auto", options["tol"])[0][0]
        return solve(program, warm_start=start, **options)

    def _reweigh(self, neurons: Neurons) -> int:
        """Optimise the weights of the neurons and of the directions known; how many are in use."""
        found, self.multiplier = reweighed(self.training, neurons, self.known)
        found = min(found, neurons, key=self.training.objective)
        if (objective := self.training.objective(found)) < self.objective:
            self.best, self.objective = found, objective
        return len(found.signs)

    def _compile(self) -> None:
        """The program on the best network's cells, with the network as its point."""
        assert self.best is not None
        blocks = self.best.blocks if len(self.best.blocks) else self._random(1)
        cells, index = cells_of(self.training.X, blocks, self.rng)
        program = self.compile(cells)
        spent = time.perf_counter() - self.started
        self.solution = measured(program, point_of(program, self.best, index), self.options["tol"], spent, tightened=False)
        self.objective = self.solution.objective

    def _price(self, neurons: Neurons) -> Matrix:
        """Price the multiplier and keep the better of it and the one before; the directions that would lower the objective."""
        assert self.best is not None
        fresh = Dual.at(self.training, self.multiplier)
        active = self.best.blocks
        fresh.see(np.vstack([active, neurons.blocks, *([] if self.dual is None else [self.dual.directions])]))
        known = np.vstack([active, spread(fresh.directions, APART, ENTER)])
        self._search(fresh, known, self._near(active, self.strategy.starts_on(len(self.training.X))))
        if self.dual is not None:
            self.dual.see(np.vstack([active, fresh.directions]))
        if self.dual is None or fresh.bound >= self.dual.bound:
            self.dual = fresh
        self._confirm(self.dual, active)
        fresh.see(self.dual.directions)
        over = np.abs(prices(self.training, fresh.directions, fresh.nu)) > self.training.penalty.beta
        return spread(fresh.directions[over], APART, ENTER if self.polishes else MANY)

    def _confirm(self, dual: Dual, active: Matrix) -> None:
        """A gap that would end the loop is looked at again: by a proof where that is in reach, else by more starts."""
        gap = self.strategy.gap
        if dual.proved is None and relative_gap(self.objective, dual.bound) <= gap:
            self._prove(dual, gap)
            if dual.proved is None and relative_gap(self.objective, dual.bound) <= gap:
                starts = self._near(active, CONFIRM * self.strategy.starts_on(len(self.training.X)))
                self._search(dual, starts, independent=True)

    def _prove(self, dual: Dual, gap: float) -> None:
        """Try to prove the gap, in what is left of the time for proofs."""
        left, started = min(self.strategy.seconds_of_proof - self.proving, current().remaining()), time.perf_counter()
        if self.provable and left > 0:
            dual.prove(left, self.objective - gap * abs(self.objective))
            self.proving += time.perf_counter() - started

    def _search(self, dual: Dual, *starts: Matrix, independent: bool = False) -> None:
        together = np.vstack(starts)
        with wrapping_up():
            self.starts += dual.search(together, independent)

    def _grow(self, entering: Matrix) -> Neurons:
        """The network, nearly parallel neurons merged and small ones added along the entering directions, descended together."""
        assert self.best is not None
        network, penalty = merged(self.best, SAME), self.training.penalty
        residual = self.training.loss.gradient(self.training.predictions(network))
        sizes = penalty.norms(network.blocks)
        small = (SMALL if self.polishes else ENTERING) * float(np.median(sizes)) if len(sizes) else 1e-3
        blocks = entering * (small / np.maximum(penalty.norms(entering), 1e-300))[:, None]
        price, output = most_violating(self.training, blocks, residual)
        signs = self.training.serving(output, np.where(price > 0, -1.0, 1.0))
        if not self.polishes:
            self.known.add(entering / np.maximum(penalty.norms(entering), 1e-300)[:, None], signs, KNOWN)
        start = self.training.neurons(np.vstack([network.blocks, blocks]), np.concatenate([network.signs, signs]))
        return self._descended(start, LATER if self.polishes else SHORT)

    def _descended(self, start: Neurons, iterations: int) -> Neurons:
        with limited(DESCENT * current().remaining()):
            return descend(self.training, start, iterations, self.rng, rough=not self.polishes)

    def _near(self, active: Matrix, count: int) -> Matrix:
        """Starts for pricing: Gaussian directions, and every other one a random mixture of two neurons."""
        starts = self._random(count)
        if len(active):
            units = unit_rows(active)
            first, second = self.rng.integers(len(units), size=(2, count // 2))
            starts[: count // 2] = units[first] + self.rng.standard_normal((count // 2, 1)) * units[second]
        return starts

    def _random(self, count: int) -> Matrix:
        return self.rng.standard_normal((count, self.training.X.shape[1]))

    def _round(self, number: int, gap: float, patterns: int) -> Round:
        assert self.best is not None
        assert self.dual is not None
        return Round(
            iteration=number,
            objective=self.objective,
            bound=self.dual.bound,
            gap=gap,
            patterns=patterns,
            neurons=len(self.best.signs),
            price=self.dual.price,
            elapsed=time.perf_counter() - self.started,
        )


def _in_use(solution: Solution) -> Cells:
    """The cells of the blocks that are not zero."""
    inverse: Any = solution.program.inverse
    while hasattr(inverse, "one"):
        inverse = inverse.one
    used = np.unique(np.flatnonzero(inverse.blocks(solution.point).any(axis=1)) % inverse.found.count)
    return Cells(inverse.found.D, inverse.found.known).take(used)


def point_of(program: Program, neurons: Neurons, cell: NDArray[np.intp]) -> Matrix:
    """The neurons as a point of the program on their cells; those of one output and sign in one cell add up."""
    blocks = np.zeros((program.n_variables // neurons.blocks.shape[1], neurons.blocks.shape[1]))
    signs = neurons.signs if neurons.signs.ndim == 2 else neurons.signs[:, None]
    output = np.abs(signs).argmax(axis=1)
    copy = 2 * output + (signs[np.arange(len(signs)), output] < 0)
    np.add.at(blocks, copy * (len(blocks) // (2 * signs.shape[1])) + cell[: len(signs)], neurons.blocks)
    return blocks.reshape(-1)
