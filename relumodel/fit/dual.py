"""The dual of the training problem at one multiplier: its price, the directions that show it, and the bound that follows."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..functions.penalties import known_norm
from ..pricing.global_bound import global_bound
from ..resources.phases import report
from .odds import Odds, odds_of
from .price import by_output, prices, search
from .training import Training

Matrix = NDArray[np.float64]

#: Directions that are kept at most.
MOST = 1000

#: Halvings of the interval in which the price lies that a proof aims at: to 1e-9 of it.
HALVINGS = 30


@dataclass(eq=False)
class Dual:
    """q : (n,), or (c n,) for c outputs, in the domain of the loss's conjugate.  directions : (m, d) the largest prices seen, |b| = 1 in the penalty's norm.
    proved : a proven upper bound on every price, or None.  searched : the odds of the last search from independent starts, or None.
    """

    training: Training
    q: Matrix
    directions: Matrix
    proved: float | None = None
    searched: Odds | None = None

    @classmethod
    def at(cls, training: Training, q: Matrix) -> Dual:
        return cls(training, training.loss.project_dual(q), np.zeros((0, training.X.shape[1])))

    @property
    def nu(self) -> Matrix:
        """The multiplier of the network's values on X, which is what directions are priced with; q unless the loss reads them by a matrix."""
        pulled = getattr(self.training.loss, "pulled", None)
        return self.q if pulled is None else pulled(self.q)

    def search(self, starts: Matrix, independent: bool = False) -> int:
        """Ascend from `starts` (m, d), zero rows left out, until the current deadline; from how many there was time.

        independent : the starts were drawn independently of each other; then `odds` are noted.
        """
        report("pricing")
        found = search(self.training, self.nu, starts[starts.any(axis=1)])
        self.see(found.directions)
        if independent and self.training.outputs == 1:
            self.searched = odds_of(found.ends, np.abs(prices(self.training, found.ends, self.nu)), found.counts)
        return found.starts

    def see(self, directions: Matrix) -> None:
        """Take note of directions (m, d) found elsewhere. With a network's own blocks among them the bound is never above its
        objective: loss(p) + beta sum |b_j| >= loss(p) - q'p >= -loss*(q) for the feasible q."""
        sizes = self.training.penalty.norms(directions)
        everything = np.vstack([self.directions, directions[sizes > 0] / sizes[sizes > 0, None]])
        values = np.abs(prices(self.training, everything, self.nu))
        order = np.argsort(-values, kind="stable")
        kept = max(1, min(MOST, int((values > self.training.penalty.beta).sum())))
        self.directions = everything[order[:kept]]

    def prove(self, seconds: float, least: float) -> None:
        """Price every direction, as exactly as a bound of `least` asks; a direction that shows it to be out of reach is noted."""
        from ..pricing.all_neurons import largest_price  # here, because importing relumodel should not wait for it

        report("proof of the price")
        training, ends = self.training, time.perf_counter() + seconds
        highest, upper = self._highest(least), 0.0
        for q in by_output(training, self.nu):
            found = largest_price(
                training.X,
                q,
                training.slope,
                known_norm(training.penalty, "Pricing"),
                time_limit=max(ends - time.perf_counter(), 1e-3),
                target=highest,
                beyond=False,
            )
            self.see(found.direction[None])
            if not found.exhaustive:
                return
            upper = max(upper, found.upper)
        self.proved = upper

    def _highest(self, least: float) -> float:
        """The highest price, nearly, with which the bound is still `least`; at least the price seen."""
        loss, beta = self.training.loss, self.training.penalty.beta
        low = beta * max(1.0, self.price)
        high = 2 * low
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if global_bound(loss, self.q, middle, beta) >= least else (low, middle)
        return low

    @property
    def odds(self) -> Odds | None:
        """Of the search from independent starts, about the largest price seen, which may have been found elsewhere."""
        return None if self.searched is None else self.searched.of(self.price * self.training.penalty.beta)

    @property
    def price(self) -> float:
        """The largest price seen over beta."""
        largest = float(np.abs(prices(self.training, self.directions, self.nu)).max(initial=0.0))
        beta = self.training.penalty.beta
        return largest / beta if beta > 0 else np.inf if largest > 0 else 0.0

    @property
    def bound(self) -> float:
        """A lower bound on the training problem: proved, or if no direction has a larger price than those seen."""
        level, beta = self.proved, self.training.penalty.beta
        if level is None:
            level = self.price * beta if beta > 0 else self.price
        return global_bound(self.training.loss, self.q, level, beta)
