"""Fashion-MNIST, ten classes: convex training by batches against Adam on the same networks and the same objective.

    RELUMODEL_DATA=folder python benchmarks/fashion_mnist.py gated relu polish --seed 0
    RELUMODEL_DATA=folder python benchmarks/fashion_mnist.py three --samples 10000
    RELUMODEL_DATA=folder python benchmarks/fashion_mnist.py gated relu polish three --quick
    python benchmarks/fashion_mnist.py table plot

60,000 training and 10,000 test images of 784 pixels, over 255 and less the mean of the training images; softmax cross entropy (mean),
weight decay, a bias. gated, relu : 40 sampled patterns, against Adam on a network of as many neurons, each with one output ("own"), gated
with the same gates. polish : Adam on 80 ReLU neurons that all outputs share, then convex training on the patterns of its neurons, started
there. three : 40 sampled sub-networks of 100 neurons (Ergen & Pilanci 2021, Figure 5), against Adam on as many that all outputs share, then
from there. Adam (float32, batches of 256, cosine decay) minimises loss plus penalty at two rates; its networks are brought to
their cheapest scaling, which changes no output. Every run adds a line to docs/fashion_mnist.csv, none with `--quick`; `table` prints their
means, `plot` draws docs/figures/fashion_mnist.png. Objectives are those of the networks on all training images, in float64; seconds
are CPU time of one thread.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import argparse
import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import relumodel as rm

Array = NDArray[Any]
Tensor = torch.Tensor

RUNS = Path(__file__).parent.parent / "docs" / "fashion_mnist.csv"
CLASSES = 10
RATES = (3e-3, 1e-2)
COLOURS = {"convex": "tab:red", "Adam": "tab:blue"}
KEY = ("network", "method", "neurons", "parameters", "beta", "samples", "epochs", "rate")
MEASURED = ("objective", "bound", "violation", "train", "test", "seconds")


@dataclass(frozen=True)
class Images:
    """Training and test images, float32, and their classes."""

    X: Array
    y: Array
    X_test: Array
    y_test: Array


@dataclass(frozen=True)
class Plan:
    """What the command line asks for. count : patterns or sub-networks.  width : neurons of a sub-network."""

    beta: float
    count: int
    width: int
    epochs: int
    adam: int
    seed: int
    batch: int
    keep: bool


def images(samples: int) -> Images:
    """The first `samples` images for training, all test images."""
    with np.load(Path(os.environ["RELUMODEL_DATA"]) / "fashion_mnist" / "fashion_mnist_full.npz", allow_pickle=False) as file:
        X, X_test = (file[f"X_{part}"].reshape(-1, 784).astype(np.float32) / 255 for part in ("train", "test"))
        y, y_test = (file[f"y_{part}"].astype(np.int64) for part in ("train", "test"))
    X, y = X[:samples], y[:samples]
    mean = X.mean(axis=0)
    return Images(X - mean, y, X_test - mean, y_test)


def parts(network: Any, n: int) -> list[slice]:
    """Rows in parts whose hidden values fit 256 MB."""
    step = max(1, 32_000_000 // network.hidden_weights[..., 0, :].size)
    return [slice(start, start + step) for start in range(0, n, step)]


def accuracy(network: Any, X: Array, y: Array) -> float:
    """Percent of classes right."""
    return 100 * sum(float((network.predict(X[at]) == y[at]).sum()) for at in parts(network, len(X))) / len(X)


def objective(network: Any, model: rm.Model, X: Array, y: Array) -> float:
    """`network.objective`, a mean over the samples plus the penalty, part by part."""
    return sum(network.objective(model, X[at], y[at]) * len(X[at]) for at in parts(network, len(X))) / len(X)


def record(plan: Plan, data: Images, network: Any, what: dict[str, Any]) -> None:
    """Print a run, and add it to the file."""
    free = network.hidden_weights.size + np.count_nonzero(network.output_weights)
    free += network.second_weights.size if isinstance(network, rm.ThreeLayerNetwork) else 0
    neurons = network.hidden_weights[..., 0, :].size
    sizes = {"neurons": neurons, "parameters": free, "beta": plan.beta, "samples": len(data.X)}
    scores = {"train": accuracy(network, data.X, data.y), "test": accuracy(network, data.X_test, data.y_test)}
    row = {"date": time.strftime("%Y-%m-%d"), "seed": plan.seed, **what, **sizes, **scores}
    print(", ".join(f"{name} {value:.6g}" if isinstance(value, float) else f"{value}" for name, value in row.items()), flush=True)
    if not plan.keep:
        return
    columns = ["date", "seed", *KEY, *MEASURED]
    new = not RUNS.exists()
    with RUNS.open("a", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow({name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()})


def convex(plan: Plan, data: Images, model: rm.Model, patterns: Any, name: str, start: Any = None) -> None:
    """Train by batches, from nothing or from a network whose patterns are given."""
    begun = time.process_time()
    program = model.compile_batches((data.X, data.y), patterns=patterns, batch_size=plan.batch)
    solution = program.solve(epochs=plan.epochs, seed=plan.seed, warm_start=start)
    seconds = time.process_time() - begun
    print(solution.message)
    measured = {"objective": solution.objective, "bound": solution.bound, "violation": solution.violation, "seconds": seconds}
    record(plan, data, solution.network(), {"network": name, "method": "convex", "epochs": solution.epochs, **measured})


def adam(
    plan: Plan, data: Images, weights: list[Tensor], f: Callable[..., Tensor], cost: Callable[..., Tensor], rate: float
) -> float:
    """Train the weights in place; CPU seconds."""
    X, y = (torch.from_numpy(part) for part in (data.X, data.y))
    X = torch.cat([X, torch.ones(len(X), 1)], dim=1)
    for weight in weights:
        weight.requires_grad_()
    optimiser = torch.optim.Adam(weights, lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, plan.adam * math.ceil(len(X) / 256))
    begun = time.process_time()
    for _ in range(plan.adam):
        for batch in torch.randperm(len(X)).split(256):
            optimiser.zero_grad()
            (torch.nn.functional.cross_entropy(f(X[batch]), y[batch]) + plan.beta / 2 * cost()).backward()
            optimiser.step()
            schedule.step()
    return time.process_time() - begun


def adam_two(plan: Plan, data: Images, model: rm.Model, neurons: int, own: bool, rate: float, gates: Any = None) -> rm.Network:
    """A two-layer network. own : every neuron has one output, ten neurons in a row the ten outputs; else all. gates : (P, d) or None."""
    torch.manual_seed(plan.seed)
    d = data.X.shape[1] + 1
    u = torch.randn(d, neurons) * d**-0.5
    a = torch.randn(neurons) * (CLASSES / neurons) ** 0.5 if own else torch.randn(neurons, CLASSES) * neurons**-0.5
    mask = torch.eye(CLASSES).repeat(neurons // CLASSES, 1) if own else torch.ones(neurons, CLASSES)
    fixed = None if gates is None else torch.from_numpy(gates.T).float()

    def out() -> Tensor:
        return a[:, None] * mask if own else a

    def f(x: Tensor) -> Tensor:
        if fixed is None:
            return torch.relu(x @ u) @ out()
        on = (x @ fixed >= 0).float()
        return ((x @ u).view(len(x), len(gates), -1) * on[:, :, None]).view(len(x), neurons) @ out()

    seconds = adam(plan, data, [u, a], f, lambda: (u**2).sum() + (out().abs().sum(dim=1) ** 2).sum(), rate)
    hidden, output = (part.detach().double().numpy() for part in (u, out()))
    norms, sums = np.linalg.norm(hidden, axis=0), np.abs(output).sum(axis=1)
    used = (norms > 0) & (sums > 0)
    scale = np.sqrt(sums[used] / norms[used])
    network = rm.Network(
        model.network.activation,
        True,
        np.ascontiguousarray(hidden[:, used] * scale),
        output[used] / scale[:, None],
        gates=None if gates is None else np.repeat(gates.T, neurons // len(gates), axis=1)[:, used].astype(np.float64),
        classifies=True,
        classes=np.arange(float(CLASSES)),
    )
    kind = "gated" if gates is not None else "ReLU"
    name = f"two layers, {kind}, {'own' if own else 'shared'}"
    what = {"network": name, "method": "Adam", "epochs": plan.adam, "rate": rate, "seconds": seconds}
    record(plan, data, network, {**what, "objective": objective(network, model, data.X, data.y)})
    return network


def adam_three(plan: Plan, data: Images, model: rm.Model, count: int, rate: float) -> rm.ThreeLayerNetwork:
    """`count` sub-networks, whose last layer has all outputs."""
    torch.manual_seed(plan.seed)
    d, m = data.X.shape[1] + 1, plan.width
    W1, w2, w3 = torch.randn(d, count * m) * d**-0.5, torch.randn(count, m) * m**-0.5, torch.randn(count, CLASSES) * count**-0.5

    def f(x: Tensor) -> Tensor:
        return torch.relu((torch.relu(x @ W1).view(len(x), count, m) * w2).sum(dim=2)) @ w3

    def cost() -> Tensor:
        inner = (W1**2).view(d, count, m).sum(dim=(0, 2)) * (w2**2).sum(dim=1)
        return inner.sum() + (w3.abs().sum(dim=1) ** 2).sum()

    seconds = adam(plan, data, [W1, w2, w3], f, cost, rate)
    hidden = W1.detach().double().numpy().reshape(d, count, m).transpose(1, 0, 2)
    second, output = w2.detach().double().numpy(), w3.detach().double().numpy()
    # a path costs least where its first two weights are equal, and a sub-network where they are as large as its last ones
    paths = np.linalg.norm(hidden, axis=1) * np.abs(second)
    columns = np.divide(
        hidden * np.abs(second)[:, None], np.sqrt(paths)[:, None], where=paths[:, None] > 0, out=np.zeros_like(hidden)
    )
    scale = np.sqrt(np.abs(output).sum(axis=1) / np.maximum(paths.sum(axis=1), 1e-30))[:, None]
    network = rm.ThreeLayerNetwork(
        True,
        np.ascontiguousarray(columns),
        np.sign(second) * np.sqrt(paths) * scale,
        output / scale,
        classifies=True,
        classes=np.arange(float(CLASSES)),
    )
    what = {"network": f"three layers, {count} x {m}, shared", "method": "Adam", "epochs": plan.adam, "rate": rate}
    record(plan, data, network, {**what, "seconds": seconds, "objective": objective(network, model, data.X, data.y)})
    return network


def best(networks: list[Any], model: rm.Model, data: Images) -> Any:
    """That of the lowest training objective."""
    return min(networks, key=lambda network: objective(network, model, data.X, data.y))


def two_layers(sigma: Any, beta: float) -> rm.Model:
    return rm.Model(rm.TwoLayer(sigma, bias=True), rm.SoftmaxCrossEntropy(), rm.WeightDecay(beta))


def gated(plan: Plan, data: Images) -> None:
    model, sampled = two_layers(rm.GatedReLU(), plan.beta), rm.SamplePatterns(plan.count, seed=plan.seed)
    convex(plan, data, model, sampled, "two layers, gated, own")
    gates = model.compile_batches((data.X, data.y), patterns=sampled).gates
    for rate in RATES:
        adam_two(plan, data, model, CLASSES * plan.count, True, rate, gates)


def relu(plan: Plan, data: Images) -> None:
    model = two_layers(rm.ReLU(), plan.beta)
    convex(plan, data, model, rm.SamplePatterns(plan.count, seed=plan.seed), "two layers, ReLU, own")
    for rate in RATES:
        adam_two(plan, data, model, 2 * CLASSES * plan.count, True, rate)


def polish(plan: Plan, data: Images) -> None:
    model = two_layers(rm.ReLU(), plan.beta)
    start = best([adam_two(plan, data, model, 2 * plan.count, False, rate) for rate in RATES], model, data)
    patterns = rm.PatternsOf(start)
    convex(plan, data, model, patterns, "two layers, ReLU, own, from Adam's shared", start)
    convex(plan, data, two_layers(rm.GatedReLU(), plan.beta), patterns, "two layers, gated, own, from Adam's shared", start)


def three(plan: Plan, data: Images) -> None:
    model = rm.Model(rm.ParallelThreeLayer(plan.width, bias=True), rm.SoftmaxCrossEntropy(), rm.WeightDecay(plan.beta))
    name = f"three layers, {plan.count} x {plan.width}, own"
    convex(plan, data, model, rm.SamplePatterns(plan.count, seed=plan.seed), name)
    start = best([adam_three(plan, data, model, plan.count, rate) for rate in RATES], model, data)
    convex(plan, data, model, rm.PatternsOf(start), f"{name}, from Adam's shared", start)


def read() -> list[list[dict[str, str]]]:
    """All runs, those that differ in the seed together; of the rates of Adam the one of the lowest mean objective."""
    with RUNS.open() as file:
        rows = list(csv.DictReader(file))
    kept: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for rate in dict.fromkeys(row["rate"] for row in rows):
        for key in dict.fromkeys(settings(row) for row in rows):
            group = [row for row in rows if row["rate"] == rate and settings(row) == key]
            if group and (key not in kept or mean(group, "objective") < mean(kept[key], "objective")):
                kept[key] = group
    return list(kept.values())


def settings(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in ("samples", "beta", "network", "method", "epochs"))


def table() -> None:
    """The means over the seeds."""
    print("| network | method | neurons | parameters | epochs | objective | bound | violation | train | test | CPU s | seeds |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for group in sorted(read(), key=lambda group: settings(group[0])):
        row = group[0]
        method = f"Adam, rate {row['rate']}" if row["rate"] else row["method"]
        bound = f"{mean(group, 'bound'):.4f} | {mean(group, 'violation'):.2g}" if row["bound"] else " | "
        sizes = f"{mean(group, 'neurons'):,.0f} | {mean(group, 'parameters'):,.0f} | {row['epochs']}"
        scores = f"{mean(group, 'train'):.1f} % | {spread(group, 'test')} | {mean(group, 'seconds'):.0f} | {len(group)}"
        name = row["network"] if row["samples"] == "60000" else f"{row['network']}, {row['samples']} samples"
        name += "" if row["beta"] == "0.0001" else f", beta {row['beta']}"
        print(f"| {name} | {method} | {sizes} | {spread(group, 'objective', 4)} | {bound} | {scores} |")


def spread(rows: list[dict[str, str]], name: str, digits: int = 2) -> str:
    """Mean and standard deviation."""
    deviation = f" ± {np.std([float(row[name]) for row in rows], ddof=1):.{digits}f}" if len(rows) > 1 else ""
    return f"{mean(rows, name):.{digits}f}{deviation}{'' if digits == 4 else ' %'}"


def plot() -> None:
    """docs/figures/fashion_mnist.png: objective and test accuracy of the two-layer networks on all images against CPU seconds. Training that
    starts at Adam's network counts Adam's seconds too."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    groups = [group for group in read() if settings(group[0])[:2] == ("60000", "0.0001") and group[0]["network"].startswith("two")]
    before = {group[0]["network"]: mean(group, "seconds") for group in groups}["two layers, ReLU, shared"]
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for group in groups:
        row = group[0]
        started = "from Adam" in row["network"]
        name = row["network"].removeprefix("two layers, ").replace(" own, from Adam's shared", "\nfrom Adam's")
        seconds = mean(group, "seconds") + (before if started else 0.0)
        for axis, what in zip(axes, ("objective", "test"), strict=True):
            axis.plot(seconds, mean(group, what), "o" if row["method"] == "convex" else "s", color=COLOURS[row["method"]])
            axis.annotate(name, (seconds, mean(group, what)), textcoords="offset points", xytext=(5, 4), fontsize=7)
    for axis, label in zip(axes, ("training objective, 60,000 images", "test accuracy, %"), strict=True):
        axis.set(xlabel="CPU s", ylabel=label)
        axis.margins(y=0.15)
        axis.set_xlim(0, 1.3 * axis.get_xlim()[1])
    for method, mark in (("convex", "o"), ("Adam", "s")):
        axes[0].plot([], [], mark, color=COLOURS[method], label=method)
    axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(RUNS.parent / "figures" / "fashion_mnist.png", dpi=150)


