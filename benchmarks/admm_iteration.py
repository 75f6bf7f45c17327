"""What one iteration of the native engine's ADMM costs: against the matrix products it cannot avoid, and its growth in n, d and P.

    OMP_NUM_THREADS=1 python benchmarks/admm_iteration.py

The products that no splitting avoids are one of X with all blocks (n x d times d x 2P) and one of X' with as many columns. Medians of
CPU time, iteration and products measured in turns; Gaussian data, squared loss (sum), beta = 1; one and two steps of conjugate gradients.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import time

import numpy as np

import relumodel as rm
from relumodel.program.arrays import Arrays
from relumodel_admm.first_order import FirstOrder

REPEATS = 9


def measured(n: int, d: int, P: int, steps: int) -> tuple[float, float]:
    """CPU seconds of an iteration and of the two products."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    y = np.sign(X[:, 0] * X[:, 1])
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=False), rm.Squared(reduction="sum"), rm.WeightDecay(1.0))
    program = model.compile(X, y, patterns=rm.SamplePatterns(P, seed=0))
    splitting = FirstOrder(program, rm.Options(), Arrays(), steps).splitting
    U, S, XT = rng.standard_normal((2 * P, d)), rng.standard_normal((2 * P, n)), np.ascontiguousarray(X.T)
    for _ in range(3):
        splitting.step()
    iteration, products = [], []
    for _ in range(REPEATS):
        start = time.process_time()
        splitting.step()
        middle = time.process_time()
        U @ XT
        S @ X
        iteration.append(middle - start)
        products.append(time.process_time() - middle)
    return float(np.median(iteration)), float(np.median(products))


def main() -> None:
    print("| n x d, P | steps | iteration, ms | products, ms | ratio |\n|---|---|---|---|---|")
    for steps in (1, 2):
        iteration, products = measured(11809, 784, 24, steps)
        print(
            f"| 11809 x 784, 24 | {steps} | {1e3 * iteration:.0f} | {1e3 * products:.0f} | {iteration / products:.2f} |", flush=True
        )
    sizes = {
        "n": [(n, 200, 20) for n in (2000, 4000, 8000, 16000)],
        "d": [(4000, d, 20) for d in (100, 200, 400, 800)],
        "P": [(4000, 200, P) for P in (10, 20, 40, 80)],
    }
    print("\n| grows | sizes (n, d, P) | iteration, ms | exponent |\n|---|---|---|---|")
    for at, (what, cases) in enumerate(sizes.items()):
        times = [measured(*case, 2)[0] for case in cases]
        slope = np.polyfit(np.log([case[at] for case in cases]), np.log(times), 1)[0]
        shown = ", ".join(f"{1e3 * t:.1f}" for t in times)
        print(f"| {what} | {cases[0]} to {cases[-1]} | {shown} | {slope:.2f} |", flush=True)


if __name__ == "__main__":
    main()
