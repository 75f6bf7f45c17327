"""The native engine where samples are many and features few, and where all blocks of wide data stay: CPU seconds to a gap that relumodel proves.

    OMP_NUM_THREADS=1 python benchmarks/tall.py [60 250 gaussian]

Gaussian samples, n = 4000 x 15, labels sign(x1 x2 + noise), logistic loss, beta 1e-3, 60 or 250 sampled patterns, to 1e-5; and the Gaussian
2000 x 100 instance of native_engine.py (squared, sum, beta 5, 50 patterns) to 1e-3 and 1e-6.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import sys

import numpy as np
from native_engine import cases, solved

import relumodel as rm


def tall(patterns: int) -> rm.Program:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4000, 15))
    y = np.sign(X[:, 0] * X[:, 1] + 0.5 * rng.standard_normal(4000))
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Logistic(), rm.WeightDecay(1e-3))
    return model.compile(X, y, patterns=rm.SamplePatterns(patterns, seed=0))


def gaussian() -> rm.Program:
    X, y = cases(True)["Gaussian 2000 x 100"]
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(reduction="sum"), rm.WeightDecay(5))
    return model.compile(X, y, patterns=rm.SamplePatterns(50, seed=0))


def main() -> None:
    wanted = sys.argv[1:] or ["60", "250", "gaussian"]
    runs = [(f"4000 x 15, P = {name}", tall(int(name)), 1e-5) for name in wanted if name != "gaussian"]
    if "gaussian" in wanted:
        runs += [("2000 x 100, P = 50", gaussian(), tol) for tol in (1e-3, 1e-6)]
    print("| case | tol | CPU s | objective | gap | iterations |\n|---|---|---|---|---|---|")
    for label, program, tol in runs:
        seconds, solution = solved(program, "admm", 1, tol=tol)
        print(
            f"| {label} | {tol:.0e} | {seconds:.1f} | {solution.objective:.7g} | {solution.gap:.1e} | {solution.iterations} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
