"""What the language costs: bounds at points without targets, and a problem of five terms beside the same rows in one.

    python benchmarks/language.py

Breast cancer (scikit-learn, 569 x 30 standardised, bias), squared(sum), beta 5, 50 sampled patterns; 200 bounds f <= 0.5 at other
points, 50 equations f == 0.2 there, or their mean at most -0.5.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer

import relumodel as rm

BOUNDS, PATTERNS, RUNS = 200, 50, 2


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """The least CPU time of a few calls, and what the last one returned."""
    taken, out = [], None
    for _ in range(RUNS):
        started = time.process_time()
        out = call()
        taken.append(time.process_time() - started)
    return min(taken), out


def main() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X, y = (X - X.mean(0)) / X.std(0), 2.0 * y - 1
    rng = np.random.default_rng(0)
    elsewhere = X[rng.integers(len(X), size=BOUNDS)] + 0.1 * rng.standard_normal((BOUNDS, X.shape[1]))
    f, patterns = rm.TwoLayer(rm.ReLU(), bias=True), rm.SamplePatterns(PATTERNS, seed=0)
    loss, penalty = rm.Squared(reduction="sum"), rm.WeightDecay(5.0)
    bounded = rm.Problem(loss(f(X), y) + penalty, [f(elsewhere) <= 0.5])
    pinned = rm.Problem(loss(f(X), y) + penalty + 0 * rm.norm(f(elsewhere)), [f(elsewhere[:50]) == 0.2])
    average = rm.Problem(loss(f(X), y) + penalty, [f(elsewhere).mean() <= -0.5])
    free = rm.Problem(loss(f(X), y) + 0 * rm.norm(f(elsewhere)) + penalty)
    print(f"{'program':<14} {'backend':<10} {'tol':>6} {'CPU s':>8} {'objective':>12} {'gap':>8} {'violation':>10}  status")
    for name, problem in (("unconstrained", free), ("200 bounds", bounded), ("50 equations", pinned), ("a mean", average)):
        program = problem.compile(patterns)
        for backend, tol in (("admm", 1e-3), ("admm", 1e-6), ("clarabel", 1e-6)):
            spent, s = seconds(
                lambda program=program, backend=backend, tol=tol: program.solve(backend=backend, tol=tol, time_limit=120)
            )
            print(
                f"{name:<14} {backend:<10} {tol:>6.0e} {spent:>8.2f} {s.objective:>12.6f} {s.gap:>8.1e} {s.violation:>10.1e}  {s.status}",
                flush=True,
            )
    parts = np.array_split(np.arange(len(X)), 5)
    one, _ = seconds(lambda: rm.Problem(loss(f(X), y) + penalty).compile(patterns))
    five, _ = seconds(lambda: rm.Problem(sum(loss(f(X[part]), y[part]) for part in parts) + penalty).compile(patterns))
    print(f"compile: one term {one:.4f} s, five terms of the same rows {five:.4f} s, {five / one:.2f} x")


if __name__ == "__main__":
    main()
