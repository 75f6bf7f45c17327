"""The native engine against conic solvers on the same programs, in one run: time to a gap of 1e-6 that relumodel proves itself.

    OMP_NUM_THREADS=1 python benchmarks/native_engine.py [all]

Breast cancer (569 x 31, beta = 5) and digits 2 against 8 (351 x 65, beta = 5), squared loss (sum), 50 patterns; with `all` also a
Gaussian 2000 x 100 instance (Clarabel takes minutes there). CPU seconds of `program.solve`, repair and certificate included.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import sys
import time

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits

import relumodel as rm

Array = NDArray[np.float64]


def cases(everything: bool) -> dict[str, tuple[Array, Array]]:
    cancer, digits = load_breast_cancer(), load_digits()
    pair = np.isin(digits.target, (2, 8))
    out = {
        "breast cancer": (standardised(cancer.data), 2.0 * cancer.target - 1),
        "digits 2 v 8": (standardised(digits.data[pair]), np.where(digits.target[pair] == 8, 1.0, -1.0)),
    }
    if everything:
        rng = np.random.default_rng(0)
        X = rng.standard_normal((2000, 99))
        out["Gaussian 2000 x 100"] = (X, np.sign(X[:, 0] * X[:, 1] + 0.5 * rng.standard_normal(2000)))
    return out


def standardised(X: Array) -> Array:
    spread = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def solved(program: rm.Program, backend: str, repeats: int, **options: object) -> tuple[float, rm.Solution]:
    """The median CPU time of a few solves, and the last solution."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        solution = program.solve(backend=backend, **options)  # type: ignore[arg-type]
        times.append(time.process_time() - start)
    return float(np.median(times)), solution


def main() -> None:
    print("| case | backend | CPU s | x admm | objective | gap | iterations |\n|---|---|---|---|---|---|---|")
    for label, (X, y) in cases("all" in sys.argv[1:]).items():
        model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(reduction="sum"), rm.WeightDecay(5))
        program = model.compile(X, y, patterns=rm.SamplePatterns(50, seed=0))
        runs: list[tuple[str, int, dict[str, object]]] = [("admm", 3, {}), ("clarabel", 1, {"max_threads": 1})]
        if label != "Gaussian 2000 x 100":
            runs += [
                ("ecos", 1, {}),
                ("cvxpy", 1, {"solver": "CLARABEL"}),
                ("cvxpy", 1, {"solver": "SCS"}),
                ("cvxpy", 1, {"solver": "ECOS"}),
            ]
        base = None
        for backend, repeats, options in runs:
            seconds, solution = solved(program, backend, repeats, **options)
            base = base or seconds
            name = f"{backend} {options.get('solver', '')}".strip()
            cells = (
                f"{seconds:.2f}",
                f"{seconds / base:.1f}",
                f"{solution.objective:.6f}",
                f"{solution.gap:.1e}",
                solution.iterations,
            )
            print(f"| {label} | {name} | {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
