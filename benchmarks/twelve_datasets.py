"""model.fit against ten restarts each of Adam and of L-BFGS at width 200, on twelve data sets and three losses.

    OMP_NUM_THREADS=1 RELUMODEL_DATA=... python benchmarks/twelve_datasets.py --out rows.csv [--beta 0.01] [--again]

Everyone minimises  mean loss + beta/2 sum_j (|u_j|^2 + a_j^2)  with a bias; every objective is `Network.objective` in float64 of the
network that was found. Each row is added to the CSV file as soon as it is there, and rows that are there are not run again, or with
--again only their model.fit is, against the restarts as they were; then the Markdown table of docs/benchmarks.md is printed. Seconds are
of CPU, one thread.

Missing features are filled with their medians, and features are standardised; images are averaged over 4 x 4 pixels (CIFAR 8 x 8).
Where there are more than SAMPLES samples, so many are drawn with a fixed seed. Diabetes is regression: its labels for hinge and logistic are above or below the median.

Both methods descend on the whole batch from the same ten starts (He's scale). Adam: all restarts at once, in single precision, 4000 steps,
first step sizes 0.03, 0.01 and 0.003 in turn, decayed to zero along a cosine. L-BFGS: torch's, in double precision, memory 20, strong
Wolfe line search, at most 1000 iterations a restart. Neurons are rescaled to |u_j| = |a_j| at the end, which changes no output and can only help.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import csv
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn import datasets

import relumodel as rm

Array = NDArray[np.float64]

SAMPLES, WIDTH, RESTARTS, STEPS, ITERATIONS = 250, 200, 10, 4000, 1000
RATES = (0.03, 0.01, 0.003)
#: model.fit ends with the round in which it has used so many seconds of CPU
LIMIT = 120.0

LOSSES: dict[str, tuple[rm.Hinge | rm.Logistic | rm.Squared, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]]] = {
    "hinge": (rm.Hinge(), lambda f, y: torch.relu(1 - y * f)),
    "logistic": (rm.Logistic(), lambda f, y: torch.nn.functional.softplus(-y * f)),
    "squared": (rm.Squared(), lambda f, y: 0.5 * (f - y) ** 2),
}


def stored(name: str, label: str = "y", positive: tuple[int, ...] = (1,)) -> tuple[Array, Array]:
    """Features and labels -1/+1 from RELUMODEL_DATA; incomplete samples left out."""
    file = np.load(Path(os.environ["RELUMODEL_DATA"]) / name / f"{name}.npz")
    kept = file["complete"] if "complete" in file else slice(None)
    return file["X"][kept].astype(float), np.where(np.isin(file[label][kept], positive), 1.0, -1.0)


def images(name: str, block: int = 4) -> tuple[Array, Array]:
    """Images as means over block x block pixels, the second class as +1."""
    file = np.load(Path(os.environ["RELUMODEL_DATA"]) / name / f"{name}.npz")
    pixels, labels = file["X_train"].astype(np.float32) / 255, file["y_train"]
    n, height, width = pixels.shape[:3]
    small = pixels.reshape(n, height // block, block, width // block, block, -1).mean(axis=(2, 4))
    return small.reshape(n, -1).astype(float), np.where(labels == labels.max(), 1.0, -1.0)


def pair_of_digits() -> tuple[Array, Array]:
    X, y = datasets.load_digits(return_X_y=True)
    kept = np.isin(y, (2, 8))
    return X[kept], np.where(y[kept] == 8, 1.0, -1.0)


def breast_cancer() -> tuple[Array, Array]:
    X, y = datasets.load_breast_cancer(return_X_y=True)
    return X, 2.0 * y - 1


DATA: dict[str, Callable[[], tuple[Array, Array]]] = {
    "balloons": lambda: stored("balloons"),
    "bridges (medium span)": lambda: stored("bridges_span"),
    "fertility": lambda: stored("fertility"),
    "breast tissue (first three)": lambda: stored("breast_tissue", positive=(0, 1, 2)),
    "acute inflammation": lambda: stored("acute", "y_inflammation"),
    "mammographic": lambda: stored("mammographic"),
    "diabetes": lambda: datasets.load_diabetes(return_X_y=True),
    "digits 2 v 8": pair_of_digits,
    "breast cancer": breast_cancer,
    "MNIST 2 v 8": lambda: images("mnist_2v8"),
    "Fashion pullover v bag": lambda: images("fashion_pullover_v_bag"),
    "CIFAR bird v ship": lambda: images("cifar10_bird_v_ship", block=8),
}


def load(name: str, labels: bool) -> tuple[Array, Array]:
    """At most SAMPLES samples, features standardised (constant ones dropped), labels -1/+1 or standardised targets."""
    X, y = DATA[name]()
    chosen = np.random.default_rng(0).permutation(len(y))[:SAMPLES]
    X, y = X[chosen], y[chosen].astype(float)
    X = np.where(np.isnan(X), np.nanmedian(X, axis=0), X)
    X = X[:, X.std(axis=0) > 0]
    if labels:
        y = np.where(y > np.median(y), 1.0, -1.0) if len(np.unique(y)) > 2 else y
    elif len(np.unique(y)) > 2:
        y = (y - y.mean()) / y.std()
    return (X - X.mean(axis=0)) / X.std(axis=0), y


def ours(model: rm.Model, X: Array, y: Array) -> dict[str, float | str | int]:
    started = time.process_time()
    result = model.fit(
        X, y, patterns=rm.AdaptivePatterns(gap=1e-4, starts=1000, seed=0), callback=lambda _: time.process_time() - started > LIMIT
    )
    return {
        "ours": result.network.objective(model, X, y),
        "bound": result.bound,
        "kind": result.bound_kind,
        "status": result.status,
        "neurons": result.network.n_neurons,
        "ours_s": time.process_time() - started,
    }


def starts(d: int, precision: torch.dtype) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(hidden (d, WIDTH), output (WIDTH,)) for every restart."""
    found = []
    for seed in range(RESTARTS):
        rng = torch.Generator().manual_seed(seed)
        hidden = torch.randn(d, WIDTH, generator=rng, dtype=torch.float64) * math.sqrt(2 / d)
        output = torch.randn(WIDTH, generator=rng, dtype=torch.float64) * math.sqrt(2 / WIDTH)
        found.append((hidden.to(precision).requires_grad_(), output.to(precision).requires_grad_()))
    return found


