"""What the processes of one group do in the tests of sharded programs. They are forked from one that has imported what they need.

    python ranks_at_work.py FOLDER SCENARIO:SIZE ...

Scenarios are played one after the other, each with so many processes. Every rank writes what came out to FOLDER/SCENARIO-R.json.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from datetime import timedelta
from pathlib import Path

import numpy as np

import relumodel as rm
import relumodel_admm.checkpoint
import relumodel_admm.first_order
from relumodel.trained.network import Network

LIMIT = timedelta(seconds=600)
HERE = Path(__file__).parent


def features(n=61, d=3):
    """Rows with repetitions, a row of zeros and a column of zeros."""
    X = np.random.default_rng(0).standard_normal((n, d))
    X[1], X[2], X[:, -1] = X[0], 0.0, 0.0
    return X


X = features()
SIGNS = np.where(np.arange(len(X)) < 40, 1.0, -1.0)  # the first rank of three has one class only
NUMBERS = X[:, 0] * X[:, 1]
CLASSES = (np.arange(len(X)) >= 40).astype(float) + (np.arange(len(X)) >= 50)
WEIGHTS = np.arange(len(X)) % 3.0
SAMPLE, FEW = rm.SamplePatterns(5, seed=0), rm.SamplePatterns(3, seed=0)
NETWORK = Network(rm.ReLU(), False, np.random.default_rng(1).standard_normal((3, 4)), np.array([1.0, -1.0, 0.5, 2.0]))
DECAY, PATH = rm.WeightDecay(1e-2), rm.PathNorm(1e-2)

#: loss, penalty, activation, bias, targets, sample weights, patterns, steps of conjugate gradients instead of a factorisation
CASES = {
    "hinge": (rm.Hinge(), DECAY, rm.ReLU(), True, SIGNS, None, FEW, False),
    "absolute, path norm, leaky": (rm.Absolute(reduction="sum"), PATH, rm.LeakyReLU(0.1), True, NUMBERS, None, FEW, True),
    "squared, weights": (rm.Squared(), DECAY, rm.ReLU(), True, NUMBERS, WEIGHTS, FEW, True),
    "logistic, gated": (rm.Logistic(), DECAY, rm.GatedReLU(), False, SIGNS, WEIGHTS, FEW, False),
    "softmax": (rm.SoftmaxCrossEntropy(), DECAY, rm.ReLU(), True, CLASSES, None, FEW, False),
    "margin": (rm.MultiMargin(), PATH, rm.ReLU(), True, CLASSES, WEIGHTS, FEW, True),
    "two outputs": (rm.Huber(0.3), DECAY, rm.ReLU(), True, np.stack([NUMBERS, X[:, 1]], axis=1), None, FEW, True),
    "patterns of a network": (rm.SquaredHinge(), DECAY, rm.ReLU(), False, SIGNS, None, rm.PatternsOf(NETWORK), False),
    "zero is optimal": (rm.Squared(), rm.WeightDecay(100.0), rm.ReLU(), True, NUMBERS, None, FEW, False),
}

#: Of these three ranks are asked; of all of them two.
THREE = ("softmax", "patterns of a network")


def model(loss, penalty, activation, bias):
    return rm.Model(rm.TwoLayer(activation, bias=bias), loss, penalty)


def compiled(name, at=slice(None), **group):
    *declared, y, weights, patterns, iterative = CASES[name]
    relumodel_admm.first_order.DENSE = 0 if iterative else 600
    return model(*declared).compile(X[at], y[at], patterns, None if weights is None else weights[at], **group)


def solved(program, **options):
    return program.solve(backend="torch", **{"tol": 1e-12, "max_iter": 20, **options})


def told(program, solution):
    """What ranks and one process must have alike, and the rows of patterns that are here."""
    network = solution.network()
    return {
        "point": solution.point.tolist(),
        "objective": solution.objective,
        "bound": solution.bound,
        "violation": solution.violation,
        "iterations": solution.iterations,
        "status": solution.status,
        "constraints": program.n_constraints,
        "at": [program.objective(solution.point), program.violation(solution.point - 1.0)],
        "patterns": program.patterns.astype(int).tolist(),
        "neurons": network.hidden_weights.tolist(),
        "message": solution.message,
    }


def words(work):
    """What an error says; other ranks must have got one too."""
    try:
        work()
    except rm.RelumodelError as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def rows_of(rank, size):
    cuts = [0, *(len(X) * (r + 1) // size + 3 for r in range(size - 1)), len(X)]
    return slice(cuts[rank], cuts[rank + 1])


def agreement(rank, size, group, folder):
    """Every look costs dozens of sums over ranks, which are slow on a machine with fewer cores than ranks: one at the end will do."""
    looks, relumodel_admm.first_order.LOOKS = relumodel_admm.first_order.LOOKS, ()
    out = {}
    for name in CASES if size == 2 else THREE:
        program = compiled(name, rows_of(rank, size), group=group)
        out[name] = told(program, solved(program))
    if size == 3:
        return out
    program = compiled("squared, weights", rows_of(rank, size), group=group)
    first = solved(program)
    out["warm"] = told(program, solved(program, warm_start=first, max_iter=5))
    other = program.with_penalty(1e-3)
    out["path"] = told(other, solved(other))
    out["printed"] = str(program)
    relumodel_admm.first_order.LOOKS = looks
    return out


def two_ranks(rank, size, group, folder):
    return {**agreement(rank, size, group, folder), **stops(rank, size, group), **errors(rank, size, group, folder)}


def nccl(rank, size, group, folder):
    out = {}
    for name in THREE:
        program = compiled(name, rows_of(rank, size), group=group)
        out[name] = told(program, solved(program, device=f"cuda:{rank}"))
    return out


def stops(rank, size, group):
    program = compiled("hinge", rows_of(rank, size), group=group)
    last = rank == size - 1

    def ctrl_c(progress):
        if last and progress.iteration >= 10:
            signal.raise_signal(signal.SIGINT)

    out = {
        "callback": solved(program, max_iter=500, callback=lambda progress: last and progress.iteration >= 20),
        "ctrl-c": solved(program, max_iter=500, callback=ctrl_c),
        "clock": solved(program, max_iter=10**6, time_limit=0.1),
        "auto": program.solve(tol=1e-12, max_iter=1),
    }
    with redirect_stdout(io.StringIO()) as shown, redirect_stderr(shown):
        solved(program, verbose=True, max_iter=1)
    return {"shown": shown.getvalue(), **{name: {"told": told(program, s), "backend": s.backend} for name, s in out.items()}}


def errors(rank, size, group, folder):
    import torch.distributed as dist

    last, at = rank == size - 1, rows_of(rank, size)
    hinge, squared = (model(loss, DECAY, rm.ReLU(), True) for loss in (rm.Hinge(), rm.Squared()))
    program = compiled("hinge", at, group=group)

    def fails(progress):
        if last:
            raise ZeroDivisionError("in the callback")

    def compile(declared=hinge, features=X[at], y=SIGNS[at], patterns=SAMPLE, weights=None, group=group):
        return declared.compile(features, y, patterns, weights, group)

    three = rm.Model(rm.ParallelThreeLayer(width=2), rm.Squared(), DECAY)
    worst = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge(), DECAY, rm.LInf(0.1))
    polynomial = rm.Model(rm.TwoLayer(rm.Polynomial()), rm.Squared(), DECAY)
    own = [dist.new_group([r]) for r in range(size)]
    checks = {
        "features": lambda: compile(features=X[at, : 2 if last else 3]),
        "models": lambda: compile(squared if last else hinge),
        "seeds": lambda: compile(patterns=rm.SamplePatterns(5, seed=rank)),
        "counts": lambda: compile(patterns=rm.SamplePatterns(5 + rank)),
        "no rows": lambda: compile(features=X[at][: 0 if last else None], y=SIGNS[at][: 0 if last else None]),
        "no weights": lambda: compile(weights=np.zeros(len(X[at])) if last else np.ones(len(X[at]))),
        "nan": lambda: compile(features=np.where(last, np.nan, X[at])),
        "one class": lambda: compile(y=np.ones(len(X[at]))),
        "one label": lambda: compile(model(rm.MultiMargin(), DECAY, rm.ReLU(), True), y=np.ones(len(X[at]))),
        "too many": lambda: compile(features=np.ones((len(X[at]), 1)), patterns=rm.SamplePatterns(50)),
        "enumerated": lambda: compile(patterns=rm.EnumeratePatterns()),
        "adaptive": lambda: compile(patterns=rm.AdaptivePatterns()),
        "no source": lambda: compile(patterns=None),
        "perturbed": lambda: compile(worst),
        "three layers": lambda: compile(three),
        "polynomial": lambda: compile(polynomial),
        "no group": lambda: compile(group=None),
        "not a group": lambda: compile(group="gloo"),
        "no member": lambda: compile(group=own[(rank + 1) % size]),
        "clarabel": lambda: program.solve(backend="clarabel"),
        "admm": lambda: program.solve(backend="admm"),
        "conic": lambda: program.conic(),
        "pickle": lambda: pickle.dumps(program),
        "write": lambda: program.write(folder / "p.cbf"),
        "tolerances": lambda: program.solve(backend="torch", tol=10.0 ** -(rank + 3)),
        "bad tolerance": lambda: program.solve(backend="torch", tol=-1.0 if last else 1e-3),
        "steps": lambda: program.solve(backend="torch", cg_steps=rank + 1),
        "device": lambda: program.solve(backend="torch", device="tpu" if last else "cpu"),
        "one checkpoint": lambda: solved(program, checkpoint=folder / "good" if last else None),
        "checkpoint": lambda: program.solve(backend="torch", checkpoint=__file__ if last else folder / "good"),
    }
    out = {f"error: {name}": words(check) for name, check in checks.items()}
    try:
        out["error: callback"] = words(lambda: program.solve(backend="torch", callback=fails, tol=1e-12))
    except ZeroDivisionError as error:
        out["error: callback"] = f"itself: {error}"
    alone = compiled("hinge", group=own[rank])
    out["alone"] = told(alone, solved(alone))
    out["alone, clarabel"] = alone.solve(backend="clarabel").status
    return out


def checkpointed(rank, size, group, folder, callback=None):
    """A solve that writes a checkpoint at every look."""
    relumodel_admm.checkpoint.PAUSE = 0.0
    program = compiled("two outputs", rows_of(rank, size), group=group)
    return program, solved(program, max_iter=60, checkpoint=folder / "checkpoint", callback=callback)


def killed(rank, size, group, folder):
    """The last rank is killed in the middle of the second output."""

    def kill(progress):
        if rank == size - 1 and progress.iteration >= 60 + 40:
            os.kill(os.getpid(), signal.SIGKILL)

    return {"error": words(lambda: checkpointed(rank, size, group, folder, kill)), "files": files(folder)}


def files(folder):
    return sorted(path.name for path in (folder / "checkpoint").iterdir())


def resumed(rank, size, group, folder):
    program, solution = checkpointed(rank, size, group, folder)
    other = compiled("hinge", rows_of(rank, size), group=group)
    out = {"resumed": told(program, solution), "other": words(lambda: solved(other, checkpoint=folder / "checkpoint"))}
    alone = words(lambda: solved(compiled("hinge"), checkpoint=folder / "checkpoint"))
    return out | {"files": files(folder), "alone": alone}


def work(scenario, rank, size, folder):
    import torch
    import torch.distributed as dist

    if scenario == "nccl":
        torch.cuda.set_device(rank)
    carrier = "nccl" if scenario == "nccl" else "gloo"
    dist.init_process_group(carrier, init_method=f"file://{folder}/store-{scenario}", rank=rank, world_size=size, timeout=LIMIT)
    out = globals()[scenario](rank, size, dist.group.WORLD, folder)
    (folder / f"{scenario}-{rank}.json").write_text(json.dumps(out))
    dist.destroy_process_group() if scenario != "killed" else os._exit(0)


def main(folder, *played):
    import torch

    torch.set_num_threads(1)
    for scenario, size in (each.split(":") for each in played):
        children = []
        for rank in range(int(size)):
            child = os.fork()
            if child == 0:
                work(scenario, rank, int(size), Path(folder))
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
