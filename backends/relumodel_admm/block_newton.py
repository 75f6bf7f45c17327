"""The Newton system of blocks: norms and sign cones of many blocks, before anything couples them.

A block minimises  c.u + rho/2 |u|^2 + |u|_*  over G u >= 0, where c comes from outside (F'q). Its perturbed optimality
conditions, with s = G u and multipliers a >= 0, and y the dual of the norm (|y|_* <= 1):

    c + rho u - G'a - y = 0,    G u - s = 0,    a s = mu,    (t, u) o (1, y) = (mu, 0).

Eliminating ds, da, dt and dy leaves  (G' diag(a / s) G + K + rho I) du = right side - dc.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .linear_algebra import Gram, inverse_factors
from .norm_cone import NormScaling, dots, longest_step, product
from .scaled import Blocks

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

#: What is added to the Hessian of a block, as a share of its norm's curvature; refinement against the true Hessian takes
#: it out again. Without it the radial direction of an active block has a curvature of the order of mu, and elimination
#: loses all digits; with it the direction is held by what couples the blocks.
REGULARISATION = 1e-6


@dataclass
class State:
    """An interior point of blocks: u (B, d), t (B d / group,), s and a (B, n) or (B, 0), y (B, d)."""

    u: Matrix
    t: Vector
    s: Matrix
    a: Matrix
    y: Matrix

    def step(self, direction: State, primal: float | Matrix, dual: float | Matrix) -> None:
        """Move along a direction; steps are numbers, or columns (B, 1) with one step a block."""
        self.u = self.u + primal * direction.u
        self.s = self.s + primal * direction.s
        self.a = self.a + dual * direction.a
        self.y = self.y + dual * direction.y
        t, dt = (v.reshape(len(self.u), -1) for v in (self.t, direction.t))
        self.t = (t + primal * dt).reshape(-1)

    def take(self, keep: NDArray) -> State:
        """Some of the blocks."""
        t = self.t.reshape(len(self.u), -1)[keep].reshape(-1)
        return State(self.u[keep], t, self.s[keep], self.a[keep], self.y[keep])

    def complementarity(self) -> Vector:
        """(B,) the products a.s + t + u.y of every block."""
        B = len(self.u)
        return dots(self.s, self.a) + self.t.reshape(B, -1).sum(axis=1) + dots(self.u, self.y)

    @property
    def products(self) -> int:
        """How many complementary pairs a block has."""
        B = len(self.u)
        return self.s.shape[1] + len(self.t) // B

    def longest(self, direction: State) -> tuple[Vector, Vector]:
        """(B,) the longest primal and dual steps of every block."""
        B = len(self.u)
        size = self.u.size // len(self.t)

        def rows(v: Matrix) -> Matrix:
            return v.reshape(-1, size)

        primal = longest_step(self.t, rows(self.u), direction.t, rows(direction.u)).reshape(B, -1).min(axis=1)
        dual = longest_step(np.ones_like(self.t), rows(self.y), 0.0, rows(direction.y)).reshape(B, -1).min(axis=1)
        return np.minimum(primal, ratio(self.s, direction.s)), np.minimum(dual, ratio(self.a, direction.a))


def ratio(values: Matrix, steps: Matrix) -> Vector:
    """For every row the largest alpha with values + alpha steps >= 0."""
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], np.inf)
    fastest = (steps / values).min(axis=-1)
    return np.where(fastest < 0, -1 / np.where(fastest < 0, fastest, -1.0), np.inf)


class BlockNewton:
    """The system at one state: factors once, directions for several right sides."""

    def __init__(self, blocks: Blocks, gram: Gram, state: State, rho: float = 0.0, extra: float = 1.0) -> None:
        self.blocks, self.gram, self.state, self.rho = blocks, gram, state, rho
        B, d = state.u.shape
        self.size = d * B // len(state.t)
        self.norms = NormScaling.at(state.t, self.rows(state.u), self.rows(state.y))
        self.weights = state.a / state.s
        self.factors = inverse_factors(self.hessians(REGULARISATION * extra))

    def rows(self, v: Matrix) -> Matrix:
        return v.reshape(-1, self.size)

    def hessians(self, share: float) -> NDArray[np.float64]:
        """(B, d, d), lower triangles only, regularised."""
        B, d = self.state.u.shape
        H = self.gram.weighted(self.weights * self.blocks.side**2) if self.weights.shape[1] else np.zeros((B, d, d))
        diagonal = np.einsum("bii->bi", H)
        norms, kappa = self.norms, self.norms.kappa
        if self.size == 1:
            diagonal += ((kappa / (2 * norms.w0**2 - 1)) + share * kappa).reshape(B, d)
        else:
            H += (kappa * norms.rank_one)[:, None, None] * norms.w1[:, :, None] * norms.w1[:, None, :]
            diagonal += (kappa * (1 + share))[:, None]
        diagonal += self.rho + 1e-16 * d * diagonal
        return H

    def left(self, du: Matrix, da: Matrix, dc: Matrix) -> Matrix:
        """What is left of the equations of u, after a direction (du, da) and a change dc."""
        out = self.bend - self.norms.times(self.rows(du)).reshape(du.shape) - self.rho * du - dc
        return out + (self.blocks.side * da) @ self.gram.X if da.shape[1] else out

    def aim(self, cone: Matrix, head: Vector, body: Matrix, dual: Matrix, primal: Matrix) -> None:
        """Set the targets: s da + a ds = cone, lambda o (W^-1 dx + W dy) = (head, body), and residuals of y and s."""
        self.dual, self.primal, self.cone, self.head, self.body = dual, primal, cone, head, body
        self.ratio, bend = self.norms.eliminated(*self.norms.divide(head, body))
        self.right = self.bend = bend.reshape(dual.shape) - dual
        if cone.shape[1]:
            pull = (cone - self.state.a * primal) / self.state.s
            self.right = self.right + (self.blocks.side * pull) @ self.gram.X

    def multipliers(self, dU: Matrix) -> Matrix:
        """da from dU = X du."""
        if not self.cone.shape[1]:
            return self.cone
        return (self.cone - self.state.a * (dU * self.blocks.side + self.primal)) / self.state.s

    def followed(self, dU: Matrix) -> Matrix:
        """The change of da when dU changes."""
        return -self.weights * (dU * self.blocks.side) if self.cone.shape[1] else self.cone

    def direction(self, du: Matrix, dU: Matrix, da: Matrix, dc: Matrix) -> State:
        """The rest of the direction from du, dU = X du, da and the change of c. dy takes the linear equation exactly."""
        dy = self.dual + dc + self.rho * du
        ds = self.cone
        if self.cone.shape[1]:
            ds = dU * self.blocks.side + self.primal
            dy = dy - (self.blocks.side * da) @ self.gram.X
        return State(du, self.norms.head_step(self.ratio, self.rows(du)), ds, da, dy)

    def affine(self, dual: Matrix, primal: Matrix) -> None:
        """Aim straight at complementarity zero."""
        head, body = self.square()
        self.aim(-self.state.s * self.state.a, -head, -body, dual, primal)

    def corrected(self, cones: float | Matrix, norms: float | Matrix, ahead: State, dual: Matrix, primal: Matrix) -> None:
        """Aim at complementarity `cones` of (s, a) and `norms` of the norms, numbers or columns (B, 1), with Mehrotra's
        second-order term from the affine direction."""
        state, (head, body) = self.state, self.square()
        first, second = product(self.norms.inverse(ahead.t, self.rows(ahead.u)), self.norms.forward(self.rows(ahead.y)))
        heads = np.repeat(np.broadcast_to(norms, (len(state.u), 1)).reshape(-1), len(state.t) // len(state.u))
        self.aim(-state.s * state.a + cones - ahead.s * ahead.a, heads - head - first, -body - second, dual, primal)

    def centred(self, change: Matrix) -> None:
        """The last aim with other targets of the cones: theirs plus `change` (B, n)."""
        self.aim(self.cone + change, self.head, self.body, self.dual, self.primal)

    def square(self) -> tuple[Vector, Matrix]:
        scaled = (self.norms.head, self.norms.body)
        return product(scaled, scaled)
