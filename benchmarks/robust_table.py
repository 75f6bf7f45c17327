"""Bai et al. (2023), Table 5: CIFAR-10 bird against ship, 600 training images at 7 x 7 x 3, eps = 10/255, beta = 1e-4, hinge.

    OMP_NUM_THREADS=1 RELUMODEL_DATA=... python benchmarks/robust_table.py [seeds]

Gradient descent (72 neurons; clean, FGSM and PGD training), Algorithm 2.1 (convex, clean), Algorithm 4.1 (convex, strict robust),
each on several seeds, and the robust linear classifier, which is the strict program with the all-active pattern alone.
Prints a Markdown table: test accuracy clean, under FGSM, under PGD (40 steps), certified, and the worst-case training objective.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from adversarial_training import train
from numpy.typing import NDArray

import relumodel as rm

Array = NDArray[np.float64]

EPS, BETA, PATTERNS, WIDTH = 10 / 255, 1e-4, 36, 72
BALL = rm.LInf(EPS)


def load() -> tuple[Array, Array, Array, Array]:
    """600 training and 1967 test images, pixels in [0, 1]."""
    file = np.load(Path(os.environ["RELUMODEL_DATA"]) / "cifar600_robust" / "cifar600_robust.npz")
    return file["X"], file["y"], file["X_test"], file["y_test"]


def model(bias: bool = False, robust: bool = True) -> rm.Model:
    network = rm.TwoLayer(rm.ReLU(), bias=bias)
    return rm.Model(network, rm.Hinge(), rm.WeightDecay(BETA), perturbation=BALL if robust else None)


def by_descent(attack: str) -> Callable[[Array, Array, int], rm.Network]:
    def fit(X: Array, y: Array, seed: int) -> rm.Network:
        torch.set_num_threads(1)
        first, _, second = train(X, y, attack, EPS, BETA, seed, WIDTH)
        hidden = first.weight.detach().double().numpy().T
        output = second.weight.detach().double().numpy()[0]
        return rm.Network(rm.ReLU(), False, np.ascontiguousarray(hidden), output, classifies=True)

    return fit


def convex_clean(X: Array, y: Array, seed: int) -> rm.Network:
    return model(robust=False).compile(X, y, patterns=rm.SamplePatterns(PATTERNS, seed=seed)).solve(tol=1e-3).network()


def convex_robust(X: Array, y: Array, seed: int) -> rm.Network:
    return model().compile(X, y, patterns=rm.RobustSamplePatterns(PATTERNS, seed=seed)).solve(tol=1e-3).network()


def robust_linear(bias: bool) -> Callable[[Array, Array, int], rm.Network]:
    def fit(X: Array, y: Array, seed: int) -> rm.Network:
        patterns = rm.GivenPatterns(np.ones((len(X), 1), dtype=bool))
        return model(bias).compile(X, y, patterns=patterns).solve(tol=1e-5).network()

    return fit


def measure(network: rm.Network, X: Array, y: Array, X_test: Array, y_test: Array) -> list[float]:
    """Clean, FGSM and PGD test accuracy, certified test accuracy (%), clean and worst-case training objective."""

    def accuracy(points: Array) -> float:
        return 100 * float(np.mean(network.predict(points) == y_test))

    fgsm = rm.attacks.fgsm(network, X_test, y_test, EPS)
    pgd = rm.attacks.pgd(network, X_test, y_test, EPS, steps=40)
    certified = 100 * float(np.mean(network.certified(X_test, y_test, BALL) == "certified"))
    clean = network.objective(model(network.bias, robust=False), X, y)
    return [accuracy(X_test), accuracy(fgsm), accuracy(pgd), certified, clean, network.objective(model(network.bias), X, y)]


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    X, y, X_test, y_test = load()
    methods: dict[str, tuple[Callable[[Array, Array, int], rm.Network], int]] = {
        "GD-std": (by_descent("std"), seeds),
        "GD-FGSM": (by_descent("fgsm"), seeds),
        "GD-PGD": (by_descent("pgd"), seeds),
        "Algorithm 2.1 (clean)": (convex_clean, seeds),
        "Algorithm 4.1 (robust)": (convex_robust, seeds),
        "robust linear, no bias": (robust_linear(False), 1),
        "robust linear, bias": (robust_linear(True), 1),
    }
    print("| method | clean % | FGSM % | PGD % | certified % | clean objective | worst-case objective | time, s |")
    print("|---|---|---|---|---|---|---|---|")
    for name, (fit, runs) in methods.items():
        rows, times = [], []
        for seed in range(runs):
            start = time.perf_counter()
            network = fit(X, y, seed)
            times.append(time.perf_counter() - start)
            rows.append(measure(network, X, y, X_test, y_test))
        mean, spread = np.mean(rows, axis=0), np.std(rows, axis=0)
        cells = [f"{m:.1f} ± {s:.1f}" for m, s in zip(mean[:4], spread[:4], strict=True)]
        cells += [f"{m:.4f} ± {s:.4f}" for m, s in zip(mean[4:], spread[4:], strict=True)]
        print(f"| {name} | {' | '.join(cells)} | {np.mean(times):.1f} |", flush=True)


if __name__ == "__main__":
    main()
