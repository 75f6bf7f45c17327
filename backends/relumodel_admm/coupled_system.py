"""The Newton system of blocks and readings together, at one iterate: from aims of all pairs to a direction, refined."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .block_newton import BlockNewton
from .coupling import Coupling
from .dual_loss import DualLoss
from .iterate import Iterate
from .scaled import Scaled

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

#: Refinement stops at this residual, relative to the complementarity, or after so many steps.
REFINED, REFINEMENTS = 1e-5, 6

#: Refinement goes on while the residual would change the dual y of a norm by more than this share of its distance from the ball.
SLIP = 0.1

#: A direction with a larger residual is not taken; the regularisation is raised instead.
ROUGH = 0.1

#: What is added to the curvature of a row, as a share of its weight's inverse; refinement takes it out again. Where the system could not be
#: solved, because equations depend on each other, more of it stays in: a proximal step of their multipliers.
SOFT = 1e-10


class Pairs:
    """The loss at an iterate and its readings r: distances to the ends of the interval, its curvature E, and its residual."""

    def __init__(self, loss: DualLoss, at: Iterate, ends: tuple[Vector, Vector], r: Vector) -> None:
        self.high, self.low = ends
        slope, curvature = loss.conjugate_slopes(at.q)
        self.E = curvature + at.h / self.high + at.l / self.low
        self.residual = r - slope - at.h + at.l


class System:
    """Blocks and loss together: from the targets of `newton` and of the interval's ends to a direction."""

    def __init__(
        self, problem: Scaled, newton: BlockNewton, at: Iterate, pairs: Pairs, total: float, form: str, extra: float
    ) -> None:
        self.problem, self.newton, self.pairs, self.at, self.total = problem, newton, pairs, at, total
        soft = SOFT * extra / problem.loss.weights
        self.E = pairs.E + soft * problem.loss.hard if extra > 1 else pairs.E
        self.coupling = Coupling(newton.blocks, problem.readings, newton.gram, newton.factors, pairs.E + soft, form)

    def direction(self, high: Vector, low: Vector) -> Iterate:
        """Targets e dh + h de = high (and low alike) at the ends. Refinement takes the regularisation out."""
        pairs, problem = self.pairs, self.problem
        r = -pairs.residual + high / pairs.high - low / pairs.low
        du, dU, da, dq = self._refined(r)
        state = self.newton.direction(du, dU, da, problem.pulls(self.newton.blocks, dq))
        at = self.at
        h = (high + at.h * dq) / pairs.high  # 0 where there is no end
        l = (low - at.l * dq) / pairs.low  # noqa: E741
        return Iterate(state, dq, h, l)

    def _refined(self, r: Vector) -> tuple[Matrix, Matrix, Matrix, Vector]:
        """du, X du, da and dq by iterative refinement against the true system; raises LinAlgError when that does not help.

        The corrections of da are added up too, instead of made from the sum of du: where s is tiny, a / s would magnify what
        rounding leaves in X du, and da has to cancel F'dq to the last digit that a column of another scale asks for."""
        newton, gram, blocks, problem = self.newton, self.newton.gram, self.newton.blocks, self.problem
        room = SLIP * (1 - problem.gauges(self.at.state.y))
        du, dq = self.coupling.solve(newton.right, r)
        dU = du @ gram.XT
        da = newton.multipliers(dU)
        error = np.inf
        for k in range(REFINEMENTS + 1):
            wrong = newton.left(du, da, problem.pulls(blocks, dq))
            off = r - problem.predict(blocks, dU) + self.E * dq
            worth = self._worth(wrong, off, du, dq)
            now = max(worth / REFINED, float((problem.gauges(wrong) / room).max()))
            if now <= 1 or k == REFINEMENTS or now > 0.5 * error:
                break
            error = now
            du_more, dq_more = self.coupling.solve(wrong, off)
            dU_more = du_more @ gram.XT
            du, dU, dq, da = du + du_more, dU + dU_more, dq + dq_more, da + newton.followed(dU_more)
        if not worth <= ROUGH:
            raise np.linalg.LinAlgError("the coupled system could not be solved")
        return du, dU, da, dq

    def _worth(self, wrong: Matrix, off: Vector, du: Matrix, dq: Vector) -> float:
        """What the residuals of a direction are worth in the objective, against the complementarity there is."""
        at = self.at
        lost = np.abs(off) @ (np.abs(at.q) + np.abs(dq)) + (np.abs(wrong) * (np.abs(at.state.u) + np.abs(du))).sum()
        return float(lost / self.total)
