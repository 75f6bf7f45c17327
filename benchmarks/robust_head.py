"""A robust head on the features of a small CNN, against the CNN as trained and a head trained by SAM: clean, FGSM and PGD accuracy.

    RELUMODEL_DATA=... OMP_NUM_THREADS=1 python benchmarks/robust_head.py

Fashion-MNIST pullover against bag and CIFAR-10 bird against ship, 2000 training and 1000 test images each, pixels in [0, 1]. The CNN has two
strided 5 x 5 convolutions (8 and 16 channels), 32 features, a hidden layer of 32 and two outputs; 15 epochs of Adam, cross entropy. Heads
are trained on its frozen features: ours by `rm.robustify_head` (hinge, WeightDecay(1e-3), LInf with a radius of 5, 10 and 30 % of the mean standard
deviation of a feature, one round), and by SAM (Foret et al. 2021; rho = 0.05, 200 full-batch steps of Adam, cross entropy). Attacks on the input,
through the whole network.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import copy
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

import relumodel as rm

DATA = Path(os.environ.get("RELUMODEL_DATA", "../shared/data"))
CASES = {"Fashion pullover v bag": ("fashion_pullover_v_bag", 8 / 255), "CIFAR bird v ship": ("cifar10_bird_v_ship", 2 / 255)}
TRAIN, TEST = 2000, 1000


def images(folder: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    with np.load(DATA / folder / f"{folder}.npz") as file:
        parts = [np.asarray(file[key]) for key in ("X_train", "y_train", "X_test", "y_test")]
    channels = 3 if parts[0].reshape(len(parts[0]), -1).shape[1] == 3072 else 1
    side = 32 if channels == 3 else 28
    out = []
    for at, size in ((0, TRAIN), (2, TEST)):
        chosen = np.random.default_rng(0).permutation(len(parts[at]))[:size]
        X = parts[at][chosen].astype(np.float32) / 255
        X = X.reshape(-1, side, side, channels).transpose(0, 3, 1, 2) if channels == 3 else X.reshape(-1, 1, side, side)
        y = parts[at + 1][chosen]
        out += [torch.tensor(np.ascontiguousarray(X)), torch.tensor((y == parts[1].max()).astype(int))]
    return out[0], out[1], out[2], out[3]


def cnn(channels: int, side: int) -> nn.Sequential:
    last = ((side - 5) // 2 + 1 - 5) // 2 + 1
    convolutions = [nn.Conv2d(channels, 8, 5, 2), nn.ReLU(), nn.Conv2d(8, 16, 5, 2), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*convolutions, nn.Linear(16 * last**2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))


def train(module: nn.Module, X: torch.Tensor, y: torch.Tensor) -> None:
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-3)
    for _ in range(15):
        for batch in torch.randperm(len(X)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(module(X[batch]), y[batch]).backward()
            optimiser.step()


def sam(module: nn.Sequential, X: torch.Tensor, y: torch.Tensor, rho: float = 0.05) -> nn.Sequential:
    """A copy whose last three layers are trained by sharpness-aware minimisation."""
    out = copy.deepcopy(module)
    head = out[7:]
    with torch.no_grad():
        features = out[:7](X)
    weights = list(head.parameters())
    optimiser = torch.optim.Adam(weights, lr=1e-2)
    for _ in range(200):
        gradients = torch.autograd.grad(nn.functional.cross_entropy(head(features), y), weights)
        size = torch.sqrt(sum((g * g).sum() for g in gradients))  # type: ignore[arg-type]
        with torch.no_grad():
            for w, g in zip(weights, gradients, strict=True):
                w += rho * g / size
        optimiser.zero_grad()
        nn.functional.cross_entropy(head(features), y).backward()
        with torch.no_grad():
            for w, g in zip(weights, gradients, strict=True):
                w -= rho * g / size
        optimiser.step()
    return out


def accuracies(module: nn.Module, X: torch.Tensor, y: torch.Tensor, eps: float) -> list[float]:
    """Clean, FGSM, PGD with 20 steps."""
    labels = 2.0 * y.numpy() - 1
    moved = [X, rm.attacks.fgsm(module, X, labels, eps), rm.attacks.pgd(module, X, labels, eps, steps=20, step_size=eps / 8)]
    with torch.no_grad():
        return [float((module(x).argmax(1) == y).float().mean()) for x in moved]


def main() -> None:
    torch.set_num_threads(1)
    print("| data, eps | head | clean | FGSM | PGD | CPU s |\n|---|---|---|---|---|---|")
    for label, (folder, eps) in CASES.items():
        X, y, X_test, y_test = images(folder)
        torch.manual_seed(0)
        module = cnn(X.shape[1], X.shape[2])
        times, heads = {}, {}
        start = time.process_time()
        train(module, X, y)
        heads["as trained"], times["as trained"] = module, time.process_time() - start
        start = time.process_time()
        heads["SAM"] = sam(module, X, y)
        times["SAM"] = time.process_time() - start
        with torch.no_grad():
            spread = float(module[:7](X).std(dim=0).mean())
        for share in (0.05, 0.1, 0.3):
            perturbation = rm.LInf(share * spread)
            model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Hinge(), rm.WeightDecay(1e-3), perturbation, robust="crossing")
            start = time.process_time()
            name = f"robustify_head, {100 * share:.0f} %"
            patterns = rm.AdaptivePatterns(rounds=1, gap=0.05, seed=0)
            heads[name] = rm.robustify_head(module, [(X, y)], model, patterns=patterns)
            times[name] = time.process_time() - start
        for name, head in heads.items():
            shown = " | ".join(f"{100 * a:.1f} %" for a in accuracies(head, X_test, y_test, eps))
            print(f"| {label}, {round(255 * eps)}/255 | {name} | {shown} | {times[name]:.0f} |", flush=True)


if __name__ == "__main__":
    main()
