"""The 2-D XOR problem under LInf perturbations: robust linear, strict (Algorithm 4.1) and crossing programs.

    OMP_NUM_THREADS=1 python benchmarks/robust_xor.py

200 points of numpy's default_rng(0).uniform(-1, 1), y = sign(x1 x2), mean hinge, beta = 1e-3, bias; 40 sampled patterns, six refinements.
Prints the certified worst-case objective of every network.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time

import numpy as np

import relumodel as rm


def main() -> None:
    X = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    y = np.sign(X[:, 0] * X[:, 1])
    print(
        "| eps | robust linear | strict | crossing | refined | its network | CPU s, crossing and refining |\n|---|---|---|---|---|---|---|"
    )
    for eps in (0.02, 0.05):
        strict = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Hinge(), rm.WeightDecay(1e-3), rm.LInf(eps))
        crossing = rm.Model(strict.network, strict.loss, strict.penalty, strict.perturbation, robust="crossing")
        linear = strict.compile(X, y, patterns=rm.GivenPatterns(np.ones((200, 1), dtype=bool))).solve()
        sampled = strict.compile(X, y, patterns=rm.RobustSamplePatterns(40, seed=0)).solve()
        start = time.process_time()
        first = crossing.compile(X, y, patterns=rm.SamplePatterns(40, seed=0)).solve(tol=1e-4)
        refined = rm.refine(first, rounds=6, tol=1e-4)
        seconds = time.process_time() - start
        values = (
            linear.objective,
            sampled.objective,
            first.objective,
            refined.objective,
            refined.network().objective(crossing, X, y),
        )
        print(f"| {eps} | {' | '.join(f'{v:.3f}' for v in values)} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
