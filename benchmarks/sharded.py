"""Rows on several processes of one machine: what an iteration of ADMM takes, what of it is spent outside compute, and what crosses.

    RELUMODEL_DATA=... python benchmarks/sharded.py [samples] [patterns] [iterations timed] [repeats] | agreement

Fashion-MNIST (60 000 x 784, shirts of all kinds against the rest, pixels in [0, 1], bias), or Gaussian data without that folder; hinge loss. Every
process has one thread. In turns: one process with all rows, two with half of them each, joined by gloo. A time is the median over iterations,
and "outside compute" is what an iteration spends in sums over ranks, waiting for the other rank included. `agreement` compares iterates of one,
two and three processes, and solves of fewer samples, whose points are moved into their cones.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import relumodel as rm
from relumodel.backend import Options
from relumodel.program.ranks import SINGLE_PROCESS, Ranks
from relumodel.program.tensors import Tensors
from relumodel_admm.first_order import FirstOrder

SHIRTS = (0, 2, 4, 6)

#: Up to so many samples the agreement is that of whole solves.
FEW = 6000


def rows(samples: int, rank: int, size: int) -> tuple[Any, Any]:
    """This rank's share of the data."""
    first, last = samples * rank // size, samples * (rank + 1) // size
    path = Path(os.environ.get("RELUMODEL_DATA", "")) / "fashion_mnist" / "fashion_mnist_full.npz"
    if not path.is_file():
        X = np.concatenate([np.random.default_rng(k).standard_normal((1, 784)) for k in range(first, last)])
        return X, np.where(X[:, 0] * X[:, 1] > 0, 1.0, -1.0)
    with np.load(path) as file:
        images, labels = file["X_train"][first:last], file["y_train"][first:last]
    return images.reshape(last - first, -1) / 255.0, np.where(np.isin(labels, SHIRTS), 1.0, -1.0)


def program_of(samples: int, patterns: int, rank: int, size: int, group: Any) -> rm.Program:
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Hinge(), rm.WeightDecay(1e-3))
    return model.compile(*rows(samples, rank, size), patterns=rm.SamplePatterns(patterns, seed=0), group=group)


class Meter:
    """Seconds in sums over ranks, and bytes handed to them."""

    def __init__(self) -> None:
        self.seconds, self.sizes = 0.0, []  # type: float, list[int]
        reduced = Ranks._reduced

        def metered(ranks: Ranks, values: Any, operation: Any) -> Any:
            start = time.perf_counter()
            out = reduced(ranks, values, operation)
            self.seconds += time.perf_counter() - start
            self.sizes.append(getattr(values, "nbytes", 8))
            return out

        Ranks._reduced = metered  # type: ignore[method-assign]


def timed(samples: int, patterns: int, steps: int, rank: int, size: int, group: Any) -> dict[str, Any]:
    """Seconds of every iteration, those of them in sums, and the sums alone."""
    import torch

    meter, program = Meter(), program_of(samples, patterns, rank, size, group)
    with torch.inference_mode():
        first = FirstOrder(program, Options(), Tensors(), None)
        taken, outside = [], []
        for k in range(steps + 2):
            meter.seconds, meter.sizes = 0.0, []
            start = time.perf_counter()
            first.splitting.step()
            first._reason()
            if k >= 2:
                taken.append(time.perf_counter() - start)
                outside.append(meter.seconds)
        sizes, alone = list(meter.sizes), []
        for _ in range(30 if size > 1 else 0):
            tensors = [torch.zeros(bytes_ // 8, dtype=torch.float64) for bytes_ in sizes]
            start = time.perf_counter()
            for tensor in tensors:
                program.ranks.sum(tensor)
            alone.append(time.perf_counter() - start)
    return {"taken": taken, "outside": outside, "alone": alone, "sizes": sizes}


def agreement(samples: int, patterns: int, steps: int, rank: int, size: int, group: Any) -> dict[str, Any]:
    """What an iterate is worth; of few samples a solution."""
    import torch

    program, start = program_of(samples, patterns, rank, size, group), time.perf_counter()
    if samples > FEW:
        with torch.inference_mode():
            first = FirstOrder(program, Options(), Tensors(), None)
            for _ in range(steps):
                first.splitting.step()
            found: Any = first.look()
    else:
        found = program.solve(backend="torch", tol=1e-9, max_iter=steps)
    seconds = time.perf_counter() - start
    return {"objective": found.objective, "bound": found.bound, "violation": found.violation, "seconds": seconds}


def worker(what: str, samples: int, patterns: int, steps: int, rank: int, size: int, store: str) -> None:
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    group: Any = SINGLE_PROCESS
    if size > 1:
        dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=size)
        group = dist.group.WORLD
    measure = timed if what == "timed" else agreement
    print(json.dumps(measure(samples, patterns, steps, rank, size, group)))
    if size > 1:
        dist.destroy_process_group()


def launched(what: str, samples: int, patterns: int, steps: int, size: int) -> list[dict[str, Any]]:
    """What every one of `size` processes measures."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "worker", what, *map(str, (samples, patterns, steps))]
        processes = [
            subprocess.Popen([*command, str(rank), str(size), f"{folder}/store"], stdout=subprocess.PIPE, text=True)
            for rank in range(size)
        ]
        return [json.loads(process.communicate()[0]) for process in processes]


def table(samples: int, patterns: int, steps: int, repeats: int) -> None:
    print(f"{samples} samples, {patterns} patterns, {steps} iterations a run; load {os.getloadavg()[0]:.1f}", flush=True)
    print("| run | 1 process | 2 ranks | ratio | outside compute | sums alone | sent an iteration |\n|---|---|---|---|---|---|---|")
    for k in range(repeats):
        one = np.median(launched("timed", samples, patterns, steps, 1)[0]["taken"])
        two = launched("timed", samples, patterns, steps, 2)
        both = np.median([each["taken"] for each in two])
        shares = [np.array(each["outside"]) / np.array(each["taken"]) for each in two]
        alone, sent = np.median([each["alone"] for each in two]), sum(two[0]["sizes"])
        print(
            f"| {k + 1} | {one:.3f} s | {both:.3f} s | {one / both:.2f} | {' and '.join(f'{np.median(s):.1%}' for s in shares)} | "
            f"{1e3 * alone:.1f} ms ({alone / both:.1%}) | {len(two[0]['sizes'])} sums, {sent / 1e6:.2f} MB |",
            flush=True,
        )


def agreements(samples: int = 60_000, patterns: int = 20, steps: int = 20) -> None:
    print(f"{samples} samples, {patterns} patterns, {steps} iterations")
    found = {size: launched("agreement", samples, patterns, steps, size)[0] for size in (1, 2, 3)}
    for size, each in found.items():
        apart = each["objective"] / found[1]["objective"] - 1
        print(
            f"{size}: objective {each['objective']:.12g} ({apart:+.1e}), bound {each['bound']:.12g}, "
            f"violation {each['violation']:g}, {each['seconds']:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["worker"]:
        worker(arguments[1], *map(int, arguments[2:7]), arguments[7])  # type: ignore[arg-type]
    elif arguments[:1] == ["agreement"]:
        agreements(*map(int, arguments[1:]))
        agreements(FEW, 5, 100)
    else:
        table(*[*map(int, arguments), *(60_000, 20, 20, 3)[len(arguments) :]])
