"""Training by batches: how near the optimum it comes, and Fashion-MNIST from a memory map.

    OMP_NUM_THREADS=1 python benchmarks/batches.py optimum
    OMP_NUM_THREADS=1 RELUMODEL_DATA=... python benchmarks/batches.py fashion

optimum : programs that fit memory are solved by `auto` (tol 1e-4, 200 s) and trained by batches of 64 for 20 and for 100 epochs, on the same
directions. "above" is (objective - optimum) / optimum, "below" (optimum - bound) / optimum.
fashion : fashion_mnist/fashion_mnist_full.npz in the data folder, pixels over 255, written to a memory map first. Softmax, beta = 1e-4, a bias,
batches of 1024 in float32, torch on one thread. "ratio" is the time of an epoch over that of its matrix products alone, two a step.
Prints Markdown tables.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits

import relumodel as rm
from relumodel.batches.program import BatchProgram

torch.set_num_threads(1)
Array = NDArray[np.float64]
RELU, GATED = (rm.TwoLayer(activation, bias=True) for activation in (rm.ReLU(), rm.GatedReLU()))
DECAY = rm.WeightDecay(1e-3)


def data(name: str) -> tuple[Array, Array]:
    if name == "breast cancer":
        bunch = load_breast_cancer()
        return (bunch.data - bunch.data.mean(axis=0)) / bunch.data.std(axis=0), np.where(bunch.target == 1, 1.0, -1.0)
    if name == "digits":
        bunch = load_digits()
        return bunch.data / 16, bunch.target.astype(float)
    rng = np.random.default_rng(5)
    X, W = rng.standard_normal((2000, 20)), rng.standard_normal((20, 5))
    return X, np.maximum(X @ W, 0) @ rng.standard_normal(5) / 5 + 0.1 * rng.standard_normal(2000)


CASES = [
    ("breast cancer", RELU, rm.Logistic(), DECAY, 50),
    ("breast cancer", RELU, rm.Hinge(), DECAY, 50),
    ("breast cancer", GATED, rm.Hinge(), DECAY, 50),
    ("digits", RELU, rm.SoftmaxCrossEntropy(), DECAY, 20),
    ("digits", GATED, rm.SoftmaxCrossEntropy(), DECAY, 20),
    ("digits", RELU, rm.MultiMargin(), DECAY, 20),
    ("digits", GATED, rm.MultiMargin(), DECAY, 20),
    ("random", RELU, rm.Squared(), rm.WeightDecay(1e-2), 30),
    ("random", GATED, rm.Absolute(), rm.WeightDecay(1e-2), 30),
]


def optimum() -> None:
    print("| Data | network | loss | optimum | above, 20 epochs | 100 epochs | below, 20 epochs | 100 epochs | s, 100 epochs |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, network, loss, penalty, count in CASES:
        X, y = data(name)
        model, patterns = rm.Model(network, loss, penalty), rm.SamplePatterns(count, seed=0)
        best = model.compile(X, y, patterns=patterns).solve(tol=1e-4, time_limit=200).objective
        program = model.compile_batches((X, y), patterns=patterns, batch_size=64)
        short, long = (program.solve(epochs=epochs) for epochs in (20, 100))
        above = [f"{(s.objective - best) / best:+.1e}" for s in (short, long)]
        below = [f"{(best - s.bound) / best:+.1e}" for s in (short, long)]
        kind = type(network.activation).__name__
        row = [name, kind, type(loss).__name__, f"{best:.5f}", *above, *below, f"{long.time:.1f}"]
        print("| " + " | ".join(row) + " |", flush=True)


def products(program: BatchProgram, batches: int, rows: int) -> float:
    """Seconds of the two products of every step of an epoch."""
    c, C, B, d = program.shape
    U, X = torch.rand(c * C * B, d), torch.rand(rows, d)
    S = U @ X.T
    started = time.perf_counter()
    for _ in range(3):
        U @ X.T
        S @ X
    return (time.perf_counter() - started) / 3 * batches


def fashion(which: list[str]) -> None:
    stored = np.load(Path(os.environ["RELUMODEL_DATA"]) / "fashion_mnist" / "fashion_mnist_full.npz")
    labels, test, test_labels = (stored[name] for name in ("y_train", "X_test", "y_test"))
    images = (stored["X_train"].reshape(60_000, 784) / 255).astype(np.float32)
    print("| Network | directions | variables | epochs | objective | bound | test accuracy | s an epoch | ratio | s in all |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    networks = {"relu": (RELU, 100, 10), "gated": (GATED, 100, 10), "three": (rm.ParallelThreeLayer(100, bias=True), 4, 5)}
    with tempfile.TemporaryDirectory() as folder:
        images.tofile(Path(folder) / "X")
        X = np.memmap(Path(folder) / "X", np.float32, "r", shape=images.shape)
        for name in which or networks:
            network, count, epochs = networks[name]
            model = rm.Model(network, rm.SoftmaxCrossEntropy(), rm.WeightDecay(1e-4))
            program = model.compile_batches((X, labels), patterns=rm.SamplePatterns(count, seed=0))
            batches = program.found.totals.batches
            alone = products(program, batches, 1024)
            solution = program.solve(epochs=epochs)
            times = np.diff([0.0, *(line.elapsed for line in solution.history)])
            right = np.mean(solution.network().predict(test.reshape(-1, 784) / 255) == test_labels)
            row = [name, count, f"{program.n_variables:,}", epochs, f"{solution.objective:.5f}", f"{solution.bound:.5f}"]
            row += [
                f"{100 * right:.2f} %",
                f"{times[0]:.0f}, last {times[-1]:.0f}",
                f"{times[0] / alone:.2f}",
                f"{solution.time:.0f}",
            ]
            print("| " + " | ".join(map(str, row)) + " |", flush=True)
            print(solution.message, [round(line.objective, 4) for line in solution.history], file=sys.stderr, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["optimum"]:
        optimum()
    elif sys.argv[1:2] == ["fashion"]:
        fashion(sys.argv[2:])
    else:
        print(__doc__)