def mean(rows: list[dict[str, str]], name: str) -> float:
    return float(np.mean([float(row[name]) for row in rows]))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", nargs="+", choices=("gated", "relu", "polish", "three", "table", "plot"))
    arguments.add_argument("--samples", type=int, default=60_000)
    arguments.add_argument("--beta", type=float, default=1e-4)
    arguments.add_argument("--count", type=int, default=40, help="patterns, or sub-networks")
    arguments.add_argument("--width", type=int, default=100, help="neurons of a sub-network")
    arguments.add_argument("--epochs", type=int, default=10)
    arguments.add_argument("--adam", type=int, default=20, help="epochs of Adam")
    arguments.add_argument("--batch", type=int, default=1024, help="samples of a batch of the convex training")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--quick", action="store_true", help="small, and nothing is written")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    small = {"samples": 2000, "count": 10, "width": 5, "epochs": 3, "adam": 3, "batch": 256} if given.quick else {}
    chosen = {**vars(given), **small}
    plan = Plan(*(chosen[name] for name in ("beta", "count", "width", "epochs", "adam", "seed", "batch")), keep=not given.quick)
    for what in given.what:
        if what in ("table", "plot"):
            {"table": table, "plot": plot}[what]()
        else:
            {"gated": gated, "relu": relu, "polish": polish, "three": three}[what](plan, images(chosen["samples"]))


if __name__ == "__main__":
    main()
