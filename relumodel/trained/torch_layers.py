"""The two layers that torch does not have. This file needs torch; it is imported when a network is converted."""

from __future__ import annotations

import torch


class Gated(torch.nn.Module):
    """1[x.g_j >= 0] x.u_j: `linear` holds the u_j, `gates` the g_j. The gates have no gradient, as in training."""

    def __init__(self, linear: torch.nn.Linear, gates: torch.nn.Linear) -> None:
        super().__init__()
        self.linear, self.gates = linear, gates.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(self.gates(x) >= 0, self.linear(x), 0.0)


class PolynomialActivation(torch.nn.Module):
    """a t^2 + b t + c, elementwise."""

    def __init__(self, a: float, b: float, c: float) -> None:
        super().__init__()
        self.a, self.b, self.c = a, b, c

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        return (self.a * t + self.b) * t + self.c

    def extra_repr(self) -> str:
        return f"{self.a}, {self.b}, {self.c}"
