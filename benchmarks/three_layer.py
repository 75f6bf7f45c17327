"""Parallel three-layer networks: the convex program against Adam and SGD on the same objective (Ergen & Pilanci 2021, Table 1 and Figure 4).

    RELUMODEL_DATA=folder OMP_NUM_THREADS=1 python benchmarks/three_layer.py table
    OMP_NUM_THREADS=1 python benchmarks/three_layer.py figure

table : UCI sets, m1 = 7, K = 10, beta = 0.1, a bias, loss 1/2 |f - y|^2, labels -1/+1 (of several classes the most frequent against the
others), features standardised, 80 % for training. figure : n = 5, d = 2, m1 = 3, several K. The local methods train 2 K
sub-networks of the same width for 1000 steps, Adam from ten starts. Then the convex program on the patterns of Adam's best network, and
`model.fit`, which knows nothing of Adam.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import relumodel as rm

Array = NDArray[np.float64]

SETS = (("acute", "y_inflammation"), ("balloons", "y"), ("breast_tissue", "y"), ("fertility", "y"), ("bridges_span", "y"))
SEEDS, ADAM = range(3), range(10)


def data(name: str, target: str) -> tuple[Array, Array, Array, Array]:
    """Training and test features, standardised, and labels; rows with missing values are left out."""
    with np.load(Path(os.environ["RELUMODEL_DATA"]) / name / f"{name}.npz", allow_pickle=False) as file:
        X, y = file["X"].astype(float), file[target]
    complete = np.isfinite(X).all(axis=1)
    X, y = X[complete], y[complete]
    order = np.random.default_rng(0).permutation(len(X))
    X, y = X[order], np.where(y[order] == np.bincount(y).argmax(), 1.0, -1.0)
    cut = round(0.8 * len(X))
    mean, deviation = X[:cut].mean(axis=0), X[:cut].std(axis=0)
    X = (X - mean) / np.where(deviation > 0, deviation, 1.0)
    return X[:cut], y[:cut], X[cut:], y[cut:]


def descend(model: rm.Model, X: Array, y: Array, G: int, seed: int, method: str, steps: int) -> rm.ThreeLayerNetwork:
    """A network of G sub-networks trained by "adam" (all samples a step, rate 1e-2) or "sgd" (batches of 32, momentum 0.9, rate 1e-3, norm
    of the gradient at most 10)."""
    torch.manual_seed(seed)
    beta, m = model.penalty.beta, model.network.width
    A = torch.tensor(np.column_stack([X, np.ones(len(X))]) if model.network.bias else X)
    target = torch.tensor(y)
    shapes = ((G, A.shape[1], m), (G, m), (G,))
    W1, w2, w3 = weights = [
        torch.randn(*shape, dtype=torch.float64) * shape[1 if len(shape) > 1 else 0] ** -0.5 for shape in shapes
    ]
    for weight in weights:
        weight.requires_grad_()
    optimiser = torch.optim.Adam(weights, lr=1e-2) if method == "adam" else torch.optim.SGD(weights, lr=1e-3, momentum=0.9)
    for _ in range(steps):
        batch = slice(None) if method == "adam" else torch.randperm(len(A))[:32]
        rows = A[batch]
        f = w3 @ torch.relu(torch.einsum("gnm,gm->gn", torch.relu(rows @ W1), w2))
        loss = 0.5 * ((f - target[batch]) ** 2).sum() * (len(A) / len(rows))
        penalty = 0.5 * beta * (((W1**2).sum(dim=(1, 2)) * (w2**2).sum(dim=1)).sum() + (w3**2).sum())
        optimiser.zero_grad()
        (loss + penalty).backward()
        if method == "sgd":
            torch.nn.utils.clip_grad_norm_(weights, 10.0)
        optimiser.step()
    return rm.ThreeLayerNetwork(model.network.bias, *(weight.detach().numpy() for weight in weights))


def polished(model: rm.Model, X: Array, y: Array, network: rm.ThreeLayerNetwork) -> rm.Solution:
    """The convex program on the patterns of a network."""
    return model.compile(X, y, patterns=rm.PatternsOf(network)).solve(tol=1e-4)


def error(network: rm.ThreeLayerNetwork, X: Array, y: Array) -> float:
    """Percent of labels missed."""
    return 100 * float(np.mean(np.where(network(X) >= 0, 1.0, -1.0) != y))


def table() -> None:
    model = rm.Model(rm.ParallelThreeLayer(width=7, bias=True), rm.Squared(reduction="sum"), rm.WeightDecay(0.1))
    print(
        "| data, training + test x d | convex, K = 10 | Adam | SGD | convex on Adam's patterns | fit | CPU s: convex, Adam, fit | largest gap of convex |\n|---|---|---|---|---|---|---|---|"
    )
    for name, target in SETS:
        X, y, X_test, y_test = data(name, target)
        start = time.process_time()
        convex = [model.compile(X, y, patterns=rm.SamplePatterns(10, seed=s)).solve(tol=1e-4) for s in SEEDS]
        middle = time.process_time()
        adam = [descend(model, X, y, 20, s, "adam", 1000) for s in ADAM]
        end = time.process_time()
        fitted = model.fit(X, y).network
        last = time.process_time()
        sgd = [descend(model, X, y, 20, s, "sgd", 1000) for s in SEEDS]
        best = min(adam, key=lambda network: network.objective(model, X, y))
        networks = ([s.network() for s in convex], adam, sgd, [polished(model, X, y, best).network()], [fitted])
        cells = [cell(model, group, X, y, X_test, y_test) for group in networks]
        seconds = f"{(middle - start) / len(SEEDS):.1f}, {(end - middle) / len(ADAM):.1f}, {last - end:.1f}"
        gaps = max(s.gap for s in convex)
        print(f"| {name}, {len(X)} + {len(X_test)} x {X.shape[1]} | {' | '.join(cells)} | {seconds} | {gaps:.0e} |", flush=True)


def cell(model: rm.Model, networks: list[rm.ThreeLayerNetwork], X: Array, y: Array, X_test: Array, y_test: Array) -> str:
    """Objectives, smallest and largest, and the mean test error."""
    values = [network.objective(model, X, y) for network in networks]
    errors = np.mean([error(network, X_test, y_test) for network in networks])
    shown = f"{min(values):.3f}" if len(values) == 1 else f"{min(values):.3f} to {max(values):.3f}"
    return f"{shown}; {errors:.1f} %"


def figure() -> None:
    model = rm.Model(rm.ParallelThreeLayer(width=3), rm.Squared(reduction="sum"), rm.WeightDecay(0.002))
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((5, 2)), rng.standard_normal(5)
    print("| K | convex, K sampled | Adam, ten starts | convex on Adam's patterns |\n|---|---|---|---|")
    for K in (2, 5, 10):
        convex = model.compile(X, y, patterns=rm.SamplePatterns(K, seed=0)).solve()
        adam = [descend(model, X, y, 2 * K, seed, "adam", 1000) for seed in ADAM]
        values = np.array([network.objective(model, X, y) for network in adam])
        after = polished(model, X, y, adam[int(values.argmin())]).objective
        print(f"| {K} | {convex.objective:.5f} | {values.min():.5f} to {values.max():.5f} | {after:.5f} |", flush=True)
    print(f"fit: {model.fit(X, y).objective:.5f}")


if __name__ == "__main__":
    {"table": table, "figure": figure}[sys.argv[1]]()
