"""Which patterns survive a perturbation: the robust cone { u : T (X u) >= h(u) } of a pattern has interior, or is dropped.

A vector a with T (X a) > h(a) is a robust witness: its hyperplane misses every perturbed sample. Scaled so that
T (X a) >= 1, one exists exactly when the smallest h(a) is below 1; that smallest value also tells by how much the
perturbation could grow. In the 2-norm it is a least-distance problem, solved through non-negative least squares (Lawson &
Hanson 1974, ch. 23); it decides most patterns in the other norms too, and a linear program decides the rest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..perturbations import L1, L2, Ball

Vector = NDArray[np.float64]

#: Columns that are never perturbed cost nothing; this small price keeps the least-distance problem well posed.
FREE = 1e-4


def robust_witnesses(X: Vector, D: NDArray[np.bool_], ball: Ball, candidates: Vector) -> Vector:
    """A robust witness (unit 2-norm) of every pattern of D (n, P), as rows of (P, d); NaN where the robust cone is {0}.

    candidates : (P, d), tried first.
    """
    sides = np.where(D.T, 1.0, -1.0)
    out = np.full((len(sides), X.shape[1]), np.nan)
    for i, side in enumerate(sides):
        G = side[:, None] * X
        a = candidates[i] if robust(G, candidates[i], ball) else smallest(G, ball)[0]
        if a is not None and robust(G, a, ball):
            out[i] = a / np.linalg.norm(a)
    return out


def robust(G: Vector, a: Vector, ball: Ball) -> bool:
    """Whether G a > h(a) on every row that is not zero, by more than rounding."""
    if not np.isfinite(a).all():
        return False
    live = G.any(axis=1)
    slack = G[live] @ a - ball.support(a[None])[0]
    return bool((slack > 1e-12 * np.linalg.norm(G[live], axis=1) * np.linalg.norm(a)).all())


def smallest(G: Vector, ball: Ball, exact: bool = False) -> tuple[Vector | None, float]:
    """A vector with G a >= 1 and small h(a), and a lower bound on the smallest h; (None, inf) when there is no such vector.

    The first vector found with h(a) < 1 is enough, and a lower bound >= 1 proves that there is none, unless `exact` asks
    for the smallest.
    """
    G = G[G.any(axis=1)]
    if not len(G):
        return np.eye(1, G.shape[1])[0], 0.0
    a, lower = _least_distance(G, ball)
    if a is None or (not exact and (lower >= 1 or ball.support(a[None])[0] < 1)):
        return a, lower
    if isinstance(ball.perturbation, L2):
        return a, lower
    return _linear_program(G, ball)


def _least_distance(G: Vector, ball: Ball) -> tuple[Vector | None, float]:
    """min |R a|_2 subject to G a >= 1, and the lower bound it proves on h.

    The dual point p = G'alpha, sum alpha = 1, says: h(a) gauge(p) >= p.a >= 1 for every feasible a, when p is 0 on the
    unperturbed columns; so h >= 1 / gauge(p).
    """
    from scipy.optimize import nnls

    price = np.where(ball.radii > 0, ball.radii, FREE * ball.radii.max())
    scaled = G / price
    size = np.abs(scaled).max()
    E = np.vstack([scaled.T / size, np.ones(len(G))])
    try:
        alpha, residual = nnls(E, np.append(np.zeros(G.shape[1]), 1.0))
    except RuntimeError:  # no convergence: leave the decision to the linear program
        return np.zeros(G.shape[1]), 0.0
    if residual <= 1e-7:  # about 1 / |R a|: no vector, or none that any perturbation worth the name leaves
        return None, float("inf")
    left = E @ alpha
    left[-1] -= 1.0
    a = -left[:-1] / left[-1] / size / price
    p = G.T @ (alpha / alpha.sum())
    free = ball.radii == 0
    usable = not free.any() or np.abs(p[free]).max() <= 1e-12 * np.abs(G[:, free]).max()
    gauge = float(ball.gauge(p[None])[0])
    # a must fulfil G a >= 1, which rounding may break by a little
    a = a / max((G @ a).min(), 1e-12)
    return a, (1 / gauge if gauge > 0 else float("inf")) if usable else 0.0


def _linear_program(G: Vector, ball: Ball) -> tuple[Vector | None, float]:
    """min h(a) subject to G a >= 1, h the box's (sum r |a|) or the diamond's (max r |a|)."""
    from scipy.optimize import linprog

    n, d = G.shape
    r = ball.radii
    if isinstance(ball.perturbation, L1):  # a = r^-1 b on perturbed columns, |b| <= t
        cost = np.append(np.zeros(2 * d), 1.0)
        tail = np.hstack([np.diag(r), np.diag(r), -np.ones((d, 1))])
        A = np.vstack([np.hstack([-G, G, np.zeros((n, 1))]), tail])
        b = np.append(-np.ones(n), np.zeros(d))
    else:
        cost, A, b = np.append(r, r), np.hstack([-G, G]), -np.ones(n)
    found = linprog(cost, A_ub=A, b_ub=b, method="highs")
    if found.x is None:
        return None, float("inf")
    return found.x[:d] - found.x[d : 2 * d], float(found.fun)
