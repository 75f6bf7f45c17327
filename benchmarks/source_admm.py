"""Algorithms 3.1 and 3.2 of Bai, Gautam & Sojoudi (SIAM J. Math. Data Sci. 5, 2023; arXiv 2201.01965), for comparison only.

Both are ADMM on the two-layer ReLU program with u = (u_i, z_i) split from v = (v_i, w_i) and s:

    min loss(F u) + beta sum_b |v_b|_2  s.t.  u = v,  G u = s >= 0,      F u = sum_i D_i X (u_i - z_i),  G u = T_i * (X u_b)

From the paper: the splitting, the three updates, the constant dual step gamma_a / rho, for the squared loss one Cholesky factor of the
(2 d P)^2 matrix I + F'F / rho + G'G (Algorithm 3.1), for other losses random block-coordinate descent on the pairs (u_i, z_i) with a
line search (Algorithm 3.2). Chosen here, where the paper leaves them open: rho and gamma_a (arguments; gamma_a = rho is plain ADMM), the
constants of the line search and when the inner descent stops (`Descent`; the numbers follow the authors' code as far as it is public:
thresholds falling by 0.96 an iteration, a window of 8 sqrt(P) steps, steps growing by 1.05 and shrinking by 2.5).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

Array = NDArray[np.float64]


class Maps:
    """F and G for data X (n, d) and patterns D (n, P); blocks are rows of a (2 P, d) array, all u_i (or v_i) before all z_i (or w_i)."""

    def __init__(self, X: Array, D: NDArray[np.bool_]) -> None:
        self.X, self.D = X, np.asarray(D, dtype=np.float64)
        self.sides = np.tile(2 * self.D - 1, 2)
        self.masks = np.hstack([self.D, -self.D])

    def predictions(self, XU: Array) -> Array:
        """F u from X U' (n, 2 P)."""
        return np.einsum("kb,kb->k", self.masks, XU)

    def cones_adjoint(self, S: Array) -> Array:
        """G's for s (n, 2 P)."""
        return (self.sides * S).T @ self.X

    def predictions_adjoint(self, q: Array) -> Array:
        """F'q for q (n,)."""
        return (self.masks * q[:, None]).T @ self.X


class Update(Protocol):
    """The u-update: argmin over u of loss(F u) + rho/2 |u - near|^2 + rho/2 |G u - slack|^2, from the present u."""

    maps: Maps
    rho: float

    def __call__(self, U: Array, near: Array, slack: Array) -> Array: ...


def admm(update: Update, beta: float, gamma: float, iterations: int, watch: Callable[[int, Array], object] | None = None) -> Array:
    """(2 P, d) blocks v after so many iterations from zero; gamma = gamma_a / rho; watch(k, v) returning True ends it."""
    maps, rho = update.maps, update.rho
    (n, d), blocks = maps.X.shape, maps.sides.shape[1]
    U, V, lam = np.zeros((blocks, d)), np.zeros((blocks, d)), np.zeros((blocks, d))
    S, nu = np.zeros((n, blocks)), np.zeros((n, blocks))
    for k in range(1, iterations + 1):
        U = update(U, V - lam, S - nu)
        GU = maps.sides * (maps.X @ U.T)
        norms = np.linalg.norm(U + lam, axis=1, keepdims=True)
        V = (U + lam) * np.maximum(0.0, 1 - beta / (rho * np.maximum(norms, 1e-300)))
        S = np.maximum(GU + nu, 0.0)
        lam += gamma * (U - V)
        nu += gamma * (GU - S)
        if watch is not None and watch(k, V):
            break
    return V


