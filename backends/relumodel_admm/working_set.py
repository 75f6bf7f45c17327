"""The interior point on fewer and fewer blocks.

At the optimum most blocks are zero, and which ones shows early: after some eight iterations, at a gap of 0.3, the blocks that
will be used are the largest. So the interior point starts on all blocks, drops the small ones as the gap falls (dropping is
a warm start that costs nothing), and finishes on few. The dual then prices the dropped blocks: their multipliers from when
they were dropped often prove them superfluous as they are, pricing.py improves the others. Blocks that should not have been
dropped come back, and the iteration resumes from the first drop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relumodel.backend import current, speed

from .infeasible import Ray
from .interior_point import InteriorPoint, Outcome
from .iterate import Iterate, Measure
from .linear_algebra import Gram
from .pricing import LIMIT, Prices, part, price
from .scaled import Scaled

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

#: Blocks smaller than this share of the largest, times the root of the gap, are dropped; first at a gap of FIRST, then
#: whenever it has fallen by the factor AGAIN.
SHARE, FIRST, AGAIN = 0.1, 0.3, 2.0

#: How often dropped blocks may come back before all of them do.
ROUNDS = 4


@dataclass
class Answer:
    """All blocks: u (count, d), cone multipliers (count, n) or (count, 0), q, and how it went. infeasible : q and the multipliers of cones
    prove that no point satisfies the constraints."""

    u: Matrix
    q: Vector
    multipliers: Matrix
    objective: float
    iterations: int
    solved: bool
    used: int
    rounds: int
    infeasible: bool = False


def operations(m: int, d: int, patterns: int) -> float:
    """Floating-point operations of one step, nearly: the coupling matrix of order min(m, patterns d), m the readings, and its factor."""
    order = min(m, patterns * d)
    return 1.0 * order * m * patterns * d + order**3 / 3


class WorkingSet:
    """The descent on the blocks of a program. `watch` is told the iteration and its measure and returns True to stop."""

    def __init__(self, problem: Scaled, gram: Gram, tol: float, limit: int, watch: Callable[[int, Measure], bool]) -> None:
        self.problem, self.gram, self.tol, self.limit, self.watch = problem, gram, tol, limit, watch
        self.everything = problem.blocks(np.arange(problem.count))
        self.first: Iterate | None = None
        self.iterations = 0
        self.stopped = self.late = False

    def solve(self, start: Iterate | None = None) -> Answer:
        """Drop, finish, price, and again with the blocks that come back. start : on all blocks, the interior point's own if not given."""
        everyone = np.arange(self.everything.count)
        kept, rounds = everyone, 1
        if start is None:
            start = InteriorPoint(self.problem, self.gram, self.everything).start()
        best: tuple[float, Answer] | None = None
        while True:
            kept, outcome = self._descend(kept, start, drop=rounds == 1)
            left = np.setdiff1d(everyone, kept)
            if outcome.ray is not None and not len(left):
                return self._proved(outcome, outcome.ray, rounds)
            prices = self._price(left, outcome.iterate.q)
            answer = self._answer(kept, left, outcome, prices, rounds)
            apart = self._apart(outcome, prices)
            if best is None or apart <= best[0]:
                best = apart, answer
            back = left[prices.enter]
            lost = rounds == 1 and not outcome.solved and not self.stopped and len(left) > 0
            if not lost and (not len(back) or not outcome.solved):
                return best[1]
            rounds += 1
            kept = np.union1d(kept, back) if rounds <= ROUNDS and not lost else everyone
            assert self.first is not None  # something was dropped
            start = self.first.take(kept)

    def _apart(self, outcome: Outcome, prices: Prices) -> float:
        """How far objective, violation repaired, and bound of all blocks are apart."""
        measure, gauge = outcome.measure, max(1.0, float(prices.gauge.max(initial=0.0)))
        lost = measure.bound + self.problem.loss.conjugate(outcome.iterate.q / gauge) if gauge > 1 else 0.0
        return measure.worth * abs(measure.objective) + max(lost, 0.0)

    def _descend(self, kept: NDArray[np.intp], at: Iterate, drop: bool) -> tuple[NDArray[np.intp], Outcome]:
        """The interior point to the end, dropping small blocks on the way where that is allowed."""
        goal = FIRST if drop else 0.0
        while True:
            solver = InteriorPoint(self.problem, self.gram, part(self.everything, kept))
            outcome = solver.run(at, self.tol, self.limit - self.iterations, self._watcher(goal, len(kept)))
            if not outcome.stopped or self.stopped:
                return kept, outcome
            at, goal = outcome.iterate, outcome.measure.gap / AGAIN
            if self.first is None:
                self.first = at
            large = self._large(solver, outcome)
            kept, at = kept[large], at.take(large)

    def _large(self, solver: InteriorPoint, outcome: Outcome) -> NDArray[np.bool_]:
        """The blocks to go on with: all of them, if dropping the small ones would cost more than the gap."""
        state, measure = outcome.iterate.state, outcome.measure
        size = state.t.reshape(len(state.u), -1).sum(axis=1)
        large = size > SHARE * np.sqrt(measure.gap) * size.max()
        loss, q = self.problem.loss, outcome.iterate.q
        r = self.problem.predict(part(solver.blocks, np.flatnonzero(large)), state.u[large] @ self.gram.XT)
        broken = float(np.abs(q) @ loss.outside(r)) - measure.violation
        cost = loss.value(r) + max(broken, 0.0) + size[large].sum() - measure.objective
        return large if cost <= measure.objective - measure.bound else np.ones_like(large)

    def _watcher(self, goal: float, blocks: int) -> Callable[[Measure, Iterate], bool]:
        """Stops when the caller wants it, when the gap has fallen to `goal`, or when there is no time for another step, which nothing
        interrupts: what the last one took, or what the first is estimated to."""
        fresh, before = True, current().remaining()
        needed = operations(self.problem.loss.size, self.gram.X.shape[1], min(blocks, (self.everything.count + 1) // 2)) / speed()

        def watch(measure: Measure, at: Iterate) -> bool:
            nonlocal fresh, before, needed
            left = current().remaining()
            if not fresh:
                self.iterations += 1
                needed = before - left
            fresh, before = False, left
            self.stopped = self.watch(self.iterations, measure)
            if not self.stopped and left < needed:
                self.stopped = self.late = True
            # an iterate outside its cones may lie below the bound: such a gap says nothing yet
            return self.stopped or 0 < measure.gap <= goal

        return watch

    def _price(self, left: NDArray[np.intp], q: Vector) -> Prices:
        """Prices of the dropped blocks, from the states they were dropped with; a quick look only after a stop."""
        blocks = part(self.everything, left)
        warm = None if self.first is None else self.first.state.take(left)
        return price(self.problem, self.gram, blocks, q, 0.1 * self.tol, warm, 0 if self.stopped else LIMIT)

    def _proved(self, outcome: Outcome, ray: Ray, rounds: int) -> Answer:
        """The ray, with the point where it was found."""
        index, everything = self.everything.index, self.everything.count
        u, multipliers = np.zeros((everything, self.gram.X.shape[1])), np.zeros(self.everything.side.shape)
        u[index], multipliers[index] = outcome.iterate.state.u, ray.a
        return Answer(u, ray.q, multipliers, outcome.measure.objective, self.iterations, False, everything, rounds, infeasible=True)

    def _answer(self, kept: NDArray[np.intp], left: NDArray[np.intp], outcome: Outcome, prices: Prices, rounds: int) -> Answer:
        state, index = outcome.iterate.state, self.everything.index
        u = np.zeros((self.problem.count, self.gram.X.shape[1]))
        multipliers = np.zeros((self.problem.count, self.everything.side.shape[1]))
        u[index[kept]], multipliers[index[kept]] = state.u, state.a
        multipliers[index[left]] = prices.multipliers
        objective = outcome.measure.objective
        return Answer(u, outcome.iterate.q, multipliers, objective, self.iterations, outcome.solved, len(kept), rounds)
