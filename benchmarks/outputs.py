"""Several outputs: wine (178 x 13, three classes) and digits (1797 x 64, ten classes), trained by each loss that suits classes.

    OMP_NUM_THREADS=1 python benchmarks/outputs.py

wine : every second sample trains, features standardised, beta = 1e-2, a bias; `model.fit` to a gap of 1e-3. digits : the first 1000 samples
train, grey levels over 16, beta = 1e-3, a bias, 50 sampled patterns. Squared and Hinge have one column -1/+1 a class, MultiMargin and
SoftmaxCrossEntropy the classes themselves. Test accuracy, and CPU seconds of one run. Prints two Markdown tables.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits, load_wine

import relumodel as rm
from relumodel.functions.losses import Loss

Array = NDArray[np.float64]
LOSSES = (rm.Squared(), rm.Hinge(), rm.MultiMargin(), rm.SoftmaxCrossEntropy())
NETWORK = rm.TwoLayer(rm.ReLU(), bias=True)


def targets(loss: Loss, y: Array) -> Array:
    return y if loss.reads == "classes" else np.where(y[:, None] == np.unique(y), 1.0, -1.0)


def accuracy(network: rm.Network, X: Array, y: Array) -> float:
    """Percent of classes right, the largest output winning."""
    return 100 * float(np.mean(network(X).argmax(axis=1) == y))


def wine(loss: Loss) -> str:
    data = load_wine()
    X, y, train = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0), data.target, np.arange(178) % 2 == 0
    model = rm.Model(NETWORK, loss, rm.WeightDecay(1e-2))
    start = time.process_time()
    result = model.fit(X[train], targets(loss, y[train]), time_limit=200)
    seconds = time.process_time() - start
    right, f = accuracy(result.network, X[~train], y[~train]), result.network
    return f"| {type(loss).__name__} | {right:.1f} % | {result.objective:.5f} | {result.gap:.0e} | {f.n_neurons} | {seconds:.1f} |"


def digits(loss: Loss) -> str:
    data = load_digits()
    X, y = data.data / 16, data.target
    model = rm.Model(NETWORK, loss, rm.WeightDecay(1e-3))
    program = model.compile(X[:1000], targets(loss, y[:1000]), patterns=rm.SamplePatterns(50, seed=0))
    start = time.process_time()
    solution = program.solve(backend="admm", tol=0.1 if loss.reads == "classes" else 1e-4, time_limit=150)
    seconds, f = time.process_time() - start, solution.network()
    right = accuracy(f, X[1000:], y[1000:])
    return (
        f"| {type(loss).__name__} | {right:.1f} % | {solution.objective:.5f} | {solution.gap:.0e} | {f.n_neurons} | {seconds:.1f} |"
    )


if __name__ == "__main__":
    for name, row in (("wine", wine), ("digits", digits)):
        print(f"\n| {name} | test accuracy | objective | gap | neurons | CPU s |\n| --- | --- | --- | --- | --- | --- |")
        for loss in LOSSES:
            print(row(loss), flush=True)
