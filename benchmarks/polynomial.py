"""Polynomial networks on breast cancer (569 x 30, standardised): standard against robust training, and descent against Clarabel.

    OMP_NUM_THREADS=1 python benchmarks/polynomial.py

The experiment of Kuelbs et al. (2024): a polynomial network (a, b, c) = (0.09, 0.5, 0.47) with a bias, hinge, trained on 80 % of the data for
the worst case over l2 balls of radius r, r = 0 being standard training; test accuracy clean and under l-inf attacks (PGD, 40 steps, 5
starts), and the exact distance of the test samples to the decision boundary. Means over three splits. Then the time of both backends on
growing parts of the data, process time of one run. Prints two Markdown tables.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer

import relumodel as rm

Array = NDArray[np.float64]

RADII = (0.0, 0.1, 0.3, 0.5, 1.0)
ATTACKS = (0.1, 0.2, 0.3, 0.4)
BETA = 0.01


def load(seed: int) -> tuple[Array, Array, Array, Array]:
    """Training and test parts, in units of the training part's standard deviations."""
    X, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(X))
    train, test = order[:455], order[455:]
    mean, scale = X[train].mean(axis=0), X[train].std(axis=0)
    return (X[train] - mean) / scale, 2.0 * y[train] - 1, (X[test] - mean) / scale, 2.0 * y[test] - 1


def model(r: float) -> rm.Model:
    return rm.Model(rm.TwoLayer(rm.Polynomial(), bias=True), rm.Hinge(), rm.WeightDecay(BETA), perturbation=rm.L2(r) if r else None)


def row(r: float) -> str:
    out = []
    for seed in range(3):
        X, y, X_test, y_test = load(seed)
        started = time.process_time()
        solution = model(r).compile(X, y).solve(backend="descent", tol=1e-3)
        seconds = time.process_time() - started
        f = solution.network()
        hit = [(f.predict(rm.attacks.pgd(f, X_test, y_test, eps, starts=5)) == y_test).mean() for eps in ATTACKS]
        clean = (f.predict(X_test) == y_test).mean()
        far = np.median(f.distance_to_boundary(X_test))
        out.append([100 * clean, *(100 * np.array(hit)), far, 1e3 * solution.gap, f.n_neurons, seconds])
    mean = np.mean(out, axis=0)
    accuracies = " | ".join(f"{value:.1f}" for value in mean[:5])
    return f"| {r if r else 'standard'} | {accuracies} | {mean[5]:.2f} | {mean[6]:.1f}e-3 | {mean[7]:.0f} | {mean[8]:.1f} s |"


def race(n: int, d: int, r: float = 0.5) -> str:
    X, y, *_ = load(0)
    program = model(r).compile(X[:n, :d], y[:n])
    cells = []
    for backend, tol in (("descent", 1e-2), ("descent", 1e-3), ("clarabel", 1e-3)):
        started = time.process_time()
        solution = program.solve(backend=backend, tol=tol, time_limit=120)
        cells.append(
            f"{time.process_time() - started:.2f} s ({solution.gap:.0e}{'' if solution.status == 'optimal' else ', ' + solution.status})"
        )
    return f"| {n} x {d} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    print("| r | clean | " + " | ".join(f"eps {eps}" for eps in ATTACKS) + " | median distance | gap | neurons | training |")
    print("| --- |" + " --- |" * 9)
    for r in RADII:
        print(row(r), flush=True)
    print("\n| n x d | descent, gap 1e-2 | descent, gap 1e-3 | Clarabel |\n| --- | --- | --- | --- |")
    for n, d in ((20, 5), (80, 5), (40, 10), (40, 20), (20, 30)):
        print(race(n, d), flush=True)
