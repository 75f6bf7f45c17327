"""About a thousand degenerate programs: how many the native engine leaves with a gap above 1e-6.

    OMP_NUM_THREADS=1 python benchmarks/stress.py [family ...]

Every loss, both penalties, penalty strengths from 1e-6 to 0.9 times the strength that makes zero optimal, 17 families of awkward data. No backend comes to the engine's aid, as with backend="auto".
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import itertools
import sys
import time

import numpy as np
from numpy.typing import NDArray
from path import beta_max

import relumodel as rm

Array = NDArray[np.float64]

LOSSES = (rm.Squared(), rm.Absolute(), rm.Huber(0.3), rm.Hinge(), rm.SquaredHinge(), rm.Logistic())
SHARES = (1e-6, 1e-4, 1e-2, 0.3, 0.9)


def families() -> dict[str, Array]:
    rng = np.random.default_rng(2)
    gaussian = rng.standard_normal((60, 5))
    half = rng.standard_normal((20, 3))
    return {
        "Gaussian": gaussian,
        "repeated rows": np.vstack([half, half, -half]),
        "zero rows": np.vstack([half, np.zeros((4, 3)), half + 1]),
        "rank two": rng.standard_normal((40, 2)) @ rng.standard_normal((2, 6)),
        "nearly collinear": gaussian[:, :1] + 1e-6 * rng.standard_normal((60, 4)),
        "a column twice": gaussian[:, [0, 0, 1, 2, 2]],
        "constant columns": np.hstack([gaussian[:, :3], np.ones((60, 2))]),
        "n << d": rng.standard_normal((10, 60)),
        "n >> d": rng.standard_normal((500, 3)),
        "binary": np.sign(rng.standard_normal((50, 5))),
        "counts": rng.poisson(0.5, (60, 8)) * 1.0,
        "large": 1e4 * gaussian,
        "small": 1e-8 * gaussian,
        "columns 1e-4 to 1e4": gaussian * 10.0 ** np.array([-4, -2, 0, 2, 4]),
        "columns 1e-8 to 1e8": gaussian * 10.0 ** np.array([-8, -4, 0, 4, 8]),
        "a column 1e8 times the others": gaussian * np.array([1, 1, 1, 1, 1e8]),
        "rows of all scales": gaussian * 10.0 ** rng.uniform(-3, 3, (60, 1)),
    }


def programs(X: Array) -> list[rm.Program]:
    """All programs of one family."""
    y = np.where(np.random.default_rng(1).random(len(X)) < 0.5, 1.0, -1.0)
    y[:2] = 1, -1
    spread = np.hstack([X / np.linalg.norm(X, axis=0), np.full((len(X), 1), len(X) ** -0.5)])  # directions that notice every column
    drawn = rm.Model(rm.TwoLayer(rm.ReLU(), bias=False), LOSSES[0], rm.WeightDecay(1.0)).compile(
        spread, y, patterns=rm.SamplePatterns(6, seed=0)
    )
    patterns = rm.GivenPatterns(drawn.patterns)
    out = []
    for loss, penalty in itertools.product(LOSSES, (rm.WeightDecay, rm.PathNorm)):
        model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), loss, penalty(1.0))
        program = model.compile(X, y, patterns=patterns)
        out += [program.with_penalty(share * beta_max(program)) for share in SHARES]
    return out


def main() -> None:
    print("| data | solves | gap above 1e-6 | worst gap | mean iterations | CPU s |\n|---|---|---|---|---|---|")
    total = missed = 0
    for name, X in families().items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        start = time.process_time()
        solutions = [program.solve(backend="admm") for program in programs(X)]
        gaps = np.array([s.gap for s in solutions])
        total, missed = total + len(gaps), missed + int((gaps > 1e-6).sum())
        mean = np.mean([s.iterations for s in solutions])
        seconds = time.process_time() - start
        print(f"| {name} | {len(gaps)} | {(gaps > 1e-6).sum()} | {gaps.max():.0e} | {mean:.0f} | {seconds:.1f} |", flush=True)
    print(f"\n{missed} of {total} miss a gap of 1e-6.")


if __name__ == "__main__":
    main()
