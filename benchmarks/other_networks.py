"""One program for each kind of network, solved by relumodel and by the same program written by hand in CVXPY, in the same run.

    OMP_NUM_THREADS=1 python benchmarks/other_networks.py

Polynomial (clean, and robust over Euclidean balls), three layers, random features, several outputs (squared loss, and softmax). relumodel
with backend="auto" to a gap of 1e-6, except for the larger robust program (1e-3); CVXPY hands its problem to Clarabel and to SCS (eps 1e-6) with their
own stopping rules. CPU seconds of one run, from data to weights: compiling included on both sides. The objective of CVXPY's point is
CVXPY's word for it. Prints a Markdown table; user_limit is 90 s on the clock.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
import warnings
from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_wine

import relumodel as rm

Array = NDArray[np.float64]
LIMIT = 90.0


def cancer(n: int, d: int) -> tuple[Array, Array]:
    X, y = load_breast_cancer(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    return X[:n, :d], 2.0 * y[:n] - 1


def wine() -> tuple[Array, Array]:
    X, y = load_wine(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


def with_ones(X: Array) -> Array:
    return np.column_stack([X, np.ones(len(X))])


def polynomial(X: Array, y: Array, beta: float, r: float) -> cp.Problem:
    """Bartan & Pilanci 2021; with r > 0 one S-procedure matrix a sample (Kuelbs et al. 2024). Hinge, bias."""
    a, b, c = 0.09, 0.5, 0.47
    n, d = X.shape
    A = with_ones(X)
    k = d + 1
    Z, W = (cp.Variable((k + 1, k + 1), PSD=True) for _ in range(2))
    traces = [cp.trace(V[:k, :k]) == V[k, k] for V in (Z, W)]
    D = Z - W
    M, m, z = a * D[:k, :k], b * D[:k, k], c * D[k, k]
    f = cp.sum(cp.multiply(A @ M, A), axis=1) + A @ m + z
    penalty = beta * (Z[k, k] + W[k, k])
    if not r:
        return cp.Problem(cp.Minimize(cp.sum(cp.pos(1 - cp.multiply(y, f))) / n + penalty), traces)
    w, lam = cp.Variable(n), cp.Variable(n, nonneg=True)
    cones = []
    for i in range(n):
        side = y[i] * (M[:d, :] @ A[i] + m[:d] / 2)
        column = cp.reshape(side, (d, 1), order="C")
        corner = cp.reshape(y[i] * f[i] - w[i] - lam[i] * r**2, (1, 1), order="C")
        cones.append(cp.bmat([[y[i] * M[:d, :d] + lam[i] * np.eye(d), column], [column.T, corner]]) >> 0)
    return cp.Problem(cp.Minimize(cp.sum(cp.pos(1 - w)) / n + penalty), traces + cones)


def three_layers(X: Array, y: Array, beta: float, found: Any) -> cp.Problem:
    """Ergen & Pilanci 2021, Theorem 1, all sub-networks of one copy side by side. Squared loss, sum, bias."""
    A, (G, m, n) = with_ones(X), found.inner.shape
    d, prediction, penalty, cones = A.shape[1], 0, 0, []
    for sign in (1.0, -1.0):
        U = cp.Variable((d, G * m))
        S = A @ U
        hidden, side = found.inner.reshape(G * m, n).T, np.where(found.inner, 1.0, -1.0).reshape(G * m, n).T
        gather = np.kron(np.eye(G), np.ones((m, 1)))
        second = cp.multiply(hidden * found.signs.reshape(-1), S) @ gather
        cones += [cp.multiply(side, S) >= 0, cp.multiply(np.where(found.outer.T, 1.0, -1.0), second) >= 0]
        prediction += sign * cp.sum(cp.multiply(found.outer.T.astype(float), second), axis=1)
        penalty += beta * cp.sum(cp.norm(U, 2, axis=0))
    return cp.Problem(cp.Minimize(0.5 * cp.sum_squares(prediction - y) + penalty), cones)


def random_features(X: Array, y: Array, beta: float, witnesses: Array) -> cp.Problem:
    """Bai et al. 2023, the sampled convex program. Hinge, mean, bias."""
    F = np.maximum(with_ones(X) @ witnesses.T, 0)
    a = cp.Variable(F.shape[1])
    return cp.Problem(cp.Minimize(cp.sum(cp.pos(1 - cp.multiply(y, F @ a))) / len(y) + beta * cp.norm1(a)))


def outputs(X: Array, y: Array, beta: float, D: NDArray[np.bool_], softmax: bool) -> cp.Problem:
    """Blocks of their own for every class; squared loss on codes -1/+1, or softmax cross entropy. Mean, bias."""
    A, T = with_ones(X), np.where(D, 1.0, -1.0)
    scores, penalty, cones = [], 0, []
    for _ in np.unique(y):
        V, W = (cp.Variable((A.shape[1], D.shape[1])) for _ in range(2))
        scores.append(cp.sum(cp.multiply(D.astype(float), A @ (V - W)), axis=1))
        penalty += beta * (cp.sum(cp.norm(V, 2, axis=0)) + cp.sum(cp.norm(W, 2, axis=0)))
        cones += [cp.multiply(T, A @ V) >= 0, cp.multiply(T, A @ W) >= 0]
    F, codes = cp.vstack(scores).T, (y[:, None] == np.unique(y)).astype(float)
    if softmax:
        loss = cp.sum(cp.log_sum_exp(F, axis=1)) - cp.sum(cp.multiply(codes, F))
    else:
        loss = 0.5 * cp.sum_squares(F - (2 * codes - 1))
    return cp.Problem(cp.Minimize(loss / len(y) + penalty), cones)


def by_hand(make: Callable[[], cp.Problem], solver: str) -> tuple[float, str]:
    """CPU seconds, and CVXPY's objective, or how it ended."""
    options: dict[str, Any] = (
        {"time_limit": LIMIT} if solver == "CLARABEL" else {"time_limit_secs": LIMIT, "eps": 1e-6, "max_iters": 10**6}
    )
    start = time.process_time()
    problem = make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            problem.solve(solver=solver, **options)
        except cp.SolverError:
            return time.process_time() - start, "the solver fails"
    seconds = time.process_time() - start
    return seconds, f"{problem.value:.7g}" + ("" if problem.status == "optimal" else f", {problem.status}")


