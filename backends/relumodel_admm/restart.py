"""A warm start of the interior point, for the same program with another penalty strength.

A solution is no place to start an interior point from: it lies on the boundary, and steps away from it are short. The iterate that
the descent had on all blocks when the first of them were dropped, at a gap of 0.3, is well inside and as near to the next
optimum of a path as to its own. In units of the engine the penalty strength enters through F, which carries f0 / beta. With
u, t, s and q multiplied by the ratio of the strengths, predictions and F'q are what they were: the iterate is as feasible for the
new program as it was for its own, and the products of all pairs change by one factor.
"""

from __future__ import annotations

from dataclasses import dataclass

from relumodel.program.program import Term

from .block_newton import State
from .iterate import Iterate
from .scaled import Scaled

#: Ratios of penalty strengths beyond which the next solve starts from nothing, and makes the iterate for those that follow.
NEAR = (0.6, 1.7)


@dataclass(frozen=True, eq=False)
class Restart:
    """An iterate on all blocks, in the units of a program with this loss term, loss at zero, penalty strength and kind of norm."""

    iterate: Iterate
    loss: Term
    f0: float
    beta: float
    group: int

    @classmethod
    def of(cls, units: Scaled, iterate: Iterate) -> Restart:
        return cls(iterate, units.program.term("loss"), units.f0, units.beta, units.group)

    def iterate_for(self, units: Scaled) -> Iterate | None:
        """The iterate in the units of another program; None unless that differs in the penalty strength only, and not by much."""
        r = units.beta / self.beta
        if (
            self.loss is not units.program.term("loss")
            or self.f0 != units.f0
            or self.group != units.group
            or not NEAR[0] <= r <= NEAR[1]
        ):
            return None
        old = self.iterate.state
        state = State(r * old.u, r * old.t, r * old.s, old.a, old.y)
        q = units.loss.inside(r * self.iterate.q, 1e-6)
        return Iterate(state, q, self.iterate.h, self.iterate.l)
