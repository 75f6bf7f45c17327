"""Bai et al. (2023), the 1-D experiment with squared loss: test error over the radius the network was trained for.

    python benchmarks/robust_regression.py docs/figures/robust_regression.png

Few noisy samples of a smooth function; the robust network (strict and crossing program) against the standard one, on clean
test points and on test points moved to their worst place within the radius. Mean over data seeds, shaded: one deviation.
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

RADII = (0.0, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2)
SEEDS, SAMPLES, PATTERNS, BETA, TEST_RADIUS = 10, 25, 40, 1e-3, 0.1


def sample(n: int, rng: np.random.Generator, noise: float) -> tuple[Array, Array]:
    x = rng.uniform(-1, 1, (n, 1))
    return x, np.sin(3 * x[:, 0]) + noise * rng.standard_normal(n)


def errors(seed: int, radius: float, robust: str) -> tuple[float, float]:
    """Mean squared test error, clean and at the worst point within TEST_RADIUS."""
    rng = np.random.default_rng(seed)
    X, y = sample(SAMPLES, rng, 0.2)
    X_test, y_test = sample(500, rng, 0.0)
    perturbation = rm.LInf(radius) if radius else None
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(BETA), perturbation, robust)
    network = model.compile(X, y, patterns=rm.SamplePatterns(PATTERNS, seed=seed)).solve(tol=1e-5).network()
    moves = np.linspace(-TEST_RADIUS, TEST_RADIUS, 41)
    worst = np.max([(network(X_test + move) - y_test) ** 2 for move in moves], axis=0)
    return float(np.mean((network(X_test) - y_test) ** 2)), float(worst.mean())


def main() -> None:
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharex=True)
    print("| radius | " + " | ".join(f"{r} {kind}" for r in ("strict", "crossing") for kind in ("clean", "worst")) + " |")
    table = {}
    for robust, colour in (("strict", "#b3401b"), ("crossing", "#1f5a96")):
        values = np.array([[errors(seed, radius, robust) for seed in range(SEEDS)] for radius in RADII])
        table[robust] = values.mean(axis=1)
        for place, column, title in zip(
            axes, (0, 1), ("clean test points", f"test points moved by up to {TEST_RADIUS}"), strict=True
        ):
            mean, spread = values[:, :, column].mean(axis=1), values[:, :, column].std(axis=1)
            place.plot(RADII, mean, marker="o", markersize=3, color=colour, label=robust)
            place.fill_between(RADII, mean - spread, mean + spread, color=colour, alpha=0.15)
            place.set(xlabel="training radius", ylabel="mean squared error", title=title)
    for i, radius in enumerate(RADII):
        print(f"| {radius} | " + " | ".join(f"{v:.4f}" for r in ("strict", "crossing") for v in table[r][i]) + " |")
    axes[0].legend()
    figure.savefig(sys.argv[1], dpi=130)


if __name__ == "__main__":
    main()
