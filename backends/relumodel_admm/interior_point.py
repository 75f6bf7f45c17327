"""A structured primal-dual interior point for two-layer programs (Mehrotra's predictor-corrector, Nesterov-Todd scaling).

    min  J(r) + sum_b |u_b|_*,   r = A F u,   G u >= 0        (engine units, see scaled.py)

J is a sum of losses and indicators of single readings. Unknowns: the blocks (u, t, s, a, y) of block_newton.py, the multiplier q of
r = A F u, strictly inside its interval, and the multipliers h, l of the interval's ends (dual_loss.py), the slacks of bounds among them. One iteration costs the Hessians of the blocks, one coupling matrix
and a few products with X.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .block_newton import BlockNewton, State, ratio
from .coupled_system import Pairs, System
from .coupling import FINE, FORMS
from .infeasible import SUSPECT, Ray, proof_against
from .iterate import FEASIBLE, Iterate, Measure
from .linear_algebra import Gram
from .norm_cone import dots
from .scaled import Blocks, Scaled

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

#: The share of the longest step that is taken.
FRACTION = 0.99

#: Directions are centred up to so many times where the coupling matrix takes DEAR times the operations of a product with all blocks: towards
#: products within NEAR of their aim after a step that is longer by FURTHER, kept while the step becomes longer by GAIN. The affine step is
#: then taken to reach BOLD further than it does, in choosing the aim.
CORRECTORS, DEAR, NEAR, FURTHER, GAIN, BOLD = 3, 300.0, (0.1, 10.0), 0.3, 0.02, 0.25

#: Where zero is outside of constraints, norms and rows of cones start this many times larger: how large they become is not known then,
#: and steps from a start that is too small are short. Too large a start costs two or three iterations.
GENEROUS = 30.0

#: Multipliers of bounds start this far from zero, as a share of a typical one.
HARD = 1.0

#: Rows of the cones start at this many times the size that suffices to fit the data, or at that of u where it is less.
REACH = 500.0

#: Above this gap the coupling matrix is formed in float32.
COARSE = 1e-4

#: The central path is weighted: a pair (s, a) of the B n cone rows aims at mu, a pair of the B norms at n^SHARING mu, a pair
#: of the n samples' intervals at B^SHARING mu. With equal targets the many rows of the cones force q and y against their
#: boundaries long before they are near their final values, and steps become short.
SHARING = 0.75


@dataclass
class Outcome:
    """The last iterate, its measure, how many iterations, and whether the gap was reached. ray : multipliers that prove that these blocks
    cannot satisfy the constraints."""

    iterate: Iterate
    measure: Measure
    iterations: int
    solved: bool
    stopped: bool = False
    ray: Ray | None = None


class InteriorPoint:
    """The iteration on some blocks of a program."""

    def __init__(self, problem: Scaled, gram: Gram, blocks: Blocks) -> None:
        self.problem, self.gram, self.blocks = problem, gram, blocks
        loss = problem.loss
        self.has_high, self.has_low = np.isfinite(loss.high), np.isfinite(loss.low)
        self.ends = int((self.has_high | self.has_low).sum())  # both of an interval as one: aims a little higher, which saves steps
        self.norm_weight = max(1, blocks.side.shape[1]) ** SHARING
        self.loss_weight = blocks.count**SHARING
        self.forms = FORMS if min(loss.size, blocks.count * gram.X.shape[1]) <= FINE else FORMS[:-1]

    def start(self) -> Iterate:
        """u = 0, everything else near the central path of a complementarity of `small` / (100 blocks)."""
        problem, blocks, loss = self.problem, self.blocks, self.problem.loss
        B, d = blocks.count, self.gram.X.shape[1]
        slope = loss.slope(np.zeros(loss.size))
        # in the metric of equal columns: the cones' multipliers will cancel what large columns have too much
        gauge = float(problem.gauges(problem.pulls(blocks, slope) / problem.columns).max())
        q = loss.inside(loss.inside(slope, 0.1) * min(1.0, 2.0 / gauge), 1e-3)
        q = np.where(loss.hard, loss.inside(q, HARD), q)
        small = self._small(slope / max(1.0, gauge))
        far = GENEROUS if loss.outside(np.zeros(loss.size)).any() else 1.0
        t = np.full(B * d // problem.group, far * small / B)
        s = np.full(blocks.side.shape, 0.1 * far / B * min(small, self._reach(slope)))
        mu = 0.01 * far * small / B
        state = State(np.zeros((B, d)), t, s, mu / s, np.zeros((B, d)))
        lack = -loss.conjugate_slopes(q)[0]
        high, low = self._ends(q)
        h = np.where(self.has_high, np.maximum(lack, 0) + mu / high, 0.0)
        l = np.where(self.has_low, np.maximum(-lack, 0) + mu / low, 0.0)  # noqa: E741
        return Iterate(state, q, h, l)

    def _small(self, q: Vector) -> float:
        """The size of u to start with, in (0, 1]: a dual-feasible direction q bounds the optimum from below, and where that
        bound is tiny (large data, weak penalty) so is u."""
        loss = self.problem.loss
        bound = max(-loss.conjugate(share * q) for share in np.geomspace(1e-3, 1, 16))
        return float(np.sqrt(np.clip(1e3 * bound, 1e-16, 1)))

    def _reach(self, slope: Vector) -> float:
        """How large the rows of the cones may become: REACH times what changes the prediction of every sample as far as the loss
        asks for, value / slope at zero. Where columns differ by orders of magnitude that is many orders below |u|."""
        most = self.problem.row_norms.max() * self.problem.f0 / self.problem.beta
        return float(REACH / (most * np.abs(slope).sum()))

    def _ends(self, q: Vector) -> tuple[Vector, Vector]:
        """The distances of q to the ends of its interval, one where there is none."""
        loss = self.problem.loss
        return np.where(self.has_high, loss.high - q, 1.0), np.where(self.has_low, q - loss.low, 1.0)

    def run(self, at: Iterate, tol: float, limit: int = 100, watch: Callable[[Measure, Iterate], bool] | None = None) -> Outcome:
        """Iterate to a relative gap of `tol` on these blocks; `watch` returns True to stop. Never raises for numerical
        reasons: the best iterate is returned as it is. When `watch` stops, the last iterate is returned."""
        best, best_measure, extra, short = at, Measure(np.inf, -np.inf, np.inf), 1.0, 0
        form = "single"
        with np.errstate(all="ignore"):
            for k in range(limit + 1):
                forward = Forward(self, at)
                measure = forward.measure()
                if not np.isfinite(measure.gap):
                    break
                if k == 0 or measure.worth <= best_measure.worth:
                    best, best_measure = at, measure
                if measure.gap <= tol and measure.violation <= FEASIBLE * max(1.0, abs(measure.objective)):
                    return Outcome(at, measure, k, True)
                if watch is not None and watch(measure, at):
                    return Outcome(at, measure, k, False, stopped=True)
                if measure.bound > SUSPECT and (ray := proof_against(self.problem, self.blocks, at.q, at.state.a)) is not None:
                    return Outcome(at, measure, k, False, ray=ray)
                if k == limit or short >= 5:
                    break
                form = "double" if form == "single" and measure.gap <= COARSE else form
                try:
                    at, length = self._step(at, forward, extra, form)
                except np.linalg.LinAlgError:
                    if form != self.forms[-1]:
                        form = self.forms[self.forms.index(form) + 1]
                        continue
                    extra *= 100
                    if extra > 1e7:
                        break
                    continue
                short = short + 1 if length < 1e-2 else 0
                extra = max(1.0, extra / 10)
        return Outcome(best, best_measure, k, False)

    def _step(self, at: Iterate, forward: Forward, extra: float, form: str) -> tuple[Iterate, float]:
        """One predictor-corrector step."""
        newton = BlockNewton(self.blocks, self.gram, at.state, extra=extra)
        pairs = Pairs(self.problem.loss, at, self._ends(at.q), forward.r)
        system = System(self.problem, newton, at, pairs, forward.total, form, extra)
        mu = forward.mu
        newton.affine(forward.dual, forward.primal)
        ahead = system.direction(-at.h * pairs.high * self.has_high, -at.l * pairs.low * self.has_low)
        alpha = min(1.0, *self._longest(at, pairs, ahead))
        dear = system.coupling.share > DEAR
        towards = max(1 - alpha - BOLD * dear, 0.05 * dear) ** 3 * mu
        newton.corrected(towards, self.norm_weight * towards, ahead.state, forward.dual, forward.primal)
        at_ends = self.loss_weight * towards
        high = (at_ends - at.h * pairs.high + ahead.h * ahead.q) * self.has_high
        low = (at_ends - at.l * pairs.low - ahead.l * ahead.q) * self.has_low
        ahead = system.direction(high, low)
        if dear:
            ahead = self._centred(system, ahead, high, low, towards)
        primal, dual = (min(1.0, FRACTION * alpha) for alpha in self._longest(at, pairs, ahead))
        state = State(*vars(at.state).values())
        state.step(ahead.state, primal, dual)
        after = Iterate(state, at.q + dual * ahead.q, at.h + primal * ahead.h, at.l + primal * ahead.l)
        return after, min(primal, dual)

    def _centred(self, system: System, ahead: Iterate, high: Vector, low: Vector, towards: float) -> Iterate:
        """A direction with longer steps, by solves with the factors at hand (Gondzio 1996, "Multiple centrality corrections"): products of
        pairs that would be far from their aim after such a step are sent towards it."""
        at, pairs, newton, ends = system.at, system.pairs, system.newton, self.loss_weight * towards
        longest = self._longest(at, pairs, ahead)
        for _ in range(CORRECTORS):
            if min(longest) >= 1:
                break
            primal, dual = (min(1.0, alpha + FURTHER) for alpha in longest)
            state, step = at.state, ahead.state
            newton.centred(_lack((state.s + primal * step.s) * (state.a + dual * step.a), towards))
            high = high + _lack((at.h + primal * ahead.h) * (pairs.high - dual * ahead.q), ends) * self.has_high
            low = low + _lack((at.l + primal * ahead.l) * (pairs.low + dual * ahead.q), ends) * self.has_low
            other = system.direction(high, low)
            now = self._longest(at, pairs, other)
            if min(now) < min(longest) + GAIN or max(now) < 0.9 * max(longest):
                break
            ahead, longest = other, now
        return ahead

    def _longest(self, at: Iterate, pairs: Pairs, ahead: Iterate) -> tuple[float, float]:
        """The longest primal and dual steps."""
        primal, dual = (float(steps.min()) for steps in at.state.longest(ahead.state))
        for has, e, de, distance, dq in (
            (self.has_high, at.h, ahead.h, pairs.high, -ahead.q),
            (self.has_low, at.l, ahead.l, pairs.low, ahead.q),
        ):
            primal = min(primal, float(ratio(e[has], de[has])))
            dual = min(dual, float(ratio(distance[has], dq[has])))
        return primal, dual


def _lack(products: Matrix, aim: float) -> Matrix:
    """What products lack to NEAR of their aim, or exceed it by, this no more than NEAR itself."""
    return np.maximum(np.clip(products, NEAR[0] * aim, NEAR[1] * aim) - products, -NEAR[1] * aim)


class Forward:
    """Products and residuals at an iterate."""

    def __init__(self, solver: InteriorPoint, at: Iterate) -> None:
        self.solver, self.at = solver, at
        blocks, X, XT = solver.blocks, solver.gram.X, solver.gram.XT
        state = at.state
        U = state.u @ XT
        self.r = solver.problem.predict(blocks, U)
        self.pull = solver.problem.pulls(blocks, at.q)
        if blocks.side.shape[1]:
            self.signed = U * blocks.side
            self.primal = self.signed - state.s
            self.pull -= (blocks.side * state.a) @ X
        else:
            self.signed = self.primal = state.s
        self.dual = self.pull - state.y
        high, low = solver._ends(at.q)
        total = state.complementarity().sum() + float(at.h @ high) + float(at.l @ low)
        self.total = total
        self.mu = total / (state.s.size + solver.norm_weight * len(state.t) + solver.loss_weight * solver.ends)

    def measure(self) -> Measure:
        """Objective, bound, violation: all exact at (u, q, a), whatever the residuals. What readings are outside of indicators by costs
        as much as their multipliers say."""
        problem, u = self.solver.problem, self.at.state.u
        norms = np.sqrt(dots(rows := u.reshape(-1, problem.group), rows)).sum()
        gauge = float(problem.gauges(self.pull).max())
        bound = -problem.loss.conjugate(self.at.q / max(1.0, gauge))
        violation = max(self._violation(), float(np.abs(self.at.q) @ problem.loss.outside(self.r)))
        return Measure(problem.loss.value(self.r) + float(norms), bound, violation)

    def _violation(self) -> float:
        """The largest violation of a block as a share of its largest row, times the block's norm: what a repair may cost."""
        if not self.signed.shape[1]:
            return 0.0
        low, high = self.signed.min(axis=1), self.signed.max(axis=1)
        out = low < 0
        size = np.sqrt(dots(self.at.state.u, self.at.state.u))
        return float((np.minimum(1.0, -low[out] / np.maximum(high[out], 1e-300)) * size[out]).max(initial=0.0))
