"""Douglas-Rachford splitting (the alternating direction method of multipliers) of  min sum_j f_j(K_j x).

Each term has a copy p_j of K_j x, a multiplier y_j (in units of its weight w_j) and a state s_j = p_j + y_j:

    p_j = prox of f_j / w_j at s_j,    x = argmin sum_j w_j / 2 |K_j x - t_j|^2,    s_j += relax (K_j x - p_j),

with the reflections t_j = 2 p_j - s_j, from which p_j = (t_j + s_j) / 2.

q_j = w_j (s_j - p_j) is a subgradient of f_j at p_j; sum_j K_j' q_j tends to zero. Everything is array-API code.
"""

from __future__ import annotations

import math
from typing import Any

from array_api_compat import array_namespace

from .normal_system import NormalSystem
from .signed import SignedNonnegative

#: Over-relaxation; two is the limit of convergence.
RELAX = 1.7

#: The weights of all terms change together, and no weight by more than this factor at once.
LIMIT = 5.0


class Splitting:
    """The iteration. functions : the terms' proximal faces, in the order of the images."""

    def __init__(self, functions: list[Any], system: NormalSystem, weights: list[float], x: Any) -> None:
        self.functions, self.system, self.weights = system.images.faces(functions), system, weights
        system.weigh(weights)
        self.x, self.prediction = x, system.images.predict(x)
        self.states = [1.0 * image for image in self.images]
        self.last, self.older = self.states, self.states
        self._copies: list[Any] = self.states
        self._before: list[Any] = self.states

    @property
    def copies(self) -> list[Any]:
        """(p_j) of the last step. Those of cones are formed when they are asked for: a step needs no more than 2 p - s of them."""
        self._copies = self._complete(self._copies, self.last)
        return self._copies

    def _complete(self, copies: list[Any], states: list[Any]) -> list[Any]:
        parts = zip(self.functions, states, self.weights, copies, strict=True)
        return [f.prox(s, 1 / w) if p is None else p for f, s, w, p in parts]

    @property
    def images(self) -> list[Any]:
        """(K_j x)."""
        return [self.prediction, *self.system.images.others(self.x)]

    def step(self) -> None:
        """One iteration. The images of all terms but the loss are added to their states as they come from their product."""
        self.last, self.older = self.states, self.last
        pairs = [_reflection(f, s, w) for f, s, w in zip(self.functions, self.states, self.weights, strict=True)]
        targets = [target for target, _ in pairs]
        self._copies, self._before = [p for _, p in pairs], self._copies
        self.states = [(1 - RELAX / 2) * s for s in self.states]
        for s, target in zip(self.states, targets, strict=True):
            s -= (RELAX / 2) * target
        self.x, self.prediction = self.system.solve(self.x, self.prediction, targets)
        for s, image in zip(self.states, [RELAX * self.prediction, *self.system.images.others(RELAX * self.x)], strict=True):
            s += image

    def multipliers(self) -> list[Any]:
        """(q_j) at the copies of the last step, from their proximal maps' own arguments."""
        return [w * (s - p) for s, p, w in zip(self.last, self.copies, self.weights, strict=True)]

    def resume(self, x: Any, states: list[Any], copies: list[Any], weights: list[float]) -> None:
        """Go on from where another splitting of these terms was between two iterations."""
        self.x, self.weights = x, weights
        self.states = self.last = self.older = states
        self._copies = self._before = copies
        self.system.weigh(weights)
        self.refresh()

    def refresh(self) -> None:
        """Form the image of the loss anew from x: what rounding has left in it goes."""
        self.prediction = self.system.images.predict(self.x)

    def balance(self, alone: int | None) -> None:
        """New weights where the residuals ask for it. All change by the root of the ratio of primal and dual residual; that of
        the term `alone` so that its copy and its multiplier weigh the same."""
        primal = self._length([image - p for image, p in zip(self.images, self.copies, strict=True)])
        before = self._complete(self._before, self.older)
        dual = self._length([p - b for p, b in zip(self.copies, before, strict=True)])
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


def _reflection(f: Any, s: Any, w: float) -> tuple[Any, Any]:
    """2 p - s for the proximal point p of f / w at s, in memory of its own, and p; None where the first is known without it."""
    if isinstance(f, SignedNonnegative):
        return f.reflect(s), None
    p = f.prox(s, 1 / w)
    out = 2 * p
    out -= s
    return out, p


def _norm(v: Any) -> float:
    xp = array_namespace(v)
    return math.sqrt(float(xp.sum(v * v)))


def _root(up: float, down: float) -> float:
    """The root of their ratio within the limits; one when it says nothing."""
    if not (up > 0 and down > 0):
        return 1.0
    return min(max(math.sqrt(up / down), 1 / LIMIT), LIMIT)
