"""pyscnn's augmented-Lagrangian ReLU solver (Mishkin, Sahiner & Pilanci 2022) against `program.solve`, on the same programs.

    pip install --no-deps pyscnn linalg-backends && pip install opt_einsum tqdm
    OMP_NUM_THREADS=1 python benchmarks/pyscnn_comparison.py ["breast cancer" | "digits 2 v 8" | "Gaussian 2000 x 100"]

pyscnn: CPU seconds of its solver alone (imports, data conversion and our watching excluded) until the relative error of the objective
and the largest cone violation are, and stay, below 1e-3, over settings of precision, tolerance and first penalty strength. Ours: the whole
of `program.solve(tol=1e-3)`, which returns a feasible point with a proven gap. Its objective is |f - y|^2 / (2n) + lam sum |v|, so
lam = beta / n; its optional rescaling of the columns changes the penalty and is off; gates are our patterns' witnesses.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import contextlib
import logging
import sys
import time
from dataclasses import dataclass, field

import numpy as np
import scnn.private.interface as scnn
from native_engine import Array, cases, solved
from scnn.metrics import Metrics
from scnn.models import ConvexReLU
from scnn.regularizers import NeuronGL1
from scnn.solvers import AL

import relumodel as rm

LEVEL, BETA, LIMIT = 1e-3, 5.0, 60.0  # LIMIT: CPU seconds a setting may take; less once another one was faster
# precision, tolerance on the squared gradient norm, first penalty strength; pyscnn's own are float32, 1e-6, 1000
SETTINGS = [
    ("float64", 1e-6, 1000.0),
    ("float32", 1e-6, 1000.0),
    ("float64", 1e-6, 100.0),
    ("float64", 1e-8, 1000.0),
    ("float64", 1e-5, 1000.0),
    ("float64", 1e-6, 10000.0),
]


class WatchedEnoughError(Exception):
    """The watched run has shown what is asked of it."""


@dataclass
class Watch:
    """Times every iterate, without the time spent here, and judges it by our program."""

    program: rm.Program
    optimum: float
    limit: float
    order: Array  # (P,) position in the program of each pattern of pyscnn's model
    spent: float = 0.0
    first: float | None = None  # when both errors were below LEVEL for the first time
    held: float | None = None  # since when they are
    best: tuple[float, float, float] = (np.inf, np.inf, np.inf)  # the larger error, and both, at the best iterate
    iterations: int = 0
    clock: float = field(default_factory=time.process_time)

    def __call__(self, model: object, X: Array, y: Array) -> object:
        self.spent += time.process_time() - self.clock
        self.iterations += 1
        point = np.zeros(self.program.n_variables).reshape(2, -1, X.shape[1])
        point[:, self.order] = model.weights[:, 0]  # type: ignore[attr-defined]
        error = abs(self.program.objective(point.ravel()) / self.optimum - 1)
        violation = self.program.violation(point.ravel())
        self.best = min(self.best, (max(error, violation), error, violation))
        if max(error, violation) > LEVEL:
            self.held = None
        elif self.held is None:
            self.held = self.spent
            self.first = self.first or self.spent
        if (self.held is None and self.spent > self.limit) or (self.held and self.spent > 1.2 * self.held + 0.5):
            raise WatchedEnoughError
        self.clock = time.process_time()
        return model


def by_pyscnn(program: rm.Program, X: Array, y: Array, optimum: float, limit: float, setting: tuple[str, float, float]) -> Watch:
    """What `scnn.optimize.optimize_model` does, with a callback; X holds the ones column."""
    dtype, tol, delta = setting
    scnn.set_device("cpu", dtype, 778)
    public = ConvexReLU(program.inverse.found.witnesses.T)
    penalty = NeuronGL1(BETA / len(y))
    solver = AL(public, max_primal_iters=1_000_000, tol=tol, constraint_tol=1e-8)
    train, test, _ = scnn.process_data(X, y, None, None, unitize_data=False)
    model = scnn.build_internal_model(public, penalty, train[0])
    model.delta = delta / len(y)
    procedure = scnn.build_optimizer(solver, penalty, Metrics())
    procedure.metric_freq = 1_000_000
    where = {pattern.tobytes(): i for i, pattern in enumerate(program.patterns.T)}
    order = np.array([where[pattern.tobytes()] for pattern in np.asarray(model.D).T.astype(bool)])
    watch = Watch(program, optimum, limit, order)
    with contextlib.suppress(WatchedEnoughError):
        procedure(logging.getLogger("scnn"), model, lambda m: m, train, test, ([], [], []), callback=watch)
    return watch


def row(
    label: str, solver: str, setting: str, first: str, held: str, ratio: str, judged: tuple[float, float], iterations: int
) -> None:
    error, violation = judged
    print(
        f"| {label} | {solver} | {setting} | {first} | {held} | {ratio} | {error:.1e} | {violation:.1e} | {iterations} |",
        flush=True,
    )


def main() -> None:
    chosen = sys.argv[1:]
    print(
        "| case | solver | setting | first below, CPU s | stays below, CPU s | x ours | relative error | cone violation | iterations |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for label, (X, y) in cases(True).items():
        if chosen and label not in chosen:
            continue
        model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(reduction="sum"), rm.WeightDecay(BETA))
        program = model.compile(X, y, patterns=rm.SamplePatterns(50, seed=0))
        optimum = program.solve(tol=1e-8).objective
        ours, solution = solved(program, "auto", 3, tol=LEVEL)
        judged = (solution.objective / optimum - 1, solution.violation)
        described = f"tol 1e-3: proven gap {solution.gap:.0e}"
        row(label, f"relumodel, {solution.backend}", described, f"{ours:.2f}", f"{ours:.2f}", "1.0", judged, solution.iterations)
        ones, limit = np.column_stack([X, np.ones(len(X))]), LIMIT
        for setting in SETTINGS:
            watch = by_pyscnn(program, ones, y, optimum, limit, setting)
            limit = min(limit, watch.held or LIMIT)
            first = f"{watch.first:.1f}" if watch.first else f"not in {watch.spent:.0f}"
            held = f"{watch.held:.1f}" if watch.held else f"not in {watch.spent:.0f}"
            ratio = f"{watch.held / ours:.0f}" if watch.held else f"> {watch.spent / ours:.0f}"
            described = f"{setting[0]}, tol {setting[1]:.0e}, delta {setting[2]:.0f}"
            row(label, "pyscnn", described, first, held, ratio, watch.best[1:], watch.iterations)


if __name__ == "__main__":
    main()
