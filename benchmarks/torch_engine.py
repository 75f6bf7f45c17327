"""Backend "torch" on the CPU against backend "admm" with method="admm", which does the same iterations in NumPy.

    OMP_NUM_THREADS=1 python benchmarks/torch_engine.py

Two tables. A whole solve to a gap of 1e-3, looks at the bound and the repair included, CPU seconds, medians of three, in turns. And one
iteration in CPU milliseconds against the matrix products that its two steps of conjugate gradients need (two products with X for all blocks
and two with X'), float64 and float32, medians of nine in turns with the products.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import time
from collections.abc import Callable

import numpy as np
import torch
from native_engine import cases

import relumodel as rm
from relumodel.program.arrays import Arrays
from relumodel.program.tensors import Tensors
from relumodel_admm.first_order import FirstOrder
from relumodel_torch.backend import TorchBackend


def in_turns(calls: list[Callable[[], object]], repeats: int) -> list[float]:
    """The median CPU seconds of each call."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for call, taken in zip(calls, times, strict=True):
            start = time.process_time()
            call()
            taken.append(time.process_time() - start)
    return [float(np.median(taken)) for taken in times]


def solves() -> None:
    print("| case | iterations | admm, CPU s | torch, CPU s | torch / admm | objectives differ by |\n|---|---|---|---|---|---|")
    losses = {"squared": rm.Squared(reduction="sum"), "logistic": rm.Logistic(reduction="sum")}
    for label, (X, y) in cases(True).items():
        for kind, loss in losses.items():
            program = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), loss, rm.WeightDecay(5)).compile(
                X, y, patterns=rm.SamplePatterns(50, seed=0)
            )
            found: dict[str, rm.Solution] = {}

            def numpy_solve(program: rm.Program = program, found: dict[str, rm.Solution] = found) -> None:
                found["admm"] = program.solve(backend="admm", method="admm", tol=1e-3, max_iter=2000)

            def torch_solve(program: rm.Program = program, found: dict[str, rm.Solution] = found) -> None:
                found["torch"] = program.solve(backend=TorchBackend(), tol=1e-3, max_iter=2000)

            theirs, ours = in_turns([numpy_solve, torch_solve], 3)
            apart = abs(found["torch"].objective / found["admm"].objective - 1)
            iterations = f"{found['admm'].iterations}, {found['torch'].iterations}"
            cells = (iterations, f"{theirs:.2f}", f"{ours:.2f}", f"{ours / theirs:.2f}", f"{apart:.0e}")
            print(f"| {label}, {kind} | {' | '.join(cells)} |", flush=True)


def iterations(n: int, d: int, P: int) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(reduction="sum"), rm.WeightDecay(1.0))
    program = model.compile(X, np.sign(X[:, 0] * X[:, 1]), patterns=rm.SamplePatterns(P, seed=0))
    for name, arrays in (("NumPy", Arrays()), ("torch", Tensors()), ("torch, float32", Tensors("float32"))):
        splitting = FirstOrder(program, rm.Options(), arrays, None).splitting
        U, S = (arrays.give(rng.standard_normal((2 * P, size))) for size in (d, n))
        mine = arrays.give(X)

        def products(U: object = U, S: object = S, mine: object = mine) -> None:
            for _ in range(2):
                U @ mine.T  # type: ignore[operator,attr-defined]
                S @ mine  # type: ignore[operator]

        for _ in range(3):
            splitting.step()
        step, needed = in_turns([splitting.step, products], 9)
        print(f"| {n} x {d}, {P} | {name} | {1e3 * step:.1f} | {1e3 * needed:.1f} | {step / needed:.2f} |", flush=True)


def main() -> None:
    torch.set_num_threads(1)
    with torch.inference_mode():
        print("| n x d, P | arrays | iteration, ms | its products, ms | ratio |\n|---|---|---|---|---|")
        for size in ((569, 31, 50), (2000, 100, 50), (11809, 784, 24), (11809, 784, 96)):
            iterations(*size)
    print()
    solves()


if __name__ == "__main__":
    main()
