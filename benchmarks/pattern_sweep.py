"""Bai et al. (2023), the sweep over the number of sampled patterns: n = 40, d = 2, P_s = 4 .. 2048, 15 repeats.

    python benchmarks/pattern_sweep.py docs/figures/pattern_sweep.png

The optimum of the sampled program falls with P_s to that of the exact one (all patterns enumerated, the last point; with a bias the
data has rank 3 and 1562 patterns, so 2048 means all of them), for clean and for robust training.
"""

from __future__ import annotations

import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

import relumodel as rm

Array = NDArray[np.float64]

SAMPLES, REPEATS, BETA, EPS = 40, 15, 1e-4, 0.02
COUNTS = [2**k for k in range(2, 12)]


def data(seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (SAMPLES, 2))
    return X, np.where(rng.random(SAMPLES) < 0.5, -1.0, 1.0)


def optimum(seed: int, count: int, perturbation: rm.LInf | None, robust: str) -> float:
    X, y = data(seed)
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Hinge(), rm.WeightDecay(BETA), perturbation, robust)
    every = rm.EnumeratePatterns()
    existing = every.find(np.column_stack([X, np.ones(SAMPLES)]), True).count
    patterns = every if count >= existing else rm.SamplePatterns(count, seed=seed)
    return model.compile(X, y, patterns=patterns).solve(tol=1e-4).objective


def main() -> None:
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    curves = (("clean", None, "strict"), ("robust, strict", rm.LInf(EPS), "strict"), ("robust, crossing", rm.LInf(EPS), "crossing"))
    print("| P_s | " + " | ".join(name for name, _, _ in curves) + " |\n|---|---|---|---|")
    means = []
    for name, perturbation, robust in curves:
        values = np.array([[optimum(seed, count, perturbation, robust) for seed in range(REPEATS)] for count in COUNTS])
        means.append([f"{m:.4f} ± {s:.4f}" for m, s in zip(values.mean(axis=1), values.std(axis=1), strict=True)])
        axes.errorbar(COUNTS, values.mean(axis=1), yerr=values.std(axis=1), marker="o", markersize=3, capsize=2, label=name)
    for count, *cells in zip(COUNTS, *means, strict=True):
        print(f"| {count} | {' | '.join(cells)} |")
    axes.set(xscale="log", xlabel="patterns sampled", ylabel="optimal objective", title=f"n = {SAMPLES}, d = 2, {REPEATS} repeats")
    axes.set_xscale("log", base=2)
    axes.legend()
    figure.savefig(sys.argv[1], dpi=130)


if __name__ == "__main__":
    main()
