"""Adaptive patterns against Adam on the same objective, in one run, and on other losses.

    OMP_NUM_THREADS=1 python benchmarks/adaptive.py [losses]

Breast cancer (569 x 30, standardised, bias), squared loss (sum), beta = 5: `model.fit` with three seeds, then five runs of Adam in
torch, 8000 full-batch steps at width 100, learning rate 0.01 falling to 0.0001 along a cosine. With `losses` instead: every loss (means)
and both penalties on digits 2 against 8. CPU seconds, one thread.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import sys
import time

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits

import relumodel as rm

Array = NDArray[np.float64]

BETA, WIDTH, STEPS = 5.0, 100, 8000


def standardised(X: Array) -> Array:
    spread = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def breast_cancer() -> tuple[Array, Array]:
    X, y = load_breast_cancer(return_X_y=True)
    return standardised(X), 2.0 * y - 1


def digits() -> tuple[Array, Array]:
    X, y = load_digits(return_X_y=True)
    pair = np.isin(y, (2, 8))
    return standardised(X[pair]), np.where(y[pair] == 8, 1.0, -1.0)


def adam(X: Array, y: Array, seed: int) -> rm.Network:
    """The network after STEPS full-batch steps on loss plus penalty."""
    torch.manual_seed(seed)
    A, b = torch.tensor(np.column_stack([X, np.ones(len(X))])), torch.tensor(y)
    U = (torch.randn(A.shape[1], WIDTH, dtype=torch.float64) / np.sqrt(A.shape[1])).requires_grad_()
    a = (torch.randn(WIDTH, dtype=torch.float64) / np.sqrt(WIDTH)).requires_grad_()
    optimiser = torch.optim.Adam([U, a], lr=1e-2)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS, eta_min=1e-4)
    for _ in range(STEPS):
        optimiser.zero_grad()
        residual = torch.relu(A @ U) @ a - b
        (0.5 * (residual @ residual) + BETA / 2 * ((U * U).sum() + a @ a)).backward()
        optimiser.step()
        falling.step()
    return rm.Network(rm.ReLU(), True, U.detach().numpy(), a.detach().numpy(), classifies=False)


def row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def against_adam() -> None:
    X, y = breast_cancer()
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(reduction="sum"), rm.WeightDecay(BETA))
    print("| what | CPU s | objective | bound (estimated) | gap | neurons | rounds, starts |\n|---|---|---|---|---|---|---|")
    for seed in range(3):
        start = time.process_time()
        result = model.fit(X, y, patterns=rm.AdaptivePatterns(gap=1e-3, seed=seed))
        spent = time.process_time() - start
        known = f"{result.bound:.4f}", f"{result.gap:.1e}", result.network.n_neurons, f"{result.rounds}, {result.starts:,}"
        row(f"model.fit, seed {seed}", f"{spent:.1f}", f"{result.objective:.4f}", *known)
    total, networks = 0.0, []
    for seed in range(5):
        start = time.process_time()
        networks.append(adam(X, y, seed))
        spent = time.process_time() - start
        total += spent
        row(f"Adam, seed {seed}", f"{spent:.1f}", f"{networks[-1].objective(model, X, y):.4f}", "", "", WIDTH, "")
    best = min(networks, key=lambda network: network.objective(model, X, y))
    row("the best of five Adam runs", f"{total:.1f}", f"{best.objective(model, X, y):.4f}", "", "", WIDTH, "")
    start = time.process_time()
    result = rm.polish(best, model, X, y, patterns=rm.AdaptivePatterns(rounds=1))
    spent = time.process_time() - start
    known = f"{result.bound:.4f}", f"{result.gap:.1e}", result.network.n_neurons, f"{result.rounds}, {result.starts:,}"
    row("polish of that one, one round", f"{spent:.1f}", f"{result.objective:.4f}", *known)


def other_losses() -> None:
    X, y = digits()
    print("| model | CPU s | objective | gap (estimated) | status | neurons | rounds |\n|---|---|---|---|---|---|---|")
    for loss in (rm.Hinge(), rm.SquaredHinge(), rm.Logistic(), rm.Squared(), rm.Absolute(), rm.Huber(0.5)):
        for penalty in (rm.WeightDecay(1e-2), rm.PathNorm(1e-2)):
            model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), loss, penalty)
            start = time.process_time()
            result = model.fit(X, y, patterns=rm.AdaptivePatterns(gap=1e-3, seed=0), time_limit=120)
            spent = time.process_time() - start
            label = f"{type(loss).__name__}, {type(penalty).__name__}({penalty.beta:g})"
            row(
                label,
                f"{spent:.1f}",
                f"{result.objective:.6f}",
                f"{result.gap:.1e}",
                result.status,
                result.network.n_neurons,
                result.rounds,
            )


if __name__ == "__main__":
    if "losses" in sys.argv[1:]:
        other_losses()
    else:
        against_adam()
