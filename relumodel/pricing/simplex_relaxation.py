"""Upper bounds on F over simplices of the l1 unit sphere, for thousands of simplices at once.

On a simplex v_1, ..., v_d of the l1 sphere, within one orthant, the convex part of F is at most the linear function with its values at
the v_i. What is left is concave, so its maximum is a matrix game,

    max { sum_i w_i l_i - |G sum_i w_i v_i|_1 : w >= 0, sum w = 1 }  =  min over -1 <= b <= 1 of max_i ( l_i - b.G v_i ).

Every b proves a bound. A good one is found by a primal-dual interior point; its linear systems have d + 1 unknowns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cone_relaxation import CENTRING, STEPS, part, room, solved
from .price_function import PriceFunction

Matrix = NDArray[np.float64]


class SimplexRelaxation:
    """The bounds for one F; see the module."""

    def __init__(self, function: PriceFunction) -> None:
        self.function = function
        self.rank = len(function.c)

    def size(self, U: Matrix) -> Matrix:
        """The norm of every row of U."""
        return np.abs(U).sum(axis=1)

    @np.errstate(over="ignore", divide="ignore", invalid="ignore")  # a step that fails leaves the best bound before it
    def bound(self, V: Matrix, limit: float) -> tuple[Matrix, Matrix, Matrix]:
        """Proven bounds (N,) over the simplices with corners V (N, d, d), and the weights (N, d) of a point near the maximum of the
        relaxation, and that point. No more work is put into a simplex than it takes to fall below `limit` or to see that it must be
        split."""
        f = self.function
        heights = (V @ f.Z.T) * f.down
        free = (heights.min(axis=1, initial=0.0) < 0) & (heights.max(axis=1, initial=0.0) > 0)
        game = _Game(V @ f.c + np.abs(V @ f.Y.T) @ f.up, heights, free)
        N = len(V)
        least, most, weights = np.full(N, np.inf), np.full(N, -np.inf), np.full((N, self.rank), 1 / self.rank)
        left, state = np.arange(N), self._first(game)
        for _ in range(STEPS):
            least[left] = np.minimum(least[left], self._losses(game, state.b).max(axis=1))
            w = state.w / state.w.sum(axis=1, keepdims=True)
            value = (w * game.linear).sum(axis=1) - np.abs(w[:, None] @ game.heights)[:, 0].sum(axis=1)
            better = value > most[left]
            most[left[better]], weights[left[better]] = value[better], w[better]
            more = (least[left] > limit) & (most[left] <= limit) & (least[left] - most[left] > 1e-13 * np.abs(least[left]))
            if not more.any():
                break
            if not more.all():
                left, game, state = left[more], part(game, more), part(state, more)
            state = self._step(game, state)
        points = (weights[:, None] @ V)[:, 0]
        return least, weights, points / self.size(points)[:, None]

    def _losses(self, game: _Game, b: Matrix) -> Matrix:
        """l_i - b.G v_i, (N, d)."""
        return game.linear - (game.heights @ b[:, :, None])[:, :, 0]

    def _first(self, game: _Game) -> _State:
        signs = np.where(game.heights.max(axis=1, initial=-np.inf) > 0, 1.0, -1.0)
        b = np.where(game.free, 0.0, signs)
        losses = self._losses(game, b)
        size = np.abs(losses).max(axis=1)[:, None]
        size = np.where(size > 0, size, 1.0)
        t = losses.max(axis=1)[:, None] + 0.1 * size
        y = np.maximum(np.abs(game.heights).mean(axis=1), 1e-3 * size / max(1, b.shape[1]))
        return _State(np.full(losses.shape, 1 / self.rank), t, b, y, y.copy())

    def _step(self, game: _Game, s: _State) -> _State:
        """One step towards complementarity mu: w (t - losses) = mu, low (1 + b) = mu, high (1 - b) = mu; t stays above the losses."""
        free, H = game.free, game.heights
        z = s.t - self._losses(game, s.b)
        below, above = 1 + s.b, 1 - s.b
        products = (s.w * z).sum(axis=1) + np.where(free, s.low * below + s.high * above, 0.0).sum(axis=1)
        mu = CENTRING * (products / (self.rank + 2 * free.sum(axis=1)))[:, None]
        stiff = np.where(free, 1 / (s.low / below + s.high / above), 0.0)
        h = np.where(free, mu / above - mu / below - (s.w[:, None] @ H)[:, 0], 0.0)
        d = self.rank
        matrix, right = np.ones((len(z), d + 1, d + 1)), np.empty((len(z), d + 1))
        matrix[:, :d, :d] = (H * stiff[:, None]) @ H.transpose(0, 2, 1)
        matrix[:, np.arange(d), np.arange(d)] += z / s.w
        matrix[:, d, d] = 0.0
        right[:, :d] = mu / s.w - z + (H @ (stiff * h)[:, :, None])[:, :, 0]
        right[:, d] = 1 - s.w.sum(axis=1)
        change = solved(matrix, right)
        dw, dt = change[:, :d], change[:, d:]
        db = stiff * ((dw[:, None] @ H)[:, 0] - h)
        dz: Any = dt + (H @ db[:, :, None])[:, :, 0]
        dlow = np.where(free, (mu - s.low * db) / below - s.low, 0.0)
        dhigh = np.where(free, (mu + s.high * db) / above - s.high, 0.0)
        pairs = ((s.w, dw), (z, dz), (below, db), (above, -db), (s.low, dlow), (s.high, dhigh))
        size = np.minimum.reduce([room(value, step) for value, step in pairs])[:, None]
        return _State(s.w + size * dw, s.t + size * dt, s.b + size * db, s.low + size * dlow, s.high + size * dhigh)


@dataclass(frozen=True, eq=False)
class _Game:
    """N games: linear (N, d) the l_i; heights (N, d, m) the G v_i; free (N, m) which rows of G have both signs."""

    linear: Matrix
    heights: Matrix
    free: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _State:
    """Weights w > 0, t above the losses, b inside (-1, 1) where free, and the multipliers of its two sides."""

    w: Matrix
    t: Matrix
    b: Matrix
    low: Matrix
    high: Matrix
