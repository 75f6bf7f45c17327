"""docs/figures/adaptive.png: what sampling more patterns gives, and what a fit gives, on breast cancer.

    OMP_NUM_THREADS=1 python benchmarks/adaptive_plot.py

Left: the optimum of the program on P sampled patterns, each solved to a proven gap of 1e-6, beside one fit. Right: objective and
estimated bound of that fit, round by round.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer

import relumodel as rm

COUNTS = (10, 20, 50, 100, 200, 500)


def main() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X, y = (X - X.mean(axis=0)) / X.std(axis=0), 2.0 * y - 1
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(reduction="sum"), rm.WeightDecay(5))
    result = model.fit(X, y, patterns=rm.AdaptivePatterns(gap=1e-3, seed=0))
    print(result)
    sampled = []
    for count in COUNTS:
        sampled.append(model.compile(X, y, patterns=rm.SamplePatterns(count, seed=0)).solve().objective)
        print(count, sampled[-1], flush=True)

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    left.plot(COUNTS, sampled, "o-", color="tab:blue", label="sampled patterns, optimum of their program")
    left.axhline(result.objective, color="tab:red", label=f"fit, {result.history[-1].patterns} patterns in the last round")
    left.set(xscale="log", xlabel="sampled patterns", ylabel="training objective", ylim=(20, None))
    left.set_xticks(COUNTS, [str(count) for count in COUNTS])
    left.legend(frameon=False, fontsize=8)

    rounds = [r.iteration for r in result.history]
    right.plot(rounds, [r.objective for r in result.history], "o-", color="tab:red", label="objective of the network")
    right.plot(rounds, [r.bound for r in result.history], "o-", color="tab:green", label="bound on every network (estimated)")
    right.fill_between(
        rounds, [r.bound for r in result.history], [r.objective for r in result.history], color="0.9", label="the gap"
    )
    right.set(xlabel="round of the fit", xticks=rounds)
    right.legend(frameon=False, fontsize=8)
    figure.savefig(Path(__file__).parent.parent / "docs" / "figures" / "adaptive.png", dpi=150)


if __name__ == "__main__":
    main()
