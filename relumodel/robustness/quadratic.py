"""Worst cases and distances of a quadratic f(x) = [x, 1]' H [x, 1], after one eigendecomposition for all samples.

Both are quadratic problems with one quadratic constraint, which have no duality gap (S-procedure; Kuelbs et al. 2024): a secular
equation in one multiplier.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..declare.perturbations import Ball
from ..functions.ball_loss import worst_over_ball
from ..functions.losses import Loss
from ..functions.roots import monotone_root
from ..functions.sides import sides, sides_of
from .worst_case import WorstCase

Matrix = NDArray[np.float64]

#: A bound proves a sign only beyond this share of the numbers it is the sum of; less could be rounding.
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Quadratic:
    """f(x) = [x, 1]' H [x, 1]. H : (d + 1, d + 1), symmetric."""

    H: Matrix

    def output(self, X: Matrix) -> Matrix:
        """f at the rows of X (n, d): (n,)."""
        A = np.column_stack([X, np.ones(len(X))])
        return ((A @ self.H) * A).sum(axis=1)

    def gradient(self, X: Matrix) -> Matrix:
        """The gradient at the rows of X: (n, d)."""
        return 2 * (X @ self.H[:-1, :-1] + self.H[-1, :-1])


class Worst(NamedTuple):
    """Of m samples and signs s: h (m,), the minimum of s f over the ellipsoid, and the points (m, d) where it is."""

    value: Matrix
    points: Matrix


def lowest_over_ellipsoid(f: Quadratic, X: Matrix, signs: Matrix, radii: Matrix) -> Worst:
    """min of s f(x + r * e) over |e|_2 <= 1 for the rows of X (m, d) and signs (m,); radii (d,)."""
    S = radii[:, None] * f.H[:-1, :-1] * radii
    h, e = worst_over_ball(S, f.gradient(X) * radii, f.output(X), signs)
    return Worst(h, X + radii * e)


def quadratic_worst_losses(f: Quadratic, loss: Loss, X: Matrix, y: Matrix, ball: Ball) -> Matrix:
    """The losses of `quadratic_worst_case` alone, (n,)."""
    return _worst(f, loss, X, y, ball)[0]


def _worst(f: Quadratic, loss: Loss, X: Matrix, y: Matrix, ball: Ball) -> tuple[Matrix, Matrix]:
    """The worst losses (n,), and the points of the ellipsoid with them (n, d)."""
    samples, signs = sides(loss, y)
    h, points = lowest_over_ellipsoid(f, X[samples], signs, ball.ellipsoid)
    bounds = sides_of(loss, np.ones(len(y)), -y)
    losses, worse = bounds.each(h), bounds.rates(h).reshape(-1, len(y)).argmax(axis=0)
    return losses, points.reshape(-1, *X.shape)[worse, np.arange(len(X))]


def quadratic_worst_case(f: Quadratic, loss: Loss, X: Matrix, y: Matrix, ball: Ball | None) -> WorstCase:
    """The worst case for features X (n, d) and targets y (n,). Points are inside the set itself where the ellipsoid encloses it."""
    if ball is None:
        return WorstCase(X.copy(), _losses(loss, f.output(X), y), np.ones(len(X), dtype=bool))
    losses, points = _worst(f, loss, X, y, ball)
    if ball.is_ellipsoid:
        return WorstCase(points, losses, np.ones(len(X), dtype=bool))
    best, attained = X.copy(), _losses(loss, f.output(X), y)
    for candidate in _into_set(f, X, points, ball):
        each = _losses(loss, f.output(candidate), y)
        best, attained = np.where((each > attained)[:, None], candidate, best), np.maximum(each, attained)
    return WorstCase(best, losses, attained >= losses - 1e-9 * (1 + np.abs(losses)))


def _into_set(f: Quadratic, X: Matrix, points: Matrix, ball: Ball) -> list[Matrix]:
    """Points of the set in the direction of the worst points of the ellipsoid, and where the gradient leads."""
    delta = points - X
    gauge = ball.gauge(delta)
    inside = X + delta / np.maximum(gauge, 1.0)[:, None]
    corner = ball.worst(delta)
    step = ball.worst(f.gradient(X))
    return [inside, X + corner, X + step, X - step]


def _losses(loss: Loss, values: Matrix, y: Matrix) -> Matrix:
    """phi of every sample at the outputs."""
    return loss.value(y * values if loss.reads == "margin" else values - y)


