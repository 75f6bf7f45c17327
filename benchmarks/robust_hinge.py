"""The robust hinge program of Table 5's size: CVXPY + Clarabel on the program as published, against `program.solve`.

    OMP_NUM_THREADS=1 RELUMODEL_DATA=... python benchmarks/robust_hinge.py [reference]

One instance of Bai et al. (2023), section 4: 600 x 147, 36 given patterns, eps = 10/255, beta = 1e-4. The reference is written by hand
as a user of CVXPY would write the published program, vectorised; it is run with `reference` only, for it needs 20 minutes to an hour and
several GB. CPU seconds from the data to the network's weights: ours with compiling and certificate, theirs with canonicalisation. Every
point is judged by the same `program`. Clarabel's own log shows where in its run the gap fell below 1e-3.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import resource
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import relumodel as rm

Array = NDArray[np.float64]


def by_cvxpy(X: Array, y: Array, D: NDArray[np.bool_], eps: float, beta: float) -> Array:
    """(2, P, d) weights v and w. Section 4: the box enters the cones and the loss by the l1 norm."""
    import cvxpy as cp

    (n, d), P, sides = X.shape, D.shape[1], 2.0 * D - 1
    V, W = cp.Variable((d, P)), cp.Variable((d, P))
    margins = cp.multiply(y, cp.sum(cp.multiply(D, X @ (V - W)), axis=1))
    acting = D.astype(float) @ (V - W).T  # row k: the weights that act on sample k
    loss = cp.sum(cp.pos(1 - margins + eps * cp.sum(cp.abs(acting), axis=1))) / n
    penalty = beta * (cp.mixed_norm(V.T, 2, 1) + cp.mixed_norm(W.T, 2, 1))
    cones = [cp.multiply(sides, X @ U) >= eps * cp.reshape(cp.norm1(U, axis=0), (1, P), order="C") for U in (V, W)]
    problem = cp.Problem(cp.Minimize(loss + penalty), cones)
    problem.solve(solver=cp.CLARABEL, verbose=True, max_threads=1)
    print(f"status {problem.status}, value {problem.value:.7f}, {problem.solver_stats.num_iters} iterations,", end=" ")
    print(f"solver {problem.solver_stats.solve_time:.0f} s, canonicalisation {problem.compilation_time:.1f} s")
    return np.stack([V.value.T, W.value.T])


def main() -> None:
    file = np.load(Path(os.environ["RELUMODEL_DATA"]) / "cifar600_robust" / "cifar600_robust.npz")
    X, y, D, eps, beta = file["X"], file["y"], file["D"], float(file["eps"]), float(file["beta"])
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge(), rm.WeightDecay(beta), perturbation=rm.LInf(eps))
    print("| method | CPU s | x ours | objective | gap | largest cone violation | peak memory, GB |\n|---|---|---|---|---|---|---|")

    def row(name: str, seconds: float, objective: float, bound: float, violation: float) -> str:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        gap = (objective - bound) / objective
        return f"| {name} | {seconds:.2f} | {seconds / base:.1f} | {objective:.7f} | {gap:.1e} | {violation:.1e} | {peak:.1f} |"

    base = 0.0
    for tol in (1e-3, 1e-6):
        start = time.process_time()
        program = model.compile(X, y, patterns=rm.GivenPatterns(D))
        solution = program.solve(tol=tol)
        seconds = time.process_time() - start
        base = base or seconds
        name = f"relumodel, auto ({solution.backend}), tol {tol:.0e}"
        print(row(name, seconds, solution.objective, solution.bound, solution.violation), flush=True)
    if "reference" in sys.argv[1:]:
        start = time.process_time()
        weights = by_cvxpy(X, y, D, eps, beta)
        seconds = time.process_time() - start
        point = on_kept_patterns(program, weights, D)
        print(row("CVXPY + Clarabel", seconds, program.objective(point), solution.bound, program.violation(point)), flush=True)


def on_kept_patterns(program: rm.Program, weights: Array, D: NDArray[np.bool_]) -> Array:
    """The point of our program with these weights; it keeps only the patterns whose robust cone is more than zero."""
    kept = [int(np.flatnonzero((pattern == D.T).all(axis=1))[0]) for pattern in program.patterns.T]
    return weights[:, kept].ravel()


if __name__ == "__main__":
    main()
