"""The baselines of robust training: a two-layer ReLU network in torch, trained by Adam on clean, FGSM or PGD examples."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float64]


def train(
    X: Array, y: Array, attack: str, eps: float, beta: float, seed: int, width: int = 72, epochs: int = 300
) -> torch.nn.Sequential:
    """Mean hinge loss plus beta/2 times the squared weights, on clean ("std") or attacked ("fgsm", "pgd") batches of 50."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(
        torch.nn.Linear(X.shape[1], width, bias=False), torch.nn.ReLU(), torch.nn.Linear(width, 1, bias=False)
    )
    data, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        for at in torch.randperm(len(data)).split(50):
            x = attacked(model, data[at], labels[at], attack, eps)
            loss = torch.relu(1 - labels[at] * model(x)[:, 0]).mean()
            loss = loss + beta / 2 * sum((p**2).sum() for p in model.parameters())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
    return model


def attacked(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, attack: str, eps: float) -> torch.Tensor:
    """The batch moved against the margin: one signed step, or 20 of eps / 8 kept in the box."""
    if attack == "std":
        return x
    steps, size = (1, eps) if attack == "fgsm" else (20, eps / 8)
    moved = x.clone()
    for _ in range(steps):
        moved.requires_grad_(True)
        (gradient,) = torch.autograd.grad((y * model(moved)[:, 0]).sum(), moved)
        moved = torch.clamp(moved.detach() - size * gradient.sign(), x - eps, x + eps)
    return moved
