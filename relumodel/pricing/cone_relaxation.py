"""Upper bounds on F over simplicial cones within the Euclidean unit ball, for thousands of cones at once.

On the cone of v_1, ..., v_r the convex part of F is at most the linear function with its values at the v_i, and so is |z_j.u| where the
cone lies on one side of z_j. With p their sum and G the other rows down_j z_j, what is left is concave:

    max { p.u - |G u|_1 : |u| <= 1, u in the cone }  =  min { |q| : q = p - G'b + W'a, -1 <= b <= 1, a >= 0 },

W the inward normals of the cone. Every (a, b) proves a bound, so how well the minimum is found decides only how good it is. It is found
by a primal-dual interior point; its linear systems have r unknowns.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cones import crossing
from .price_function import PriceFunction

Matrix = NDArray[np.float64]

#: Interior-point steps at most, and what the complementarity is multiplied by in each.
STEPS, CENTRING = 40, 0.1


class ConeRelaxation:
    """The bounds for one F; see the module."""

    def __init__(self, function: PriceFunction) -> None:
        self.function = function
        self.rank = len(function.c)
        self.G = function.down[:, None] * function.Z
        self.outer = (self.G[:, :, None] * self.G[:, None, :]).reshape(len(self.G), self.rank**2)

    def size(self, U: Matrix) -> Matrix:
        """The norm of every row of U."""
        return np.linalg.norm(U, axis=1)

    @np.errstate(over="ignore", divide="ignore", invalid="ignore")  # a step that fails in a flat cone leaves its best bound
    def bound(self, V: Matrix, limit: float) -> tuple[Matrix, Matrix, Matrix]:
        """Proven bounds (N,) over cones with generators V (N, r, r), unit rows, and weights (N, r) >= 0 of the generators and unit
        vectors (N, r) near the maximum of the relaxation. No more work is put into a cone than it takes to fall below `limit` or to
        see that it must be split."""
        f = self.function
        above, heights = V @ f.Y.T, V @ f.Z.T
        linear = V @ f.c + np.abs(above) @ f.up
        exact = np.logical_not(crossing(above).any(axis=1))
        q, b, weights, points = self._minimise(self._cones(V, linear, exact), limit)
        weights[exact] = 1.0  # they were those of the orthant
        # p was rounded: the excess of the true values at the generators counts, at most sqrt(r) times for u in the ball
        missing = linear - (heights @ (b * f.down)[:, :, None])[:, :, 0] - (V @ q[:, :, None])[:, :, 0]
        return np.linalg.norm(q, axis=1) + np.sqrt(self.rank) * np.maximum(missing, 0).max(axis=1), weights, points

    def _cones(self, V: Matrix, linear: Matrix, exact: NDArray[np.bool_]) -> _Cones:
        """The cones as they are relaxed. Where the convex part is a linear function z on the cone (`exact`), z.u - |G u|_1 is
        at most F everywhere, so that the whole orthant can stand for a cone that may be flat."""
        f = self.function
        middle = V[exact].sum(axis=1)
        z = f.c + (np.sign(middle @ f.Y.T) * f.up) @ f.Y
        V, linear = V.copy(), linear.copy()
        V[exact] = np.where(middle < 0, -1.0, 1.0)[:, :, None] * np.eye(self.rank)
        linear[exact] = (V[exact] @ z[:, :, None])[:, :, 0]
        heights = V @ f.Z.T
        free = (heights.min(axis=1, initial=0.0) < 0) & (heights.max(axis=1, initial=0.0) > 0)
        b = np.where(free, 0.0, np.where(heights.max(axis=1, initial=0.0) > 0, 1.0, -1.0))
        W = inward_normals(V)
        length = np.linalg.norm(W, axis=2)
        return _Cones(V, linear, (linear[:, None] @ W)[:, 0], W / length[:, :, None], length, free, b)

    def _minimise(self, cones: _Cones, limit: float) -> tuple[Matrix, Matrix, Matrix, Matrix]:
        """For every cone the q and b of the smallest |q| found, and the weights and the unit vector of the largest relaxed value."""
        N = len(cones.V)
        best_q, best_b = self._gradient(cones, np.zeros((N, self.rank)), cones.b), cones.b.copy()
        least = np.linalg.norm(best_q, axis=1)
        most, weights, points = np.full(N, -np.inf), np.zeros((N, self.rank)), np.zeros((N, self.rank))
        left, state = np.arange(N), self._first(cones)
        for _ in range(STEPS):
            size = np.linalg.norm(state.u, axis=1)
            better = size < least[left]
            at = left[better]
            least[at], best_q[at], best_b[at] = size[better], state.u[better], state.b[better]
            inside, point, value = self._relaxed_value(cones, state.u)
            better = value > most[left]
            at = left[better]
            most[at], weights[at], points[at] = value[better], inside[better], point[better]
            # a cone is done when it is below the limit, when it cannot be brought there, or when the minimum is found
            more = (least[left] > limit) & (most[left] <= limit) & (least[left] - most[left] > 1e-13 * least[left])
            if not more.any():
                break
            if not more.all():
                left, cones, state = left[more], part(cones, more), part(state, more)
            state = self._step(cones, state)
        return best_q, best_b, weights, points

    def _first(self, cones: _Cones) -> _State:
        """A centred start: b = 0 where it is free, a as large as the problem."""
        size = np.linalg.norm(cones.p, axis=1)[:, None]
        size = np.where(size > 0, size, 1.0)
        a = np.broadcast_to(0.1 * size, cones.linear.shape).copy()
        u = self._gradient(cones, a, cones.b)
        z = np.maximum((cones.W @ u[:, :, None])[:, :, 0], 0.1 * size)
        y = np.broadcast_to(0.1 * size, cones.b.shape) * self.function.down
        return _State(u, a, z, cones.b.copy(), y.copy(), y.copy())

    def _gradient(self, cones: _Cones, a: Matrix, b: Matrix) -> Matrix:
        """q(a, b)."""
        return cones.p - b @ self.G + (a[:, None] @ cones.W)[:, 0]

    def _step(self, cones: _Cones, s: _State) -> _State:
        """One step of the primal-dual method towards complementarity mu: z a = mu, low (1 + b) = mu, high (1 - b) = mu."""
        free, height = cones.free, s.u @ self.G.T
        side = (cones.W @ s.u[:, :, None])[:, :, 0]
        below, above = 1 + s.b, 1 - s.b
        products = (s.a * s.z).sum(axis=1) + np.where(free, s.low * below + s.high * above, 0.0).sum(axis=1)
        mu = CENTRING * (products / (self.rank + 2 * free.sum(axis=1)))[:, None]
        stiff = np.where(free, 1 / (s.low / below + s.high / above), 0.0)
        h = np.where(free, mu / above - mu / below - height, 0.0)
        ratio = s.a / s.z
        right = (stiff * h) @ self.G + ((mu / s.z - ratio * side)[:, None] @ cones.W)[:, 0]
        matrix = (stiff @ self.outer).reshape(-1, self.rank, self.rank) + np.eye(self.rank)
        matrix += cones.W.transpose(0, 2, 1) @ (ratio[:, :, None] * cones.W)
        du = solved(matrix, right)
        turned = (cones.W @ du[:, :, None])[:, :, 0]
        da, dz = mu / s.z - ratio * (side + turned), side + turned - s.z
        db = stiff * (du @ self.G.T - h)
        dlow = np.where(free, (mu - s.low * db) / below - s.low, 0.0)
        dhigh = np.where(free, (mu + s.high * db) / above - s.high, 0.0)
        pairs = ((s.a, da), (s.z, dz), (below, db), (above, -db), (s.low, dlow), (s.high, dhigh))
        t = np.minimum.reduce([room(value, change) for value, change in pairs])[:, None]
        a, b = s.a + t * da, s.b + t * db
        return _State(self._gradient(cones, a, b), a, s.z + t * dz, b, s.low + t * dlow, s.high + t * dhigh)

    def _relaxed_value(self, cones: _Cones, u: Matrix) -> tuple[Matrix, Matrix, Matrix]:
        """The weights of the point of the cone next to u (N, r), that point at length 1, and the value of the relaxation there."""
        weights = np.maximum((cones.W @ u[:, :, None])[:, :, 0] * cones.length, 0.0)
        point = (weights[:, None] @ cones.V)[:, 0]
        length = np.linalg.norm(point, axis=1)
        length = np.where(length > 0, length, 1.0)
        point /= length[:, None]
        return weights, point, (weights * cones.linear).sum(axis=1) / length - np.abs(point @ self.G.T).sum(axis=1)


@dataclass(frozen=True, eq=False)
class _Cones:
    """N cones. V (N, r, r) generators; linear (N, r) values of the linear bound there; p (N, r); W (N, r, r) unit inward normals and
    length (N, r) what they were divided by; free (N, m) which z_j cross the cone; b (N, m) the signs of the others, else 0."""

    V: Matrix
    linear: Matrix
    p: Matrix
    W: Matrix
    length: Matrix
    free: NDArray[np.bool_]
    b: Matrix


@dataclass(frozen=True, eq=False)
class _State:
    """u = q(a, b), and the multipliers z of a >= 0, low and high of -1 <= b <= 1."""

    u: Matrix
    a: Matrix
    z: Matrix
    b: Matrix
    low: Matrix
    high: Matrix


def part(whole: Any, which: NDArray[np.bool_]) -> Any:
    """Some of the cones."""
    return type(whole)(*(getattr(whole, field.name)[which] for field in dataclasses.fields(whole)))


def solved(matrix: Matrix, right: Matrix) -> Matrix:
    """Solutions (N, k) of N systems, with a little added to the diagonals: near the end, and for flat cones, they are all but singular."""
    k = matrix.shape[1]
    matrix[:, np.arange(k), np.arange(k)] += 1e-15 * np.abs(matrix).max(axis=(1, 2), initial=1e-300)[:, None]
    solution: Any = np.linalg.solve(matrix, right[:, :, None])
    return solution[:, :, 0]


def room(value: Matrix, change: Matrix) -> Matrix:
    """The largest step in (0, 1] that leaves a hundredth of every value: (N,)."""
    return 0.99 / np.maximum((-change / np.where(value > 0, value, 1.0)).max(axis=1, initial=0.0), 0.99)


def inward_normals(V: Matrix) -> Matrix:
    """W (N, r, r) with W_i.v_j = 1 where i = j, else 0, up to rounding, and as near as possible for a flat cone."""
    inverse: Any
    try:
        inverse = np.linalg.inv(V)
    except np.linalg.LinAlgError:
        inverse = np.linalg.pinv(V)
    return inverse.transpose(0, 2, 1)
