"""Two-layer ReLU programs: compiling, enumerating, solving with conic solvers, against CVXPY in the same run.

    OMP_NUM_THREADS=1 python benchmarks/foundation.py

Prints one Markdown table; docs/benchmarks.md holds a dated copy. Needs the extras `demo` and `solvers`.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import platform
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from math import comb
from typing import Any

import cvxpy as cp
import numpy as np
from sklearn.datasets import load_breast_cancer

import relumodel as rm


def breast_cancer() -> tuple[np.ndarray, np.ndarray]:
    data = load_breast_cancer()
    X = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0)
    return X, 2.0 * data.target - 1


def seconds(work: Callable[[], Any], repeats: int = 5) -> float:
    """The median time of a call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def row(what: str, figure: str, goal: str) -> None:
    print(f"| {what} | {figure} | {goal} |", flush=True)


def cvxpy_problem(X: np.ndarray, y: np.ndarray, D: np.ndarray, beta: float, vectorised: bool) -> cp.Problem:
    """The same program written by hand: one matrix variable, or one expression a block."""
    d, P = X.shape[1], D.shape[1]
    T = 2.0 * D - 1
    if vectorised:
        V, W = cp.Variable((d, P)), cp.Variable((d, P))
        prediction = cp.sum(cp.multiply(D, X @ (V - W)), axis=1)
        cones = [cp.multiply(T, X @ V) >= 0, cp.multiply(T, X @ W) >= 0]
        norms = cp.sum(cp.norm(V, 2, axis=0)) + cp.sum(cp.norm(W, 2, axis=0))
    else:
        v, w = [cp.Variable(d) for _ in range(P)], [cp.Variable(d) for _ in range(P)]
        prediction = sum((D[:, [i]] * X) @ (v[i] - w[i]) for i in range(P))
        cones = [(T[:, [i]] * X) @ u[i] >= 0 for u in (v, w) for i in range(P)]
        norms = sum(cp.norm(v[i], 2) + cp.norm(w[i], 2) for i in range(P))
    return cp.Problem(cp.Minimize(0.5 * cp.sum_squares(prediction - y) + beta * norms), cones)


def compile_and_solve() -> None:
    X, y = breast_cancer()
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(reduction="sum"), rm.WeightDecay(5))
    strategy = rm.SamplePatterns(50, seed=0)
    program = model.compile(X, y, patterns=strategy)
    row("compile (50 patterns drawn included)", f"{seconds(lambda: model.compile(X, y, patterns=strategy)):.4f} s", "")
    ours = seconds(lambda: model.compile(X, y, patterns=strategy).conic())
    row("compile + conic", f"{ours:.3f} s", "")
    ones = np.column_stack([X, np.ones(len(X))])
    for label, vectorised in (("vectorised by hand", True), ("one expression a block", False)):
        times = seconds(
            lambda v=vectorised: cvxpy_problem(ones, y, program.patterns, 5, v).get_problem_data("CLARABEL", solver_opts={}), 3
        )
        row(f"CVXPY's canonicalisation, {label}", f"{times:.2f} s = {times / ours:.1f} x ours", ">= 10 x")

    objectives = {}
    for name, tol in (("clarabel", 1e-6), ("cvxpy", 1e-6), ("ecos", 1e-6), ("scs", 1e-4)):
        start = time.perf_counter()
        solution = program.solve(backend=name, tol=tol)
        elapsed = time.perf_counter() - start
        objectives[name] = solution.objective
        row(
            f"solve, {name}",
            f"{elapsed:.2f} s, objective {solution.objective:.6f}, gap {solution.gap:.1e}, {solution.status}",
            f"gap <= {tol:.0e}",
        )
        if name == "clarabel":
            row("compile + conic / Clarabel's solve", f"{100 * ours / elapsed:.1f} %", "< 5 %")
    spread = max(objectives.values()) - min(objectives.values())
    row("objectives of all backends, relative spread", f"{spread / min(objectives.values()):.1e}", "")


def memory() -> None:
    rng = np.random.default_rng(0)
    cases = {
        "breast cancer, P = 50": (*breast_cancer(), 50),
        "Gaussian 2000 x 100, P = 50": (rng.standard_normal((2000, 100)), rng.standard_normal(2000), 50),
    }
    for label, (X, y, P) in cases.items():
        model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(1e-3))
        tracemalloc.start()
        form = model.compile(X, y, patterns=rm.SamplePatterns(P, seed=0)).conic()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        size = sum(a.nbytes for a in (form.A.data, form.A.indices, form.A.indptr))
        row(f"peak memory of compile + conic, {label}", f"{peak / 1e6:.0f} MB = {peak / size:.2f} x the matrix", "<= 3 x")


def enumeration() -> None:
    for n, rank, goal in ((40, 3, "< 2 s"), (200, 3, "< 20 s"), (60, 4, "")):
        X = np.random.default_rng(0).standard_normal((n, rank))
        start = time.perf_counter()
        found = rm.EnumeratePatterns(limit=10**6).find(X, False)
        elapsed = time.perf_counter() - start
        expected = 2 * sum(comb(n - 1, k) for k in range(rank))
        row(f"enumerate n = {n}, rank {rank}", f"{elapsed:.2f} s, {found.count} patterns (formula {expected})", goal)


def importing() -> None:
    code = "import time; t = time.perf_counter(); import relumodel; print(time.perf_counter() - t)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout) for _ in range(7)
    ]
    row("import relumodel (NumPy and SciPy included)", f"{statistics.median(times):.2f} s", "< 0.3 s")


def main() -> None:
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}, CVXPY {cp.__version__}, one thread\n"
    )
    print("| what | measured | goal |\n|---|---|---|")
    importing()
    compile_and_solve()
    memory()
    enumeration()


if __name__ == "__main__":
    main()
