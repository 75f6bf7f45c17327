"""How well time limits are kept: every kind of call on data that take much longer, wall and CPU.

    RELUMODEL_DATA=... OMP_NUM_THREADS=1 python benchmarks/time_limits.py [--limit 5] [--only WORD] [--cpu]

Each call runs in a process of its own. Kept means that it took at most 1.1 limit + 1 s. On a busy machine use --cpu: deadlines are then kept
by the process's CPU time, and that is compared (a solver's own clock remains the wall's: Clarabel, SCS, HiGHS and CVXPY end early).
RELUMODEL_DATA is a folder with tabular/spambase.npz and tabular/adult.npz; without
it, Gaussian data of the same shapes stand in for them.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import relumodel as rm
from relumodel.resources import deadline

Array = NDArray[np.float64]

SHAPES = {"spambase": (4601, 57), "adult": (48_842, 14)}


def table(name: str, rows: int | None = None) -> tuple[Array, Array]:
    """Standardised features and labels -1 and +1."""
    file = Path(os.environ.get("RELUMODEL_DATA", "")) / "tabular" / f"{name}.npz"
    if file.is_file():
        with np.load(file) as data:
            X, labels = np.asarray(data["X"], dtype=float), data["y"]
        y = np.where(labels == np.unique(labels)[0], -1.0, 1.0)
    else:
        X = np.random.default_rng(0).standard_normal(SHAPES[name])
        y = np.where(X[:, 0] * X[:, 1] > 0, 1.0, -1.0)
    spread = X.std(axis=0)
    X = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    chosen = np.random.default_rng(1).permutation(len(X))[:rows]
    return X[chosen], y[chosen]


RELU = rm.TwoLayer(rm.ReLU(), True)


def model(network: Any = RELU, loss: Any = None, beta: float = 1e-3, **more: Any) -> rm.Model:
    return rm.Model(network, loss or rm.Squared(), rm.WeightDecay(beta), **more)


def robust(kind: str) -> rm.Model:
    return model(loss=rm.Hinge(), perturbation=rm.LInf(0.02), robust=kind)


def solve(X: Array, y: Array, backend: str, limit: float, patterns: int = 50, **more: Any) -> Any:
    return model(**more).compile(X, y, patterns=rm.SamplePatterns(patterns, seed=0)).solve(backend, time_limit=limit)


CASES: dict[str, Callable[[float], Any]] = {
    "fit, ReLU, 4601 x 57": lambda t: model().fit(*table("spambase"), time_limit=t),
    "fit, ReLU, hinge, 4601 x 57": lambda t: model(loss=rm.Hinge()).fit(*table("spambase"), time_limit=t),
    "fit, ReLU, 48,842 x 14": lambda t: model().fit(*table("adult"), time_limit=t),
    "fit, two outputs, 4601 x 57": lambda t: model().fit(
        (data := table("spambase"))[0], np.column_stack([data[1], data[0][:, 0]]), time_limit=t
    ),
    "fit, three layers, 1000 x 57": lambda t: model(rm.ParallelThreeLayer(width=5)).fit(*table("spambase", 1000), time_limit=t),
    "fit, polynomial, 4601 x 57": lambda t: model(rm.TwoLayer(rm.Polynomial(), True)).fit(*table("spambase"), time_limit=t),
    "fit, crossing, 1000 x 57": lambda t: robust("crossing").fit(*table("spambase", 1000), time_limit=t),
    "fit, strict, gap patterns, 1000 x 57": lambda t: robust("strict").fit(
        *table("spambase", 1000), patterns=rm.GapPatterns(50), time_limit=t
    ),
    "fit, sampled patterns, 4601 x 57": lambda t: model().fit(
        *table("spambase"), patterns=rm.SamplePatterns(50, seed=0), time_limit=t
    ),
    "fit, gated, 4601 x 57": lambda t: model(rm.TwoLayer(rm.GatedReLU(), True)).fit(
        *table("spambase"), patterns=rm.SamplePatterns(50, seed=0), time_limit=t
    ),
    "solve, auto, 4601 x 57": lambda t: solve(*table("spambase"), "auto", t),
    "solve, clarabel, 1000 x 57": lambda t: solve(*table("spambase", 1000), "clarabel", t),
    "solve, scs, 1000 x 57": lambda t: solve(*table("spambase", 1000), "scs", t),
    "solve, highs, 1000 x 57": lambda t: (
        rm.Model(RELU, rm.Hinge(), rm.PathNorm(1e-3))
        .compile(*table("spambase", 1000), patterns=rm.SamplePatterns(50, seed=0))
        .solve("highs", time_limit=t)
    ),
    "solve, cvxpy, 400 x 57": lambda t: solve(*table("spambase", 400), "cvxpy", t),
    "solve, auto, 48,842 x 14": lambda t: solve(*table("adult"), "auto", t),
}


def child(case: str, limit: float, cpu: bool) -> None:
    """Run one case and print what it took: wall, CPU, status, objective."""
    if cpu:
        deadline.clock = time.process_time
    begun = [0.0, 0.0]

    def timed(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            begun[:] = time.perf_counter(), time.process_time()
            return method(*arguments, **options)

        return call

    # reading files, and compiling for `solve`, come before what is limited
    if case.startswith("solve"):
        rm.Program.solve = timed(rm.Program.solve)  # type: ignore[method-assign]
    else:
        rm.Model.fit = timed(rm.Model.fit)  # type: ignore[method-assign]
    result = CASES[case](limit)
    wall, spent = time.perf_counter() - begun[0], time.process_time() - begun[1]
    kept = "kept" if (spent if cpu else wall) <= 1.1 * limit + 1 else "LATE"
    print(f"{case:<40} {limit:6.1f} {wall:7.2f} {spent:7.2f}  {kept}  {result.status:<22} {result.objective:.6g}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=5.0)
    parser.add_argument("--only", default="")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--child")
    asked = parser.parse_args()
    if asked.child:
        return child(asked.child, asked.limit, asked.cpu)
    print(f"{'case':<40} {'limit':>6} {'wall':>7} {'CPU':>7}", flush=True)
    for case in CASES:
        if asked.only in case:
            command = [sys.executable, __file__, "--child", case, "--limit", str(asked.limit), *["--cpu"] * asked.cpu]
            code = subprocess.run(command, check=False).returncode
            if code:
                print(f"{case:<40} ended with exit code {code}", flush=True)
    return None


if __name__ == "__main__":
    main()
