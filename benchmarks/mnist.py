"""MNIST 2 against 8 (11 809 x 784, pixels in [0, 1], no bias, 24 patterns, squared loss (sum)) by the native engine's ADMM.

    OMP_NUM_THREADS=1 RELUMODEL_DATA=... python benchmarks/mnist.py [beta] [iterations ...] | widths

`widths`: test accuracy of iterates with more patterns and a bias. Otherwise two tables. `program.solve`: CPU seconds for each number of
iterations (moving the blocks into their cones included), training loss and accuracy on the 2006 test images of the network it returns, whose loss the program guarantees. And, as the published algorithm is counted in
benchmarks/mnist_published.py, the network of the iterate itself, blocks outside their cones and all, until its loss is below 223.2: with
four steps of conjugate gradients and the weights 0.03 of that algorithm (cones row by row 2.5 = 0.03 times the mean square of a row's norm).
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import resource
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import relumodel as rm
from relumodel.program.arrays import Arrays
from relumodel_admm.first_order import FirstOrder
from relumodel_admm.splitting import Splitting

Array = NDArray[np.float64]


def load(part: str) -> tuple[Array, Array]:
    """Images (n, 784) in [0, 1] and labels: -1 for a 2, +1 for an 8."""
    file = np.load(Path(os.environ["RELUMODEL_DATA"]) / "mnist_2v8" / "mnist_2v8.npz")
    return file[f"X_{part}"].reshape(-1, 784) / 255.0, np.where(file[f"y_{part}"] == 8, 1.0, -1.0)


def output(blocks: Array, X: Array) -> Array:
    """The network of blocks (v, then w), used as they are."""
    active = np.maximum(X @ blocks.T, 0.0)
    P = len(blocks) // 2
    return active[:, :P].sum(axis=1) - active[:, P:].sum(axis=1)


def accuracy(z: Array, y: Array) -> float:
    return 100 * float(np.mean(np.where(z >= 0, 1.0, -1.0) == y))


def published_weights(program: rm.Program) -> Splitting:
    splitting = FirstOrder(program, rm.Options(), Arrays(), 4).splitting
    weights = {"loss": 0.03, "penalty": 0.03, "cones": 2.5}
    splitting.weights = [weights[term.name] for term in program.terms]
    splitting.system.weigh(splitting.weights)
    return splitting


def widths(X: Array, y: Array, X_test: Array, y_test: Array, count: int = 14) -> None:
    """Test accuracy of the first iterates' networks, with a bias, for more patterns."""
    ones = np.hstack([X_test, np.ones((len(X_test), 1))])
    print("| patterns, seed | beta | CPU s | test accuracy %, iteration by iteration |\n|---|---|---|---|")
    for patterns, seed, beta in ((24, 0, 10.0), (24, 1, 10.0), (48, 0, 30.0), (96, 0, 3.0)):
        model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(reduction="sum"), rm.WeightDecay(beta))
        start, seen = time.process_time(), []
        splitting = published_weights(model.compile(X, y, patterns=rm.SamplePatterns(patterns, seed=seed)))
        for _ in range(count):
            splitting.step()
            seen.append(f"{accuracy(output(splitting.x.reshape(2 * patterns, -1), ones), y_test):.2f}")
        print(f"| {patterns}, {seed} | {beta:g} | {time.process_time() - start:.1f} | {', '.join(seen)} |", flush=True)


def iterates(program: rm.Program, X: Array, y: Array, X_test: Array, y_test: Array, level: float) -> None:
    """Iterations until the network of the iterate has a loss below `level`."""
    start = time.process_time()
    splitting = published_weights(program)
    spent = time.process_time() - start
    print(f"\nset-up {spent:.1f} s\n| iteration | CPU s | loss of the iterate's network | test accuracy % |\n|---|---|---|---|")
    loss, k = np.inf, 0
    while loss > level:
        k += 1
        start = time.process_time()
        splitting.step()
        spent += time.process_time() - start
        blocks = splitting.x.reshape(-1, X.shape[1])
        loss = 0.5 * float(((output(blocks, X) - y) ** 2).sum())
        print(f"| {k} | {spent:.1f} | {loss:.1f} | {accuracy(output(blocks, X_test), y_test):.2f} |", flush=True)


def main() -> None:
    if sys.argv[1:] == ["widths"]:
        widths(*load("train"), *load("test"))
        return
    beta = float(sys.argv[1]) if len(sys.argv) > 1 else 1e-3
    counts = [int(word) for word in sys.argv[2:]] or [100, 150]
    (X, y), (X_test, y_test) = load("train"), load("test")
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=False), rm.Squared(reduction="sum"), rm.WeightDecay(beta))
    start = time.process_time()
    program = model.compile(X, y, patterns=rm.SamplePatterns(24, seed=0))
    print(f"beta {beta:g}; compiled in {time.process_time() - start:.1f} s")
    print("| iterations | CPU s | training loss | objective | test accuracy % |\n|---|---|---|---|---|")
    for count in counts:
        start = time.process_time()
        solution = program.solve(backend="admm", tol=1e-3, max_iter=count)
        seconds = time.process_time() - start
        network = solution.network()
        loss = 0.5 * float(((network(X) - y) ** 2).sum())
        shown = f"{loss:.1f} | {solution.objective:.1f} | {accuracy(network(X_test), y_test):.2f}"
        print(f"| {count} | {seconds:.1f} | {shown} |", flush=True)
    iterates(program, X, y, X_test, y_test, 223.2)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


if __name__ == "__main__":
    main()
