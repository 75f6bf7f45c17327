"""Training by batches: how near the optimum it comes, and Fashion-MNIST from a memory map.

    OMP_NUM_THREADS=1 python benchmarks/batches.py optimum
    OMP_NUM_THREADS=1 RELUMODEL_DATA=... python benchmarks/batches.py step
    OMP_NUM_THREADS=1 RELUMODEL_DATA=... python benchmarks/batches.py fashion

optimum : programs that fit memory are solved by `auto` (tol 1e-4, 150 s) and trained by batches of 64 for 20 and for 100 epochs, on the same
directions. "above" is (objective - optimum) / optimum, "below" (optimum - bound) / optimum.
step : one step on 1024 images of Fashion-MNIST (fashion_mnist/fashion_mnist_full.npz in the data folder, pixels over 255), reading included,
and its two matrix products alone. Softmax, beta = 1e-4, a bias, float32.
fashion : the same from a memory map of all 60 000 images.
Prints Markdown tables.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits

import relumodel as rm
from relumodel.batches.steps import Steps
from relumodel.program.arrays import Arrays
from relumodel.program.tensors import Tensors

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
    print("| Data | network | loss | optimum | above, 20 epochs | 100 epochs | below, 20 epochs | 100 epochs |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, network, loss, penalty, count in CASES:
        X, y = data(name)
        model, patterns = rm.Model(network, loss, penalty), rm.SamplePatterns(count, seed=0)
        best = model.compile(X, y, patterns=patterns).solve(tol=1e-4, time_limit=150).objective
        program = model.compile_batches((X, y), patterns=patterns, batch_size=64)
        short, long = (program.solve(epochs=epochs) for epochs in (20, 100))
        above = [f"{(s.objective - best) / best:+.1e}" for s in (short, long)]
        below = [f"{(best - s.bound) / best:+.1e}" for s in (short, long)]
        kind = type(network.activation).__name__
        row = [name, kind, type(loss).__name__, f"{best:.5f}", *above, *below]
        print("| " + " | ".join(row) + " |", flush=True)


def images() -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8]]:
    """Training pixels (60000, 784) and labels, those for testing."""
    stored = np.load(Path(os.environ["RELUMODEL_DATA"]) / "fashion_mnist" / "fashion_mnist_full.npz")
    pixels = [(stored[name].reshape(-1, 784) / 255).astype(np.float32) for name in ("X_train", "X_test")]
    return pixels[0], stored["y_train"], pixels[1], stored["y_test"]


def model_of(network: rm.networks.DeclaredNetwork) -> rm.Model:
    return rm.Model(network, rm.SoftmaxCrossEntropy(), rm.WeightDecay(1e-4))


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of the second of two runs."""
    work()
    started = time.process_time()
    work()
    return time.process_time() - started


def step() -> None:
    X, labels, *_ = images()
    print("| Network | directions | variables | arrays | step, CPU s | its products | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    three = rm.ParallelThreeLayer(100, bias=True)
    for network, count in ((RELU, 100), (GATED, 100), (three, 10), (three, 40)):
        program = model_of(network).compile_batches((X[:4096], labels[:4096]), patterns=rm.SamplePatterns(count, seed=0))
        data = next(program.source.batches())
        for arrays in (Arrays("float32"), Tensors("float32", "cpu"))[: 1 if count == 40 else 2]:
            with torch.inference_mode():
                engine = Steps(program, arrays, 10, 0, None)
                U, A = engine.factors.blocks(), engine.prepared(data).X
                S = U @ A.T
                alone = seconds(lambda U=U, A=A: U @ A.T) + seconds(lambda S=S, A=A: S @ A)
                del U, S
                whole = seconds(lambda engine=engine, data=data: engine.step(engine.prepared(data), 0.1, False))
            row = [repr(network), count, f"{program.n_variables:,}", type(arrays).__name__, f"{whole:.3f}", f"{alone:.3f}"]
            print("| " + " | ".join(map(str, row)) + f" | {whole / alone:.2f} |", flush=True)


def fashion(which: list[str]) -> None:
    pixels, labels, test, test_labels = images()
    print(
        "| Network | directions | variables | epochs | objective | bound | test accuracy | s an epoch, first and last | s in all |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    networks = {"relu": (RELU, 100, 10), "gated": (GATED, 100, 10), "three": (rm.ParallelThreeLayer(100, bias=True), 4, 5)}
    with tempfile.TemporaryDirectory() as folder:
        pixels.tofile(Path(folder) / "X")
        X = np.memmap(Path(folder) / "X", np.float32, "r", shape=pixels.shape)
        for name in which or networks:
            network, count, epochs = networks[name]
            program = model_of(network).compile_batches((X, labels), patterns=rm.SamplePatterns(count, seed=0))
            solution = program.solve(epochs=epochs, device=None)
            times = np.diff([0.0, *(line.elapsed for line in solution.history)])
            right = np.mean(solution.network().predict(test) == test_labels)
            row = [name, count, f"{program.n_variables:,}", epochs, f"{solution.objective:.5f}", f"{solution.bound:.5f}"]
            row += [
                f"{100 * right:.2f} %",
                f"{times[0]:.0f}, {times[-1]:.0f}",
                f"{solution.time:.0f}",
            ]
            print("| " + " | ".join(map(str, row)) + " |", flush=True)
            print(solution.message, [round(line.objective, 4) for line in solution.history], file=sys.stderr, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["optimum"]:
        optimum()
    elif sys.argv[1:2] == ["step"]:
        step()
    elif sys.argv[1:2] == ["fashion"]:
        fashion(sys.argv[2:])
    else:
        print(__doc__)
