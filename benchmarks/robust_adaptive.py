"""Adaptive robust training: certified objectives of `model.fit` with robust="crossing", beside the robust linear classifier.

    OMP_NUM_THREADS=1 RELUMODEL_DATA=... python benchmarks/robust_adaptive.py [seeds]

2-D XOR (200 points of numpy's default_rng(0).uniform(-1, 1), y = sign(x1 x2)), breast cancer (standardised), CIFAR-10 bird against ship
(600 images at 7 x 7 x 3, eps = 10/255), also at width 8 with exact certificates; mean hinge, bias, LInf. XOR runs until nothing gains, the others take one round. Prints a Markdown
table: CPU seconds, certified objective, the library's lower bound, neurons, and the share of samples (test images for CIFAR) whose label is right, right
after PGD (40 steps), certified. Every certified loss is checked against PGD: none may be above it.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import relumodel as rm

Array = NDArray[np.float64]

ROUNDS = {"XOR": 30}
#: Neurons of the first descent: fewer train faster and fit the 600 images less closely. Few can be certified exactly.
WIDTHS = {"CIFAR, width 8": 8}


def problems() -> list[tuple[str, Array, Array, Array, Array, float, float]]:
    """Name, training data, test data, eps, beta."""
    from sklearn.datasets import load_breast_cancer

    X = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    y = np.sign(X[:, 0] * X[:, 1])
    cancer = load_breast_cancer()
    Z, z = (cancer.data - cancer.data.mean(axis=0)) / cancer.data.std(axis=0), 2.0 * cancer.target - 1
    file = np.load(Path(os.environ["RELUMODEL_DATA"]) / "cifar600_robust" / "cifar600_robust.npz")
    out = [("XOR", X, y, X, y, eps, 1e-3) for eps in (0.02, 0.05)]
    out += [("breast cancer", Z, z, Z, z, eps, 1e-3) for eps in (0.1, 0.2, 0.3)]
    images = (file["X"], file["y"], file["X_test"], file["y_test"], 10 / 255, 1e-4)
    return [*out, ("CIFAR", *images), ("CIFAR, width 8", *images)]


def checked(network: rm.Network, model: rm.Model, X: Array, y: Array, eps: float) -> None:
    """No attack exceeds the certified losses."""
    moved = rm.attacks.pgd(network, X, y, eps, starts=2)
    losses = network.worst_case(model, X, y).losses
    assert (model.loss.value(y * network(moved)) <= losses + 1e-9).all()


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    print("| data | eps | seed | linear | certified objective | lower bound | neurons | CPU s | right % | PGD % | certified % |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for name, X, y, X_test, y_test, eps, beta in problems():
        network, loss, penalty = rm.TwoLayer(rm.ReLU(), bias=True), rm.Hinge(), rm.WeightDecay(beta)
        model = rm.Model(network, loss, penalty, rm.LInf(eps), robust="crossing")
        strict = rm.Model(network, loss, penalty, rm.LInf(eps))
        linear = strict.compile(X, y, patterns=rm.GivenPatterns(np.ones((len(X), 1), dtype=bool))).solve(tol=1e-5).objective
        for seed in range(seeds):
            start = time.process_time()
            width, rounds = WIDTHS.get(name, 60), ROUNDS.get(name, 1)
            result = model.fit(X, y, patterns=rm.AdaptivePatterns(seed=seed, rounds=rounds, width=width))
            seconds = time.process_time() - start
            trained = result.network
            checked(trained, model, X, y, eps)
            moved = rm.attacks.pgd(trained, X_test, y_test, eps, starts=2)
            certified = trained.certified(X_test, y_test, rm.LInf(eps), exact=name in WIDTHS, time_limit=60) == "certified"
            shares = [trained.predict(X_test) == y_test, trained.predict(moved) == y_test, certified]
            cells = [f"{linear:.3f}", f"{result.objective:.4f}", f"{result.bound:.4f}", str(trained.n_neurons), f"{seconds:.1f}"]
            cells += [f"{100 * np.mean(share):.1f}" for share in shares]
            print(f"| {name} | {eps:.3g} | {seed} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
