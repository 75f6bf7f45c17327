"""Branch and bound for the largest price: cones that may hold a larger value are split until none is left."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .cones import orthants, split
from .price_function import PriceFunction

Matrix = NDArray[np.float64]

#: Cones bounded together; with fewer than WIDE cones open the oldest come first, which lowers the bound steadily, then the newest.
BATCH, WIDE = 2048, 200_000


class Relaxation(Protocol):
    """Bounds on F over the cones of one norm's unit ball."""

    function: PriceFunction

    def size(self, U: Matrix) -> Matrix:
        """The norm of every row of U."""
        ...

    def bound(self, V: Matrix, limit: float) -> tuple[Matrix, Matrix, Matrix]:
        """Bounds (N,), weights (N, r) of the generators that say where the relaxation is large, and points (N, r) of the unit ball
        where F may be."""
        ...


@dataclass(frozen=True, eq=False)
class Searched:
    """lower <= max F <= upper over the ball, F(point) = lower; nodes : cones bounded; finished : no cone was left."""

    lower: float
    upper: float
    point: Matrix
    nodes: int
    finished: bool


def branch_and_bound(
    relaxation: Relaxation, point: Matrix, enough: float, tol: float, deadline: float, most: float = np.inf
) -> Searched:
    """max F over the ball, until it is known within tol (relative) or to be at most `enough`, or the deadline has passed.

    point : (r,) in the ball, the best known.  deadline : in seconds of `time.perf_counter`.  most : a point above ends the search.
    """
    f = relaxation.function
    lower = float(f.value(point[None])[0])
    cones = orthants(len(f.c))
    queue = deque([(cones, np.full(len(cones), np.inf))])
    closed, nodes = lower, 0
    while queue:
        if time.perf_counter() > deadline or lower > most:
            return Searched(lower, max([closed, *(float(bounds.max()) for _, bounds in queue)]), point, nodes, False)
        V, before = _take(queue)
        upper, weights, points = relaxation.bound(V, max(enough, lower + tol * abs(lower)))
        upper = np.minimum(upper, before)
        nodes += len(V)
        values = f.value(points)
        if values.max() > lower:
            lower, point = float(values.max()), points[values.argmax()]
        left = ~(upper <= max(enough, lower + tol * abs(lower)))  # what is not a number proves nothing
        closed = max(closed, float(upper[~left].max(initial=-np.inf)))
        if left.any():
            queue.extend((half, upper[left]) for half in split(V[left], weights[left], f, relaxation.size))
    return Searched(lower, closed, point, nodes, True)


def _take(queue: deque[tuple[Matrix, Matrix]]) -> tuple[Matrix, Matrix]:
    """Up to BATCH open cones, and the bounds of the cones they are parts of."""
    wide = sum(len(V) for V, _ in queue) > WIDE
    taken, count = [], 0
    while queue and count < BATCH:
        V, bounds = queue.pop() if wide else queue.popleft()
        room = BATCH - count
        if len(V) > room:
            rest = V[room:], bounds[room:]
            queue.append(rest) if wide else queue.appendleft(rest)
            V, bounds = V[:room], bounds[:room]
        taken.append((V, bounds))
        count += len(V)
    return np.concatenate([V for V, _ in taken]), np.concatenate([bounds for _, bounds in taken])