def adam(objective: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], d: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    found = starts(d, torch.float32)
    groups = [{"params": list(pair), "lr": RATES[k % len(RATES)]} for k, pair in enumerate(found)]
    optimizer = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        optimizer.zero_grad()
        objective(torch.stack([u for u, _ in found]), torch.stack([a for _, a in found])).sum().backward()
        optimizer.step()
        schedule.step()
    return found


def lbfgs(objective: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], d: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    found = starts(d, torch.float64)
    for hidden, output in found:
        optimizer = torch.optim.LBFGS(
            [hidden, output],
            max_iter=ITERATIONS,
            history_size=20,
            tolerance_grad=1e-10,
            tolerance_change=1e-13,
            line_search_fn="strong_wolfe",
        )

        def closure(pair: tuple[torch.Tensor, torch.Tensor] = (hidden, output), own: torch.optim.LBFGS = optimizer) -> torch.Tensor:
            own.zero_grad()
            value = objective(pair[0][None], pair[1][None])[0]
            value.backward()
            return value

        optimizer.step(closure)
    return found


def peer(method: Callable, name: str, model: rm.Model, X: Array, y: Array, loss: Callable) -> dict[str, float]:
    """The best and the median objective over the restarts, and the time of all of them."""
    exact = {torch.float64: torch.tensor(np.column_stack([X, np.ones(len(X)), y]))}
    exact[torch.float32] = exact[torch.float64].float()
    beta = model.penalty.beta

    def objective(hidden: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        """One value a restart: hidden (restarts, d, WIDTH), output (restarts, WIDTH)."""
        inputs, targets = exact[hidden.dtype][:, :-1], exact[hidden.dtype][:, -1]
        f = (torch.relu(inputs @ hidden) @ output[:, :, None])[:, :, 0]
        return loss(f, targets).mean(dim=1) + beta / 2 * (hidden.square().sum(dim=(1, 2)) + output.square().sum(dim=1))

    started = time.process_time()
    found = method(objective, X.shape[1] + 1)
    elapsed = time.process_time() - started
    values = [balanced(hidden, output).objective(model, X, y) for hidden, output in found]
    return {name: min(values), f"{name}_median": float(np.median(values)), f"{name}_s": elapsed}


def balanced(hidden: torch.Tensor, output: torch.Tensor) -> rm.Network:
    """The network, its neurons rescaled to |u_j| = |a_j|."""
    u, a = hidden.detach().double().numpy(), output.detach().double().numpy()
    sizes = np.linalg.norm(u, axis=0)
    scale = np.sqrt(np.abs(a) / np.where(sizes > 0, sizes, 1.0))
    live = (sizes > 0) & (a != 0)
    return rm.Network(rm.ReLU(), True, np.ascontiguousarray((u * scale)[:, live]), a[live] / scale[live])


def problem(name: str, loss: str, beta: float) -> tuple[rm.Model, Array, Array]:
    declared = LOSSES[loss][0]
    return rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), declared, rm.WeightDecay(beta)), *load(name, declared.reads == "margin")


