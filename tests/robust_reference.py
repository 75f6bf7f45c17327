"""Robust answers that do not come from relumodel: the robust programs written down in CVXPY one neuron and sample at a time,
perturbation sets by definition, and points drawn from them."""

from __future__ import annotations

import cvxpy as cp
import numpy as np

import relumodel as rm
from reference import loss_in_cvxpy


def columns(model, X) -> tuple[np.ndarray, np.ndarray]:
    """X with its ones column, and the radius of every column."""
    r = np.broadcast_to(np.asarray(model.perturbation.radius, float), (X.shape[1],)).copy()
    r[[c for c in model.perturbation.fixed if isinstance(c, int)]] = 0
    return (np.column_stack([X, np.ones(len(X))]), np.append(r, 0.0)) if model.network.bias else (np.asarray(X, float), r)


def support_in_cvxpy(perturbation, q, r):
    """max of delta.q over the set."""
    scaled = cp.multiply(r, q)
    return {"LInf": cp.norm1, "L2": cp.norm2, "L1": cp.norm_inf}[type(perturbation).__name__](scaled)


def _loss(model, G, y):
    """The loss of bounds G[s][k] <= s f(x_k + delta): margins y G, or residuals max(y - G_+, -y - G_-) >= 0."""
    n = len(y)
    if model.loss.reads == "margin":
        margin = cp.hstack([G[y[k]][k] for k in range(n)])
        each = {
            "Hinge": lambda: cp.pos(1 - margin),
            "SquaredHinge": lambda: cp.square(cp.pos(1 - margin)),
            "Logistic": lambda: cp.logistic(-margin),
        }[type(model.loss).__name__]()
        return cp.sum(each) / (n if model.loss.reduction == "mean" else 1), []
    size = cp.Variable(n, nonneg=True)
    bounds = [size[k] >= side for k in range(n) for side in (y[k] - G[1][k], -y[k] - G[-1][k])]
    return loss_in_cvxpy(model.loss, size, np.zeros(n)), bounds


def _minimum(model, X, y, G, blocks, constraints) -> float:
    loss, bounds = _loss(model, G, y)
    order = 1 if type(model.penalty).__name__ == "PathNorm" else 2
    penalty = model.penalty.beta * sum(cp.norm(u, order) for u in blocks)
    problem = cp.Problem(cp.Minimize(loss + penalty), constraints + bounds)
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9)
    assert problem.status == "optimal"
    return float(problem.value)


def strict_optimum(model, X, y, D) -> float:
    """The strict robust program on the patterns D (n, P): cones T_i x_k.u >= h(u) and the worst case of each sample."""
    A, r = columns(model, X)
    n, P = D.shape
    slope = getattr(model.network.activation, "slope", 0.0)
    gated = type(model.network.activation).__name__ == "GatedReLU"
    V, W = ([cp.Variable(A.shape[1]) for _ in range(P)] for _ in range(2))

    def h(u):
        return support_in_cvxpy(model.perturbation, u, r)

    if gated:
        cones, W = [], []
    else:
        T = np.where(D, 1.0, -1.0)
        cones = [T[k, i] * (A[k] @ u) >= h(u) for i in range(P) for u in (V[i], W[i]) for k in range(n)]
    G = {1: [], -1: []}
    for k in range(n):
        q = sum(np.where(D[k, i], 1.0, slope) * (V[i] if gated else V[i] - W[i]) for i in range(P))
        for s in G:
            G[s].append(s * (A[k] @ q) - h(q))
    return _minimum(model, X, y, G, V + W, cones)


def crossing_optimum(model, X, y, shares) -> float:
    """The crossing program, slopes chosen by shares (2, 2, P, n): [sign, copy, pattern, sample]."""
    A, r = columns(model, X)
    P, n = shares.shape[2:]
    slope = getattr(model.network.activation, "slope", 0.0)
    blocks = [[cp.Variable(A.shape[1]) for _ in range(P)] for _ in range(2)]

    def h(u):
        return support_in_cvxpy(model.perturbation, u, r)

    G = {1: [], -1: []}
    for at, s in enumerate(G):
        for k in range(n):
            q, slack = 0, 0
            for copy in (0, 1):
                for i, u in enumerate(blocks[copy]):
                    e = float(shares[at, copy, i, k])
                    m = slope + (1 - slope) * e
                    q = q + m * u if copy == at else q - m * u
                    if copy != at:
                        slack = slack + (1 - slope) * cp.maximum(e * (h(u) - A[k] @ u), (1 - e) * (h(u) + A[k] @ u))
            G[s].append(A[k] @ q - h(q) - slack)
    return _minimum(model, X, y, G, blocks[0] + blocks[1], [])


def inside(perturbation, r, delta) -> np.ndarray:
    """How many radii each row of delta spans; unperturbed columns must not move."""
    assert not delta[:, r == 0].any()
    scaled = np.abs(delta[:, r > 0] / r[r > 0])
    order = {"LInf": np.inf, "L2": 2, "L1": 1}[type(perturbation).__name__]
    return np.linalg.norm(scaled, ord=order, axis=1) if scaled.shape[1] else np.zeros(len(delta))


def draws(perturbation, r, shape, rng) -> np.ndarray:
    """Random points of the set, half of them on its border or in its corners: shape (..., d)."""
    d = len(r)
    delta = rng.standard_normal((int(np.prod(shape)), d))
    corner = rng.random(len(delta)) < 0.5
    if isinstance(perturbation, rm.LInf):
        delta = np.where(corner[:, None], np.sign(delta), rng.uniform(-1, 1, delta.shape))
    else:
        live = np.flatnonzero(r)
        if isinstance(perturbation, rm.L1) and len(live):
            vertex = np.zeros_like(delta)
            vertex[np.arange(len(delta)), rng.choice(live, len(delta))] = rng.choice([-1.0, 1.0], len(delta))
            delta = np.where(corner[:, None], vertex, delta)
        delta[:, r == 0] = 0
        order = 2 if isinstance(perturbation, rm.L2) else 1
        size = np.linalg.norm(delta, ord=order, axis=1, keepdims=True)
        shrink = np.where(corner, 1.0, rng.random(len(delta)) ** (1 / d))[:, None]
        delta = delta / np.where(size > 0, size, 1) * shrink
    return (delta * r).reshape(*shape, d)