class DenseCholesky:
    """Algorithm 3.1's update for |F u - y|^2 / 2, as published: a factor of (2 d P)^2 numbers, two triangular solves an iteration."""

    def __init__(self, maps: Maps, y: Array, rho: float) -> None:
        self.maps, self.rho = maps, rho
        (n, d), P = maps.X.shape, maps.D.shape[1]
        F = (maps.D[:, :, None] * maps.X[:, None, :]).reshape(n, P * d)
        gram = F.T @ F / rho
        del F
        half = P * d
        A = np.empty((2 * half, 2 * half), order="F")
        A[:half, :half] = A[half:, half:] = gram
        A[half:, :half] = -gram  # the lower triangle is all that is read
        del gram
        block = np.eye(d) + maps.X.T @ maps.X  # G'G = X'X in every block, since T^2 = 1
        for i in range(2 * P):
            A[i * d : (i + 1) * d, i * d : (i + 1) * d] += block
        self.factor = cho_factor(A, lower=True, overwrite_a=True, check_finite=False)
        self.pull = maps.predictions_adjoint(y) / rho

    def __call__(self, U: Array, near: Array, slack: Array) -> Array:
        right = self.pull + near + self.maps.cones_adjoint(slack)
        return cho_solve(self.factor, right.ravel(), overwrite_b=True, check_finite=False).reshape(U.shape)


class SmallCholesky:
    """The same update by Woodbury's identity, with an n x n factor: the iterates of Algorithm 3.1 at a fraction of its cost (not published)."""

    def __init__(self, maps: Maps, y: Array, rho: float) -> None:
        self.maps, self.rho = maps, rho
        self.block = cho_factor(np.eye(maps.X.shape[1]) + maps.X.T @ maps.X)
        coupling = maps.X @ cho_solve(self.block, maps.X.T)
        for row, pattern in zip(coupling, maps.D, strict=True):
            row *= 2 * (maps.D @ pattern)
        coupling[np.diag_indices(len(coupling))] += rho
        self.factor = cho_factor(coupling.T, lower=True, overwrite_a=True, check_finite=False)  # .T: columns in a row, no copy
        self.pull = maps.predictions_adjoint(y) / rho

    def __call__(self, U: Array, near: Array, slack: Array) -> Array:
        first = cho_solve(self.block, (self.pull + near + self.maps.cones_adjoint(slack)).T).T
        q = cho_solve(self.factor, self.maps.predictions(self.maps.X @ first.T), check_finite=False)
        return first - cho_solve(self.block, self.maps.predictions_adjoint(q).T).T


@dataclass
class Descent:
    """Algorithm 3.2's update: random block-coordinate descent. `value` and `gradient` are the loss's at predictions (n,)."""

    maps: Maps
    value: Callable[[Array], float]
    gradient: Callable[[Array], Array]
    rho: float
    threshold: float  # the mean decrease over the last 8 sqrt(P) steps at which an inner descent ends; times 0.96 an iteration
    seed: int = 0
    step: float = 1e-3
    steps: int = 0  # inner steps so far
    limit: int = 20_000  # of one update
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def __call__(self, U: Array, near: Array, slack: Array) -> Array:
        maps, U = self.maps, U.copy()
        P = maps.D.shape[1]
        target = near + maps.cones_adjoint(slack)
        XU = maps.X @ U.T
        z = maps.predictions(XU)
        recent: deque[float] = deque([np.inf], maxlen=int(np.ceil(8 * np.sqrt(P))))
        for _ in range(self.limit):
            if np.mean(recent) <= self.threshold:
                break
            pair = [(i := int(self.rng.integers(P))), i + P]
            down, z = self._descend(U, XU, z, pair, target)
            recent.append(down)
            self.steps += 1
        self.threshold *= 0.96
        return U

    def _descend(self, U: Array, XU: Array, z: Array, pair: list[int], target: Array) -> tuple[float, Array]:
        """One step on (u_i, z_i), in place; the decrease and the new predictions."""
        X, rho, q = self.maps.X, self.rho, self.gradient(z)
        g = (self.maps.masks[:, pair] * q[:, None] + rho * XU[:, pair]).T @ X + rho * (U[pair] - target[pair])
        Xg = X @ g.T
        Fg, slope = np.einsum("kb,kb->k", self.maps.masks[:, pair], Xg), float(np.sum(g * g))
        before, along, curve = self.value(z), q @ Fg, rho * (slope + float(np.sum(Xg * Xg)))
        while True:
            a = self.step
            moved = z - a * Fg
            change = float(self.value(moved) - before) - a * (slope - along) + a * a / 2 * curve
            if change <= -1e-4 * a * slope or a < 1e-12:
                break
            self.step /= 2.5
        U[pair] -= a * g
        XU[:, pair] -= a * Xg
        self.step *= 1.05
        return -change, moved
