"""What `Model.fit` and `rm.polish` return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..program.program import Program
from ..solve.solution import Solution
from ..trained.network import Network
from ..trained.three_layer import ThreeLayerNetwork
from .certificate import Certificate
from .odds import Odds


@dataclass(frozen=True)
class Round:
    """One round of the adaptive loop, for callbacks and the history.

    objective : of the best network so far.  bound : on the training problem, from this round's pricing.
    gap : (objective - bound) / |objective|.  patterns : in the round's convex program.  neurons : of the best network.
    price : the largest price seen over beta; above 1 by what another neuron would gain.  elapsed : seconds since the start.
    """

    iteration: int
    objective: float
    bound: float
    gap: float
    patterns: int
    neurons: int
    price: float
    elapsed: float

    def __str__(self) -> str:
        priced = not np.isnan(self.price)
        bound = f"bound {self.bound:.8g}  gap {self.gap:.1e}" if priced else "no bound"
        price = f"price {self.price:.5f}  " if priced else ""
        return (
            f"round {self.iteration:>2}  objective {self.objective:.8g}  {bound}  "
            f"patterns {self.patterns:>3}  neurons {self.neurons:>3}  {price}{self.elapsed:.1f} s"
        )


@dataclass(frozen=True, eq=False)
class Fit:
    """A trained network, and how far it is from the best one.

    objective : the non-convex training objective of `network`.
    bound : a lower bound on the objective of every network of every width.  bound_kind says what it rests on:
        "certified"   a proof: the program is exact, or every direction was priced
        "estimated"   a search over directions: a direction that it missed may lower the bound
        "none"        nothing but that no objective is negative: the bound is 0 and the gap 1
    gap : (objective - bound) / |objective|.  status : "optimal" (gap <= the one wanted), "gap not reached", "time limit"
        or "interrupted".
    starts : how many ascents the pricing made in all.  price : the largest price over beta that the last pricing saw; at 1
        or below no neuron that was tried would lower the objective.
    program, solution : of the last improvement.  history : one `Round` each.  time : seconds.
    dual : (n,) the multiplier of the predictions that `bound` rests on, where it rests on pricing.
    beta_max : where the network is zero because of the penalty: the strength from which on it is, estimated by a search over directions.
    violation : by how much the network leaves the constraints of a problem, the worst points found in boxes included.
    certificates : what is proved of bounds everywhere in boxes, one each, in the order of the problem.
    odds : how often the search that confirmed the gap found the same maxima: `again` of `ascents` ended at the largest price (0: it is
        one of the network's, or of a search before), and `unseen` is the estimated probability that one more ends at a maximum that none of them met. None where no search confirmed a gap.
    start : the objective of the network that `rm.polish` was given, its weights at their cheapest scaling; None for `Model.fit`.
    """

    network: Network | ThreeLayerNetwork
    objective: float
    bound: float
    bound_kind: str
    gap: float
    status: str
    program: Program
    solution: Solution
    starts: int
    price: float
    history: list[Round]
    time: float
    dual: NDArray[np.float64] | None = None
    start: float | None = None
    beta_max: float | None = None
    violation: float = 0.0
    certificates: tuple[Certificate, ...] = ()
    odds: Odds | None = None

    @property
    def rounds(self) -> int:
        """How many times patterns were polished and priced."""
        return len(self.history)

    def __str__(self) -> str:
        kind = "every network has at least this" if self.bound_kind == "certified" else f"by a search from {self.starts:,} starts"
        bounded = [("bound", f"{self.bound:.8g} ({self.bound_kind}: {kind})"), ("gap", f"{self.gap:.2e}")]
        if self.bound_kind == "none":
            bounded = [("bound", "no bound: other networks were not priced")]
        lines = [
            ("status", self.status),
            *([] if self.start is None else [("start", f"{self.start:.8g}, the objective of the network given")]),
            ("objective", f"{self.objective:.8g}"),
            *bounded,
            *([("violation", f"{self.violation:.2e}")] if self._constrained else []),
            *(("everywhere", str(c)) for c in self.certificates),
            *([] if np.isnan(self.price) else [("price", self._priced())]),
            ("network", f"{self.network.n_neurons} neurons{self._zero()}"),
            self.solution.program.inverse.describe()[1],
            ("rounds", f"{self.rounds}"),
            ("time", f"{self.time:.2f} s"),
        ]
        return "\n".join(f"{label:<10}  {text}" for label, text in lines)

    @property
    def _constrained(self) -> bool:
        return bool(getattr(self.program.model, "constraints", ()) or self.certificates)

    def _priced(self) -> str:
        seen = f"{self.price:.6g} times the penalty strength, the largest seen"
        return seen if self.odds is None or self.bound_kind != "estimated" else f"{seen}: {self.odds}"

    def _zero(self) -> str:
        return (
            ""
            if self.beta_max is None
            else f": the best is zero for every penalty strength from {self.beta_max:.3g} on (estimated)"
        )

    def __repr__(self) -> str:
        gap = "no bound" if self.bound_kind == "none" else f"{self.bound_kind} gap {self.gap:.2e}"
        return f"<Fit: {self.status}, objective {self.objective:.8g}, {gap}, {self.rounds} rounds>"
