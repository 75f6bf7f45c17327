"""Douglas-Rachford splitting (the alternating direction method of multipliers) of  min sum_j f_j(K_j x).

Each term has a copy p_j of K_j x, a multiplier y_j (in units of its weight w_j) and a state s_j = p_j + y_j:

    p_j = prox of f_j / w_j at s_j,    x = argmin sum_j w_j / 2 |K_j x - (2 p_j - s_j)|^2,    s_j += relax (K_j x - p_j).

q_j = w_j (s_j - p_j) is a subgradient of f_j at p_j; sum_j K_j' q_j tends to zero. Everything is array-API code.
"""

from __future__ import annotations

import math
from typing import Any

from array_api_compat import array_namespace

from .normal_system import NormalSystem

#: Over-relaxation; two is the limit of convergence.
RELAX = 1.7

#: The weights of all terms change together, and no weight by more than this factor at once.
LIMIT = 5.0


class Splitting:
    """The iteration. functions : the terms' proximal faces, in the order of the images."""

    def __init__(self, functions: list[Any], system: NormalSystem, weights: list[float], x: Any) -> None:
        self.functions, self.system, self.weights = functions, system, weights
        system.weigh(weights)
        self.x, self.images = x, system.images.forward(x)
        self.states = [1.0 * image for image in self.images]
        self.copies = self.states
        self.before = self.copies

    def step(self) -> None:
        """One iteration."""
        self.before = self.copies
        self.copies = [f.prox(s, 1 / w) for f, s, w in zip(self.functions, self.states, self.weights, strict=True)]
        targets = [2 * p for p in self.copies]
        for target, s in zip(targets, self.states, strict=True):
            target -= s
        self.x, self.images = self.system.solve(self.x, self.images, targets)
        for s, image, p in zip(self.states, self.images, self.copies, strict=True):
            gap = image - p
            gap *= RELAX
            s += gap

    def multipliers(self) -> list[Any]:
        """(q_j) at the copies of the last step, from their proximal maps' own arguments."""
        out = []
        for s, image, p, w in zip(self.states, self.images, self.copies, self.weights, strict=True):
            out.append(w * (s - RELAX * (image - p) - p))
        return out

    def refresh(self) -> None:
        """Form the images anew from x: what rounding has left in them goes."""
        self.images = self.system.images.forward(self.x)

    def balance(self, alone: int | None) -> None:
        """New weights where the residuals ask for it. All change by the root of the ratio of primal and dual residual; that of
        the term `alone` so that its copy and its multiplier weigh the same."""
        primal = self._length([image - p for image, p in zip(self.images, self.copies, strict=True)])
        dual = self._length([p - b for p, b in zip(self.copies, self.before, strict=True)])
        factors = [_root(primal, dual)] * len(self.weights)
        q = self.multipliers()
        if alone is not None:
            p = self.copies[alone]
            factors[alone] = _root(_norm(q[alone]), self.weights[alone] * _norm(p)) if _norm(p) > 0 else 2.0
        self.weights = [w * f for w, f in zip(self.weights, factors, strict=True)]
        self.system.weigh(self.weights)
        self.states = [p + y / w for p, y, w in zip(self.copies, q, self.weights, strict=True)]

    def _length(self, parts: list[Any]) -> float:
        return math.sqrt(float(self.system.images.inner(parts, parts, self.weights)))


def _norm(v: Any) -> float:
    xp = array_namespace(v)
    return math.sqrt(float(xp.sum(v * v)))


def _root(up: float, down: float) -> float:
    """The root of their ratio within the limits; one when it says nothing."""
    if not (up > 0 and down > 0):
        return 1.0
    return min(max(math.sqrt(up / down), 1 / LIMIT), LIMIT)
