"""Backend "torch" on the CPU against backend "admm" with method="admm", which does the same iterations in NumPy.

    OMP_NUM_THREADS=1 RELUMODEL_DATA=... python benchmarks/torch_engine.py [iterations]

Two tables. One iteration in CPU milliseconds against the matrix products that it does, float64 and float32, the best of many in turns with
the products: those of an iteration are recorded on tensors, and done again on the same arrays, alone. Gaussian data, squared loss, and the
robust hinge program of 600 images (600 x 147, 36 patterns) where $RELUMODEL_DATA has it. And a whole solve to a gap of 1e-3, looks at the
bound and the repair included, CPU seconds, medians of three, in turns.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from native_engine import cases
from torch.utils._python_dispatch import TorchDispatchMode

import relumodel as rm
from relumodel.program.arrays import Arrays
from relumodel.program.tensors import Tensors
from relumodel_admm.first_order import FirstOrder
from relumodel_torch.backend import TorchBackend

SIZES = ((569, 31, 50), (2000, 100, 100), (1797, 65, 100), (12000, 197, 50), (11809, 785, 24), (11809, 785, 96))


def in_turns(calls: list[Callable[[], object]], repeats: int) -> list[list[float]]:
    """The CPU seconds of each call."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for call, taken in zip(calls, times, strict=True):
            start = time.process_time()
            call()
            taken.append(time.process_time() - start)
    return times


class Products(TorchDispatchMode):
    """Keeps the factors of all products of matrices in inference mode, which leaves `matmul` whole."""

    def __init__(self) -> None:
        super().__init__()
        self.factors: list[tuple[Any, ...]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.ops.aten.matmul.default and max(factor.ndim for factor in args) > 1:
            self.factors.append(tuple(factor.detach().clone(memory_format=torch.preserve_format) for factor in args))
        return function(*args, **(kwargs or {}))


def products(program: rm.Program, dtype: str) -> list[tuple[Any, ...]]:
    """The factors of the products of one iteration."""
    splitting = FirstOrder(program, rm.Options(), Tensors(dtype), None).splitting
    with torch.inference_mode(), Products() as seen:
        splitting.step()
    return seen.factors


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

            theirs, ours = (float(np.median(taken)) for taken in in_turns([numpy_solve, torch_solve], 3))
            apart = abs(found["torch"].objective / found["admm"].objective - 1)
            iterations = f"{found['admm'].iterations}, {found['torch'].iterations}"
            cells = (iterations, f"{theirs:.2f}", f"{ours:.2f}", f"{ours / theirs:.2f}", f"{apart:.0e}")
            print(f"| {label}, {kind} | {' | '.join(cells)} |", flush=True)


def gaussian(n: int, d: int, P: int) -> rm.Program:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(reduction="sum"), rm.WeightDecay(1.0))
    return model.compile(X, np.sign(X[:, 0] * X[:, 1]), patterns=rm.SamplePatterns(P, seed=0))


def robust() -> dict[str, rm.Program]:
    folder = Path(os.environ.get("RELUMODEL_DATA", "")) / "cifar600_robust"
    if not folder.is_dir():
        print("(the robust program is left out: $RELUMODEL_DATA has no cifar600_robust)")
        return {}
    file = np.load(folder / "cifar600_robust.npz")
    model = rm.Model(
        rm.TwoLayer(rm.ReLU()), rm.Hinge(), rm.WeightDecay(float(file["beta"])), perturbation=rm.LInf(float(file["eps"]))
    )
    return {"robust, 600 x 147, 36": model.compile(file["X"], file["y"], patterns=rm.GivenPatterns(file["D"]))}


def iteration(label: str, program: rm.Program) -> None:
    for name, arrays in (
        ("NumPy", Arrays()),
        ("torch", Tensors()),
        ("NumPy, float32", Arrays("float32")),
        ("torch, float32", Tensors("float32")),
    ):
        splitting = FirstOrder(program, rm.Options(), arrays, None).splitting
        factors = products(program, arrays.dtype)
        if not isinstance(arrays, Tensors):
            factors = [tuple(factor.numpy() for factor in pair) for pair in factors]

        def multiply(factors: list[tuple[Any, ...]] = factors) -> None:
            for a, b in factors:
                a @ b

        in_turns([splitting.step, multiply], 3)
        step, needed = (min(taken) for taken in in_turns([splitting.step, multiply], 40))
        print(f"| {label} | {name} | {1e3 * step:.2f} | {1e3 * needed:.2f} | {step / needed:.2f} |", flush=True)


def main() -> None:
    torch.set_num_threads(1)
    print("| n x d, P | arrays | iteration, ms | its products, ms | ratio |\n|---|---|---|---|---|")
    with torch.inference_mode():
        for n, d, P in SIZES:
            iteration(f"{n} x {d}, {P}", gaussian(n, d, P))
        for label, program in robust().items():
            iteration(label, program)
    if "iterations" in sys.argv[1:]:
        return
    print()
    solves()


if __name__ == "__main__":
    main()