def quadratic_certified(
    f: Quadratic, predict: Callable[[Matrix], Matrix], X: Matrix, y: Matrix, ball: Ball | None
) -> NDArray[np.str_]:
    """ "certified", "falsified" or, for sets that are no ellipsoids, "unknown": for features X (n, d) and labels y (n,)."""
    out = np.where(predict(X) != y, "falsified", "unknown").astype("<U9")
    if ball is None:
        return np.where(out == "unknown", "certified", out)
    worst = lowest_over_ellipsoid(f, X, y, ball.ellipsoid)
    A = np.abs(np.column_stack([np.abs(X) + ball.ellipsoid, np.ones(len(X))]))
    size = ((A @ np.abs(f.H)) * A).sum(axis=1)
    safe = worst.value > ROUNDING * size
    safe |= (size == 0) & (y > 0)  # an output that is zero everywhere has the label +1
    out[safe & (out == "unknown")] = "certified"
    candidates = [worst.points] if ball.is_ellipsoid else _into_set(f, X, worst.points, ball)
    for points in candidates:
        out[(out == "unknown") & (predict(points) != y)] = "falsified"
    return out


@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def distance_to_boundary(f: Quadratic, X: Matrix) -> Matrix:
    """The distance of the rows of X (n, d) to the nearest point where f has the other sign or is 0: (n,), inf where there is none.

    With s = sign f, l the eigenvalues of s H_11 and g the gradient in their basis, min |delta|^2 s.t. s f(x + delta) <= 0 equals

        max over t >= 0, 1 + t l >= 0  of   t s f - t^2 / 4 sum_i g_i^2 / (1 + t l_i)
    """
    values, vectors = np.linalg.eigh(f.H[:-1, :-1])
    value, gradient = f.output(X), f.gradient(X) @ vectors
    out = np.zeros(len(X))
    for sign in (1.0, -1.0):
        at = np.flatnonzero(sign * value > 0)
        if len(at):
            out[at] = _distances(sign * values, gradient[at], np.abs(value[at]))
    return out


def _distances(L: Matrix, G: Matrix, height: Matrix) -> Matrix:
    """L (p,), G (m, p), height = s f > 0 (m,).

    The derivative of the dual value is s f(x + delta(t)), decreasing in t; delta_i = - t g_i / 2 / (1 + t l_i).
    """
    lowest = L.min()
    scale = height / np.maximum((G * G).sum(axis=1), 1e-300)

    def multiplier(w: Matrix) -> Matrix:
        """t in [0, its limit] for w in [0, 1]."""
        return w / -lowest if lowest < 0 else scale * w / (1 - w)

    def room(w: Matrix) -> Matrix:
        """1 + t l, exactly 0 for the lowest one at its limit."""
        return (1 - w)[:, None] + w[:, None] * (L / -lowest + 1) if lowest < 0 else 1 + multiplier(w)[:, None] * L

    def reached(w: Matrix) -> Matrix:
        """- s f at delta(t): increasing."""
        t = multiplier(w)[:, None]
        step = np.where(G == 0, 0.0, -0.5 * t * G / room(w))
        after = height + (G * step + L * step * step).sum(axis=1)
        return np.clip(-np.where(np.isnan(after), -np.inf, after) / height, -1.0, 1e6)

    top = np.ones(len(height)) if lowest < 0 else np.full(len(height), 1 - 2.0**-52)
    w = monotone_root(reached, top)
    t = multiplier(w)
    square = t * height - 0.25 * (np.where(G == 0, 0.0, (t[:, None] * G) ** 2 / room(w))).sum(axis=1)
    if lowest >= 0:  # f may have one sign everywhere
        square = np.where(_everywhere(L, G, height), np.inf, square)
    return np.sqrt(np.maximum(square, 0.0))


def _everywhere(curvature: Matrix, G: Matrix, height: Matrix) -> NDArray[np.bool_]:
    """Whether height + G.delta + delta' diag(curvature) delta > 0 for all delta, curvature >= 0."""
    curved = curvature > 1e-15 * max(curvature.max(), 1e-300)
    falls = (np.abs(G[:, ~curved]) > 1e-15 * np.abs(G).max(axis=1, initial=1e-300)[:, None]).any(axis=1)
    least = height - 0.25 * (G[:, curved] ** 2 / curvature[curved]).sum(axis=1)
    return ~falls & (least > 0)
