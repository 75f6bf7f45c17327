"""Backend "admm": the native engine."""

from __future__ import annotations

import os
from typing import ClassVar

import numpy as np

from relumodel.backend import Options, Program, RawSolution

from .interior_point import Measure
from .linear_algebra import Gram
from .pricing import part, price
from .scaled import Scaled, scaled, unknown_term
from .working_set import Answer, WorkingSet

#: The interior point is asked for this share of the gap; the rest is for the repair of the point and for dropped blocks.
SHARE = 0.2


class AdmmBackend:
    """Two-layer programs by their structure: a working set of blocks and a primal-dual interior point."""

    name = "admm"
    accepts = Program
    supports: ClassVar[set[str]] = {"zero", "nonnegative", "second-order", "exponential", "quadratic"}
    options: ClassVar[dict[str, str]] = {"max_iter": "largest number of interior-point iterations (200)"}

    def declines(self, problem: Program) -> str | None:
        """Why it cannot take a program: a term it does not know, or more memory than there is."""
        unknown = unknown_term(problem)
        if unknown is not None:
            return f"it takes two-layer programs without perturbation, and does not know {unknown}"
        n, N = problem.term("loss").map.shape
        # the coupling matrix in both precisions and its factor, and a few copies of what is per block and sample
        needed = 20 * min(n, N) ** 2 + 8 * 8 * problem.n_constraints
        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if needed > 0.7 * available:
            return f"it would need about {needed / 2**30:.0f} GiB of the machine's {available / 2**30:.0f}"
        return None

    def solve(self, problem: Program, options: Options) -> RawSolution:
        units = scaled(problem)
        gram = Gram(units.X)
        with options.catching_interrupt():
            at_zero = _zero(units, gram)
            if at_zero is not None:
                return at_zero

            def watch(k: int, m: Measure) -> bool:
                f0 = units.f0
                return options.report(k, f0 * m.objective, f0 * m.bound, gap=m.gap, violation=m.violation)

            limit = int(options.extra.get("max_iter", 200))
            answer = WorkingSet(units, gram, SHARE * options.tol, limit, watch).solve()
        status = "solved" if answer.solved else options.stopped or "inaccurate"
        dual = units.dual(answer.q, answer.multipliers)
        return RawSolution(
            status, units.point(answer.u), dual, units.f0 * answer.objective, answer.iterations, _message(units, answer)
        )


def _message(units: Scaled, answer: Answer) -> str:
    again = f", {answer.rounds - 1} times with blocks taken back" if answer.rounds > 1 else ""
    return f"interior point, {answer.used} of {units.count} blocks at the end{again}"


def _zero(units: Scaled, gram: Gram) -> RawSolution | None:
    """The zero solution, if the loss gradient there proves it optimal."""
    q = units.loss.slope(np.zeros(len(units.X)))
    everything = units.blocks(np.arange(units.count))
    multipliers = np.zeros((units.count, everything.side.shape[1]))
    if units.f0 == 0:
        return _at_zero(units, np.zeros_like(q), multipliers)
    gauges = units.gauges((everything.mask * q) @ gram.X)
    if (gauges > 1).any():
        likely = np.argsort(-gauges)[:4]  # one block that enters is enough
        if len(price(units, gram, part(everything, likely), q, 1e-9).enter):
            return None
        prices = price(units, gram, everything, q, 1e-9)
        if len(prices.enter):
            return None
        multipliers[everything.index] = prices.multipliers
    return _at_zero(units, q, multipliers)


def _at_zero(units: Scaled, q: np.ndarray, multipliers: np.ndarray) -> RawSolution:
    x = np.zeros(units.program.n_variables)
    return RawSolution("solved", x, units.dual(q, multipliers), units.f0, 0, "zero is optimal: its dual proves it")
