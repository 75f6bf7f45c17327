"""Answers that do not come from relumodel: the convex program written down in CVXPY, and single functions in Clarabel."""

from __future__ import annotations

import clarabel
import cvxpy as cp
import numpy as np
from scipy import sparse


def loss_in_cvxpy(loss, z, y):
    """sum or mean of the loss of predictions z."""
    residual, margin = z - y, cp.multiply(y, z)
    each = {
        "Squared": lambda: 0.5 * cp.square(residual),
        "Absolute": lambda: cp.abs(residual),
        "Huber": lambda: 0.5 * cp.huber(residual, loss.delta),
        "Hinge": lambda: cp.pos(1 - margin),
        "SquaredHinge": lambda: cp.square(cp.pos(1 - margin)),
        "Logistic": lambda: cp.logistic(-margin),
    }[type(loss).__name__]()
    return cp.sum(each) / (len(y) if loss.reduction == "mean" else 1)


def optimum(model, X, y, D) -> float:
    """The optimum on the patterns D (n, P), one block at a time as Pilanci & Ergen (2020) write it in Theorem 1."""
    A = np.column_stack([X, np.ones(len(X))]) if model.network.bias else np.asarray(X, float)
    activation = model.network.activation
    slope = getattr(activation, "slope", 0.0)
    gated = type(activation).__name__ == "GatedReLU"
    order = 1 if type(model.penalty).__name__ == "PathNorm" else 2
    prediction, penalty, cones = 0, 0, []
    for pattern in D.T:
        v, w = cp.Variable(A.shape[1]), cp.Variable(A.shape[1])
        prediction += cp.multiply(np.where(pattern, 1.0, slope), A @ (v - w))
        penalty += cp.norm(v, order) + cp.norm(w, order)
        if not gated:
            T = np.where(pattern, 1.0, -1.0)
            cones += [cp.multiply(T, A @ v) >= 0, cp.multiply(T, A @ w) >= 0]
    problem = cp.Problem(cp.Minimize(loss_in_cvxpy(model.loss, prediction, y) + model.penalty.beta * penalty), cones)
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9)
    assert problem.status == "optimal"
    return float(problem.value)


CONES = {
    "zero": lambda size: clarabel.ZeroConeT(size),
    "nonnegative": lambda size: clarabel.NonnegativeConeT(size),
    "second-order": lambda size: clarabel.SecondOrderConeT(size),
    "exponential": lambda size: clarabel.ExponentialConeT(),
    "semidefinite": lambda size: clarabel.PSDTriangleConeT(int((2 * size) ** 0.5)),
}


def minimum_over_cones(P, c, A, b, cones) -> float:
    """min 1/2 x'Px + c'x s.t. b - Ax in cones, cones given as (kind, size) in the order of the rows."""
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    kinds = [CONES[kind](size) for kind, size in cones]
    P, A = sparse.csc_matrix(P), sparse.csc_matrix(A)
    answer = clarabel.DefaultSolver(sparse.triu(P, format="csc"), c, A, b, kinds, settings).solve()
    assert str(answer.status) == "Solved"
    return answer.obj_val


def epigraph_minimum(rows, z) -> float:
    """What the conic rows of a function say its value at z is: the minimum over the auxiliaries alone."""
    A = sparse.vstack([piece.on_t for piece in rows.pieces])
    b = [piece.b - piece.on_z * z if isinstance(piece.on_z, float) else piece.b - piece.on_z @ z for piece in rows.pieces]
    cones = [(piece.kind, size) for piece in rows.pieces for size in piece.sizes]
    return minimum_over_cones(sparse.diags(rows.quadratic), rows.cost, A, np.concatenate(b), cones)
