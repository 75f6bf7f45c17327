"""Bai et al. (2023), the loss-difference map: how the loss changes around a test image, standard against robust training.

    OMP_NUM_THREADS=1 RELUMODEL_DATA=... python benchmarks/loss_map.py docs/figures/loss_map.png

Loss at x + s a + t b minus loss at x, for the sign of the network's own gradient (a) and a random sign vector (b), over the square
|s|, |t| <= 2 eps; the inner square is the box the robust network was trained for. Median over 100 test images.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from robust_table import EPS, convex_clean, convex_robust, load

import relumodel as rm

Array = NDArray[np.float64]


def difference(network: rm.Network, X: Array, y: Array, steps: Array) -> Array:
    """The median over images of the hinge loss difference on the grid of steps."""
    worst = np.sign(rm.attacks.fgsm(network, X, y, EPS) - X)
    other = np.sign(np.random.default_rng(0).standard_normal(X.shape))

    def loss(points: Array) -> Array:
        return np.maximum(0, 1 - y * network(points))

    start = loss(X)
    return np.array([[np.median(loss(X + s * worst + t * other) - start) for s in steps] for t in steps])


def main() -> None:
    X, y, X_test, y_test = load()
    pick = np.random.default_rng(1).choice(len(y_test), 100, replace=False)
    steps = np.linspace(-2 * EPS, 2 * EPS, 41)
    maps = {
        name: difference(fit(X, y, 0), X_test[pick], y_test[pick], steps)
        for name, fit in (("standard (Algorithm 2.1)", convex_clean), ("robust (Algorithm 4.1)", convex_robust))
    }
    top = max(np.abs(m).max() for m in maps.values())
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for place, (name, values) in zip(axes, maps.items(), strict=True):
        image = place.pcolormesh(steps * 255, steps * 255, values, cmap="RdBu_r", vmin=-top, vmax=top, shading="auto")
        place.add_patch(Rectangle((-EPS * 255,) * 2, 2 * EPS * 255, 2 * EPS * 255, fill=False, linewidth=1))
        inside = np.abs(steps) <= EPS * (1 + 1e-9)
        print(
            f"{name}: largest median loss increase inside the box {values[np.ix_(inside, inside)].max():.3f}, in the map {values.max():.3f}"
        )
        place.set(title=name, xlabel="along the attack, /255", ylabel="along a random sign vector, /255")
    figure.colorbar(image, ax=axes, label="median loss difference")
    figure.savefig(sys.argv[1], dpi=130)


if __name__ == "__main__":
    main()
