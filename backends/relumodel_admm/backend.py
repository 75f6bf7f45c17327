"""Backend "admm": the native engine."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from relumodel.backend import Options, Program, RawSolution

from .interior_point import InteriorPoint, Measure
from .linear_algebra import Gram
from .scaled import scaled


class AdmmBackend:
    """Two-layer programs, by their structure."""

    name = "admm"
    accepts = Program
    supports: ClassVar[set[str]] = {"zero", "nonnegative", "second-order", "exponential", "quadratic"}
    options: ClassVar[dict[str, str]] = {"max_iter": "largest number of interior-point iterations (100)"}

    def solve(self, problem: Program, options: Options) -> RawSolution:
        units = scaled(problem)
        if units.f0 == 0:
            x = np.zeros(problem.n_variables)
            return RawSolution("solved", x, units.dual(units.loss.slope(np.zeros(len(units.X))), {}), 0.0, 0, "zero")
        gram = Gram(units.X)
        blocks = units.blocks(np.arange(units.count))
        solver = InteriorPoint(units, gram, blocks)

        def watch(k: int, m: Measure) -> bool:
            return options.report(k, units.f0 * m.objective, units.f0 * m.bound, gap=m.gap, violation=m.violation)

        with options.catching_interrupt():
            out = solver.run(solver.start(), 0.2 * options.tol, options.extra.get("max_iter", 100), watch)
        at = out.iterate
        x = units.point(blocks.index, at.state.u)
        dual = units.dual(at.q, dict(zip(blocks.index, at.state.a)))
        status = "solved" if out.solved else options.stopped or "inaccurate"
        return RawSolution(status, x, dual, units.f0 * out.measure.objective, out.iterations, "interior point on all blocks")
