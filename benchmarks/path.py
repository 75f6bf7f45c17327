"""A path of 30 penalty strengths, each solve started from the one before, against 30 solves from nothing.

    OMP_NUM_THREADS=1 python benchmarks/path.py

From beta_max, above which the zero network is optimal, down to beta_max / 1000, evenly on a logarithmic scale; squared loss (sum)
and hinge, 50 sampled patterns; breast cancer (569 x 31) and digits 2 against 8 (351 x 65). CPU seconds, repair and certificates
included; every solve asks for a gap of 1e-6 that relumodel proves itself.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from native_engine import cases
from numpy.typing import NDArray

import relumodel as rm
from relumodel.certify.bound import gradients
from relumodel.certify.tighten import tighten

Array = NDArray[np.float64]

POINTS, RANGE = 30, 1e3


def beta_max(program: rm.Program) -> float:
    """The least penalty strength at which zero is optimal: the largest  min over a >= 0 of |F'q - G'a|_*  over the blocks, where
    q is the loss gradient at zero (the dual of the program, Pilanci & Ergen 2020)."""
    free = program.with_penalty(0.0)
    q = gradients(free, np.zeros(free.n_variables))
    _, left = tighten(free, q, -free.term("loss").map.adjoint(q["loss"]))
    return float(free.term("penalty").function.block_gauges(left).max())


def measured(run: Callable[[], Sequence[rm.Solution]]) -> tuple[float, Sequence[rm.Solution]]:
    start = time.process_time()
    solutions = run()
    return time.process_time() - start, solutions


def compared(X: Array, y: Array, loss: Any) -> str:
    """The figures of one path, from nothing and started from the point before."""
    network, patterns = rm.TwoLayer(rm.ReLU(), bias=True), rm.SamplePatterns(50, seed=0)
    model = rm.Model(network, loss, rm.WeightDecay(1.0))
    program = model.compile(X, y, patterns=patterns)
    betas = np.geomspace(1, 1 / RANGE, POINTS) * beta_max(program)
    cold, alone = measured(lambda: [program.with_penalty(b).solve(backend="admm") for b in betas])
    warm, along = measured(lambda: rm.path(model, X, y, betas=betas, patterns=patterns, backend="admm"))
    apart = max(abs(a.objective - b.objective) / a.objective for a, b in zip(along, alone, strict=True))
    cells = [f"{cold / POINTS:.2f}", f"{cold:.1f}", f"{warm:.1f}", f"{warm * POINTS / cold:.1f}", f"{cold / warm:.1f}"]
    cells += [f"{max(s.gap for s in alone):.0e}, {max(s.gap for s in along):.0e}", f"{apart:.0e}"]
    return " | ".join([*cells, ", ".join(str(sum(s.iterations or 0 for s in run)) for run in (alone, along))])


def main() -> None:
    print(
        "| case | one solve, mean | 30 from nothing | path | path / one solve | nothing / path | worst gaps | apart | iterations |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for label, (X, y) in cases(everything=False).items():
        for loss in (rm.Squared(reduction="sum"), rm.Hinge(reduction="sum")):
            print(f"| {label}, {type(loss).__name__} | {compared(X, y, loss)} |", flush=True)


if __name__ == "__main__":
    main()
