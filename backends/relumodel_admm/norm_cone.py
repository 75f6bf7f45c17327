"""The second-order cones of the norms, many at a time: Nesterov-Todd scaling (Vandenberghe 2010, "The CVXOPT linear and
quadratic cone program solvers", section 4).

A norm |u_b| is an epigraph variable t_b >= |u_b| at cost one, so the primal pair x = (t, u) and the dual pair y = (1, y)
lie in the cone. W is the symmetric scaling with  W^-1 x = W y = lambda:

    W = eta (2 v v' - J),  W^-2 = eta^-2 (2 Jw (Jw)' - J),  J = diag(1, -I).

The head of y is fixed to one, which eliminates dt: the norm adds  K = kappa (I - 2 / (2 w0^2 - 1) w1 w1')  to the Hessian
of its block. Arrays: heads (g,), bodies (g, size), g cones of equal size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Pair = tuple[Vector, Matrix]


def dots(a: Matrix, b: Matrix) -> Vector:
    """The inner products of rows."""
    return np.einsum("ij,ij->i", a, b)


def product(a: Pair, b: Pair) -> Pair:
    """The Jordan product: (a.b, a0 b1 + b0 a1)."""
    return a[0] * b[0] + dots(a[1], b[1]), a[0][:, None] * b[1] + b[0][:, None] * a[1]


def determinant(head: Vector, body: Matrix) -> Vector:
    """head^2 - |body|^2 without the worst of the cancellation."""
    length = np.sqrt(dots(body, body))
    return (head - length) * (head + length)


@dataclass(frozen=True, eq=False)
class NormScaling:
    """The scaling at one pair of interior points, and the scaled point lambda."""

    eta: Vector
    w0: Vector
    w1: Matrix
    head: Vector
    body: Matrix

    @classmethod
    def at(cls, t: Vector, u: Matrix, y: Matrix) -> NormScaling:
        one = np.ones_like(t)
        dx, dy = np.sqrt(determinant(t, u)), np.sqrt(determinant(one, y))
        x0, x1, y0, y1 = t / dx, u / dx[:, None], one / dy, y / dy[:, None]
        gamma = 2 * np.sqrt((1 + x0 * y0 + dots(x1, y1)) / 2)
        scaling = cls(np.sqrt(dx / dy), (x0 + y0) / gamma, (x1 - y1) / gamma[:, None], one, y)
        head, body = scaling.inverse(t, u)
        return cls(scaling.eta, scaling.w0, scaling.w1, head, body)

    def inverse(self, head: Vector, body: Matrix) -> Pair:
        """W^-1 (head, body)."""
        along = dots(self.w1, body)
        return (
            (self.w0 * head - along) / self.eta,
            (body + self.w1 * (along / (1 + self.w0) - head)[:, None]) / self.eta[:, None],
        )

    def forward(self, body: Matrix) -> Pair:
        """W (0, body)."""
        along = dots(self.w1, body)
        return along * self.eta, (body + self.w1 * (along / (1 + self.w0))[:, None]) * self.eta[:, None]

    def divide(self, head: Vector, body: Matrix) -> Pair:
        """lambda \\ (head, body): the inverse of the Jordan product with lambda."""
        first = (self.head * head - dots(self.body, body)) / determinant(self.head, self.body)
        return first, (body - self.body * first[:, None]) / self.head[:, None]

    @property
    def kappa(self) -> Vector:
        return 1 / self.eta**2

    @property
    def rank_one(self) -> Vector:
        """The factor of w1 w1' in K / kappa: -2 / (2 w0^2 - 1)."""
        return -2 / (2 * self.w0**2 - 1)

    def times(self, body: Matrix) -> Matrix:
        """K body."""
        if body.shape[1] == 1:  # without cancellation
            return (self.kappa / (2 * self.w0**2 - 1))[:, None] * body
        return self.kappa[:, None] * (body + self.w1 * (self.rank_one * dots(self.w1, body))[:, None])

    def eliminated(self, head: Vector, body: Matrix) -> tuple[Vector, Matrix]:
        """For W^-2 dx + dy = W^-1 v with dy = (0, .):  (g0 / m00, g1 - m10 g0 / m00), where g = W^-1 v."""
        g0, g1 = self.inverse(head, body)
        ratio = g0 / (self.kappa * (2 * self.w0**2 - 1))
        return ratio, g1 + (2 * self.kappa * self.w0 * ratio)[:, None] * self.w1

    def head_step(self, ratio: Vector, du: Matrix) -> Vector:
        """dt of the eliminated row."""
        return ratio + (2 * self.w0 / (2 * self.w0**2 - 1)) * dots(self.w1, du)


def longest_step(head: Vector, body: Matrix, dhead: Vector | float, dbody: Matrix) -> Vector:
    """For every cone the largest alpha with (head, body) + alpha (dhead, dbody) in it; infinite where there is none."""
    c = determinant(head, body)
    b = head * dhead - dots(body, dbody)
    a = dhead * dhead - dots(dbody, dbody)
    inner = b * b - a * c
    below = np.sqrt(np.maximum(inner, 0)) - b
    hits = (inner >= 0) & (below > 0)
    return np.where(hits, c / np.where(hits, below, 1.0), np.inf)