def own(program: Callable[[], rm.Program], tol: float, backend: str) -> tuple[float, str]:
    """CPU seconds from data to weights, and the objective with its proof."""
    start = time.process_time()
    solution = program().solve(tol=tol, backend=backend)
    solution.network()
    seconds = time.process_time() - start
    return seconds, f"{seconds:.2f} s, {solution.objective:.7g} (gap {solution.gap:.0e}, {solution.backend})"


def row(
    name: str,
    model: rm.Model,
    X: Array,
    y: Array,
    make: Callable[[rm.Program], cp.Problem],
    tol: float = 1e-6,
    also: str | None = None,
    **patterns: Any,
) -> str:
    """A line of the table. also : another backend to try."""
    seconds, shown = own(lambda: model.compile(X, y, **patterns), tol, "auto")
    if also is not None:
        shown += "; " + own(lambda: model.compile(X, y, **patterns), tol, also)[1]
    cells, program = [shown], model.compile(X, y, **patterns)
    for solver in ("CLARABEL", "SCS"):
        theirs, value = by_hand(lambda: make(program), solver)
        cells.append(f"{theirs:.2f} s, {value}, {theirs / seconds:.1f}x")
    return f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    poly, relu, hinge = rm.TwoLayer(rm.Polynomial(), bias=True), rm.TwoLayer(rm.ReLU(), bias=True), rm.Hinge()
    print("| program | relumodel | CVXPY + Clarabel | CVXPY + SCS |\n| --- | --- | --- | --- |")
    X, y = cancer(569, 30)
    model = rm.Model(poly, hinge, rm.WeightDecay(0.01))
    print(row("polynomial, 569 x 30, hinge", model, X, y, lambda p: polynomial(X, y, 0.01, 0.0)), flush=True)
    for n, d, tol in ((80, 5, 1e-6), (60, 20, 1e-3)):
        Xs, ys = cancer(n, d)
        model = rm.Model(poly, hinge, rm.WeightDecay(0.01), perturbation=rm.L2(0.5))
        hand = lambda p, Xs=Xs, ys=ys: polynomial(Xs, ys, 0.01, 0.5)  # noqa: E731
        also = "scs" if d == 20 else None
        print(row(f"polynomial, robust, {n} x {d}, hinge, r = 0.5", model, Xs, ys, hand, tol, also), flush=True)
    Xt, yt = cancer(100, 10)
    model = rm.Model(rm.ParallelThreeLayer(width=7, bias=True), rm.Squared(reduction="sum"), rm.WeightDecay(0.1))
    hand3 = lambda p: three_layers(Xt, yt, 0.1, p.inverse.found)  # noqa: E731
    print(row("three layers, 100 x 10, m1 = 7, K = 10, squared", model, Xt, yt, hand3, patterns=rm.SamplePatterns(10)), flush=True)
    model = rm.Model(rm.RandomFeatures(bias=True), hinge, rm.WeightDecay(1e-3))
    handf = lambda p: random_features(X, y, 1e-3, p.inverse.found.witnesses)  # noqa: E731
    print(row("random features, 569 x 30, 500 of them, hinge", model, X, y, handf, patterns=rm.SamplePatterns(500)), flush=True)
    Xw, yw = wine()
    codes = np.where(yw[:, None] == np.unique(yw), 1.0, -1.0)
    for name, loss, target in (("squared", rm.Squared(), codes), ("softmax", rm.SoftmaxCrossEntropy(), yw)):
        model = rm.Model(relu, loss, rm.WeightDecay(0.01))
        hand_w = lambda p, name=name: outputs(Xw, yw, 0.01, p.patterns, name == "softmax")  # noqa: E731
        print(
            row(f"three outputs, 178 x 13, P = 20, {name}", model, Xw, target, hand_w, patterns=rm.SamplePatterns(20)), flush=True
        )


if __name__ == "__main__":
    main()
