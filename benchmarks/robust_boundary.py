"""Bai et al. (2023), the 2-D picture: decision boundaries of standard and robust training, with the perturbation boxes.

    python benchmarks/robust_boundary.py docs/figures/robust_boundary.png

34 points in the unit square with random labels, no two boxes of radius eps = 0.08 meeting; P_s = 360 patterns by Algorithm 4.1;
hinge loss. The corners marked are the worst case of each sample for the network drawn.
"""

from __future__ import annotations

import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

import relumodel as rm

Array = NDArray[np.float64]

POINTS, EPS, PATTERNS, BETA = 34, 0.08, 360, 1e-4


def points(seed: int = 0) -> tuple[Array, Array]:
    """Points of [-1, 1]^2 more than 2 eps apart in the max-norm; labels by the sign of a smooth function, a tenth of them flipped."""
    rng = np.random.default_rng(seed)
    chosen: list[Array] = []
    while len(chosen) < POINTS:
        p = rng.uniform(-1, 1, 2)
        if all(np.abs(p - q).max() > 2.5 * EPS for q in chosen):
            chosen.append(p)
    X = np.array(chosen)
    y = np.where(np.sin(3 * X[:, 0]) * np.cos(2 * X[:, 1]) + 0.2 * rng.standard_normal(POINTS) >= 0, 1.0, -1.0)
    return X, y


def trained(X: Array, y: Array, perturbation: rm.LInf | None, robust: str = "strict") -> tuple[rm.Network, rm.Model]:
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Hinge(), rm.WeightDecay(BETA), perturbation, robust)
    if perturbation is None:
        patterns: rm.SamplePatterns | rm.RobustSamplePatterns = rm.SamplePatterns(PATTERNS, seed=0)
    else:
        patterns = rm.RobustSamplePatterns(PATTERNS, seed=0)
    solution = model.compile(X, y, patterns=patterns).solve()
    return solution.network(), model


def draw(axes: plt.Axes, network: rm.Network, X: Array, y: Array, title: str) -> None:
    grid = np.linspace(-1.15, 1.15, 400)
    mesh = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    scores = network(mesh).reshape(400, 400)
    axes.contourf(grid, grid, scores, levels=[-np.inf, 0, np.inf], colors=["#f6d5c8", "#cfe0f1"])
    axes.contour(grid, grid, scores, levels=[0], colors="black", linewidths=1.2)
    worst = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Hinge(), rm.WeightDecay(BETA), rm.LInf(EPS))
    corners, _ = network.worst_case(worst, X, y)
    broken = network.predict(corners) != y
    for label, colour in ((1.0, "#1f5a96"), (-1.0, "#b3401b")):
        at = y == label
        axes.scatter(*X[at].T, c=colour, s=22, zorder=3)
        axes.scatter(*corners[at].T, c=colour, s=14, marker="x", zorder=3)
        for x in X[at]:
            axes.add_patch(Rectangle((x[0] - EPS, x[1] - EPS), 2 * EPS, 2 * EPS, fill=False, edgecolor=colour, linewidth=0.9))
    errors = int((network.predict(X) != y).sum())
    axes.set_title(
        f"{title}\n{errors} of {len(X)} wrong, {int(broken.sum())} boxes broken, {network.n_neurons} neurons", fontsize=9
    )
    axes.set(xlim=(-1.15, 1.15), ylim=(-1.15, 1.15), aspect="equal", xticks=[], yticks=[])


def main() -> None:
    X, y = points()
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.9), layout="constrained")
    for place, (title, perturbation, robust) in zip(
        axes,
        (
            ("standard", None, "strict"),
            ("robust, strict (Algorithm 4.1)", rm.LInf(EPS), "strict"),
            ("robust, crossing", rm.LInf(EPS), "crossing"),
        ),
        strict=True,
    ):
        network, model = trained(X, y, perturbation, robust)
        worst = rm.Model(model.network, model.loss, model.penalty, rm.LInf(EPS))
        print(f"{title}: objective {network.objective(model, X, y):.4f}, worst case {network.objective(worst, X, y):.4f}")
        draw(place, network, X, y, title)
    figure.savefig(sys.argv[1], dpi=130)


if __name__ == "__main__":
    main()
