"""Blocks as products, in which the penalty is a square (Hoff 2017; Srebro, Rennie & Jaakkola 2004).

    |u|_2 = min (|a|_2^2 + s^2) / 2  over  u = a s            |u|_1 = min (|g|_2^2 + |h|_2^2) / 2  over  u = (g * g - h * h) / 2

so a program with the penalty beta |u| is smooth in the factors, and blocks that are not worth their penalty die out geometrically.
`Penalty.unfold` is the same for descent in memory; these are written for arrays of NumPy and torch, and work in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from array_api_compat import array_namespace

from ..functions.penalties import Penalty, known_norm

Array = Any


class Factors(Protocol):
    """The factors of blocks U (..., d)."""

    @property
    def parts(self) -> tuple[Array, Array]:
        """The factors, for steps in place."""
        ...

    def blocks(self) -> Array:
        """U."""
        ...

    def pull(self, G: Array, beta: float) -> tuple[Array, Array]:
        """The gradients in the factors of  f(U) + beta times the squares / 2,  G that of f in U. G may be overwritten."""
        ...


@dataclass(frozen=True)
class Neurons:
    """u = a s. a : (..., d), s : (...)."""

    a: Array
    s: Array

    @property
    def parts(self) -> tuple[Array, Array]:
        return self.a, self.s

    def blocks(self) -> Array:
        return self.a * self.s[..., None]

    def pull(self, G: Array, beta: float) -> tuple[Array, Array]:
        on_s = array_namespace(G).sum(G * self.a, axis=-1) + beta * self.s
        G *= self.s[..., None]
        G += beta * self.a
        return G, on_s


@dataclass(frozen=True)
class Sides:
    """u = (g^2 - h^2) / 2, elementwise."""

    g: Array
    h: Array

    @property
    def parts(self) -> tuple[Array, Array]:
        return self.g, self.h

    def blocks(self) -> Array:
        return 0.5 * (self.g * self.g - self.h * self.h)

    def pull(self, G: Array, beta: float) -> tuple[Array, Array]:
        return (G + beta) * self.g, (beta - G) * self.h


def factored(U: Array, penalty: Penalty, least: float) -> Neurons | Sides:
    """The cheapest factors of blocks U, none of them smaller than `least`, so that no block is dead: a block of zeros stands for one of
    size least^2 along the direction that it is given in U times any positive number."""
    xp = array_namespace(U)
    if known_norm(penalty, "Training by batches") == "l1":
        return Sides(*(xp.sqrt(2 * xp.clip(sign * U, min=0.0) + least**2) for sign in (1, -1)))
    s = xp.sqrt(xp.sqrt(xp.sum(U * U, axis=-1)))
    return Neurons(U / s[..., None], s)