def row(name: str, loss: str, beta: float) -> dict[str, float | str | int]:
    model, X, y = problem(name, loss, beta)
    found: dict[str, float | str | int] = {"data": name, "n": len(y), "d": X.shape[1], "loss": loss, "beta": beta}
    found |= ours(model, X, y)
    for method in (adam, lbfgs):
        found |= peer(method, method.__name__, model, X, y, LOSSES[loss][1])
    return found


def table(rows: list[dict[str, str]]) -> str:
    lines = [
        "| data | n x d | loss | model.fit | bound (kind) | gap | neurons | best Adam | best L-BFGS | ours below the best | s: ours, Adam, L-BFGS |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        own, bound = float(r["ours"]), float(r["bound"])
        best = min(float(r["adam"]), float(r["lbfgs"]))
        gap = (own - bound) / abs(own)
        times = ", ".join(f"{float(r[key]):.1f}" for key in ("ours_s", "adam_s", "lbfgs_s"))
        lines.append(
            f"| {r['data']} | {r['n']} x {r['d']} | {r['loss']} | {own:.7f} | {bound:.7f} ({r['kind']}) | {gap:.1e} | {r['neurons']} "
            f"| {float(r['adam']):.7f} | {float(r['lbfgs']):.7f} | {100 * (best - own) / best:+.4f} % | {times} |"
        )
    return "\n".join(lines)


def read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open() as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """All rows, by way of a second file: a run that is stopped loses none."""
    beside = path.with_suffix(".new")
    with beside.open("w") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    beside.replace(path)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, required=True, help="CSV file that holds the rows")
    arguments.add_argument("--beta", type=float, default=0.01)
    arguments.add_argument("--again", action="store_true", help="run model.fit again in the rows that are there")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    for name in DATA:
        for loss in LOSSES:
            rows = read(given.out)
            there = [r for r in rows if (r["data"], r["loss"], float(r["beta"])) == (name, loss, given.beta)]
            if there and not given.again:
                continue
            found = {**there[0], **ours(*problem(name, loss, given.beta))} if there else row(name, loss, given.beta)
            write(given.out, [found if r in there else r for r in rows] if there else [*rows, found])
            print({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in found.items()}, flush=True)
    print(table([r for r in read(given.out) if float(r["beta"]) == given.beta]))


if __name__ == "__main__":
    main()
