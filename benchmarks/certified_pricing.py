"""How far certified global gaps reach: model.fit asked for a gap of 1e-6, rank by rank and size by size.

    OMP_NUM_THREADS=1 python benchmarks/certified_pricing.py --out rows.csv [--proof 600] [--only 3x200,6x60] [--losses hinge,squared]

Four kinds of data of rank r, the bias column included, n samples: Gaussian; half the samples repeated, in twice as many columns as the
rank; a grid of integers from -2 to 2; and the first columns of the breast-cancer data, standardised. Labels are the sign of a product of
two features with noise (the diagnosis in the last kind). Hinge, logistic, squared and absolute loss, WeightDecay(0.01). Rows are added to the CSV file as they come, and not run again; then the Markdown tables are printed. Seconds are of CPU, one
thread; a fit gets `--proof` seconds by the clock for its proof.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer

import relumodel as rm

Array = NDArray[np.float64]

SIZES = [(2, 200), (3, 60), (3, 200), (4, 60), (5, 60), (6, 60), (4, 200), (3, 500), (3, 2000), (7, 60), (5, 200)]
KINDS = ("Gaussian", "collinear", "grid", "real")
LOSSES: dict[str, rm.Hinge | rm.Logistic | rm.Squared | rm.Absolute] = {
    "hinge": rm.Hinge(),
    "logistic": rm.Logistic(),
    "squared": rm.Squared(),
    "absolute": rm.Absolute(),
}


def data(kind: str, rank: int, n: int, labels: bool) -> tuple[Array, Array]:
    """Features whose rank with a bias column is `rank`, and labels or targets."""
    rng = np.random.default_rng(0)
    if kind == "real":
        cancer = load_breast_cancer()
        chosen = rng.permutation(len(cancer.target))[:n]
        X = cancer.data[chosen, : rank - 1]
        return (X - X.mean(axis=0)) / X.std(axis=0), 2.0 * cancer.target[chosen] - 1
    X = rng.integers(-2, 3, (n, rank - 1)).astype(float) if kind == "grid" else rng.standard_normal((n, rank - 1))
    if kind == "collinear":
        X = np.vstack([X[: (n + 1) // 2], X[: n // 2]]) @ rng.standard_normal((rank - 1, 2 * (rank - 1)))
    score = X[:, 0] * X[:, -1] + 0.3 * rng.standard_normal(n)
    return X, np.where(score > np.median(score), 1.0, -1.0) if labels else score / score.std()


def row(kind: str, rank: int, n: int, loss: str, beta: float, proof: float) -> dict[str, str | int | float]:
    declared = LOSSES[loss]
    X, y = data(kind, rank, n, declared.reads == "margin")
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), declared, rm.WeightDecay(beta))
    started = time.process_time()
    result = model.fit(X, y, patterns=rm.AdaptivePatterns(gap=1e-6, seed=0, proof=proof))
    return {
        "rank": rank,
        "n": n,
        "kind": kind,
        "loss": loss,
        "beta": beta,
        "bound": result.bound_kind,
        "gap": result.gap,
        "neurons": result.network.n_neurons,
        "rounds": result.rounds,
        "seconds": time.process_time() - started,
    }


def table(rows: list[dict[str, str]]) -> str:
    """A line for every rank and n: how many fits were certified to 1e-6, the largest gap, the median and the longest time."""
    lines = [
        "| rank | n | beta | fits | certified to 1e-6 | largest gap | CPU s: median, longest | longest on |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for key in dict.fromkeys((r["rank"], r["n"], r["beta"]) for r in rows):
        own = [r for r in rows if (r["rank"], r["n"], r["beta"]) == key]
        done = [r for r in own if r["bound"] == "certified" and float(r["gap"]) <= 1e-6]
        times = [float(r["seconds"]) for r in own]
        slowest = own[int(np.argmax(times))]
        lines.append(
            f"| {' | '.join(key)} | {len(own)} | {len(done)} | {max(float(r['gap']) for r in own):.1e} | {np.median(times):.1f}, {max(times):.1f} "
            f"| {slowest['kind']}, {slowest['loss']} |"
        )
    return "\n".join(lines)


def read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open() as file:
        return list(csv.DictReader(file))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, required=True, help="CSV file that holds the rows")
    arguments.add_argument("--proof", type=float, default=600.0)
    arguments.add_argument("--beta", type=float, default=0.01)
    arguments.add_argument("--only", default=",".join(f"{rank}x{n}" for rank, n in SIZES), help="rank x n, e.g. 3x200,6x60")
    arguments.add_argument("--losses", default=",".join(LOSSES))
    given = arguments.parse_args()
    for size in given.only.split(","):
        rank, n = map(int, size.split("x"))
        for kind in KINDS:
            for loss in given.losses.split(","):
                key = (str(rank), str(n), kind, loss, str(given.beta))
                there = read(given.out)
                if any(tuple(r[name] for name in ("rank", "n", "kind", "loss", "beta")) == key for r in there):
                    continue
                found = row(kind, rank, n, loss, given.beta, given.proof)
                with given.out.open("a") as file:
                    writer = csv.DictWriter(file, fieldnames=list(found))
                    if not there:
                        writer.writeheader()
                    writer.writerow(found)
                print({name: f"{value:.3g}" if isinstance(value, float) else value for name, value in found.items()}, flush=True)
    print(table(read(given.out)))


if __name__ == "__main__":
    main()
