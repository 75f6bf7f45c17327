"""Looking for bad points of a perturbation set: repeated linearisation (Frank & Wolfe 1956), which never leaves the set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..declare.perturbations import Ball
from .neurons import Neurons

Matrix = NDArray[np.float64]


def lowest(neurons: Neurons, X: Matrix, s: Matrix, ball: Ball, starts: list[Matrix], steps: int = 20) -> Matrix:
    """The point x + delta with the lowest s f found from the given starts (n, d) each, for every row of X (n, d)."""
    best, value = X, s * neurons.output(X)
    for delta in starts:
        for k in range(steps + 1):
            # the corner that the gradient asks for is a candidate, and the direction of the next step
            corner = delta if k == 0 else -ball.worst(s[:, None] * neurons.gradient(X + delta))
            delta = delta + 2 / (k + 2) * (corner - delta)
            for candidate in (corner, delta):
                point = inside(X + candidate, X, ball)
                found = s * neurons.output(point)
                better = found < value
                best, value = np.where(better[:, None], point, best), np.where(better, found, value)
    return best


def inside(points: Matrix, X: Matrix, ball: Ball) -> Matrix:
    """The points (n, d) moved by a few roundings, so that the differences to X, as computed, lie in the set."""
    for shrink in (1e-15, 1e-14, 1e-12, 1.0):
        outside = ball.gauge(points - X) > 1
        if not outside.any():
            break
        gauge = ball.gauge(points - X)[:, None]
        points = np.where(outside[:, None], X + (points - X) * (1 - shrink) / np.where(gauge > 1, gauge, 1.0), points)
    return points
