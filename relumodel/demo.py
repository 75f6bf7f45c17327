"""`relumodel demo`: a two-layer ReLU network trained to a certified gap on scikit-learn's breast-cancer data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import relumodel as rm

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Split:
    """Data standardised with the training mean and deviation; labels -1 (malignant) and +1 (benign)."""

    X: Array
    y: Array
    X_test: Array
    y_test: Array


@dataclass(frozen=True, eq=False)
class Demo:
    """What the demo found. Printing it gives the report."""

    program: rm.Program
    solution: rm.Solution
    network: rm.Network
    train_accuracy: float
    test_accuracy: float

    def __str__(self) -> str:
        lines = [
            ("neurons", f"{self.network.n_neurons}"),
            ("accuracy", f"train {self.train_accuracy:.1%}, test {self.test_accuracy:.1%}"),
        ]
        own = "\n".join(f"{label:<10}  {text}" for label, text in lines)
        return f"{self.program}\n{self.solution}\n{own}"


def run(
    *,
    patterns: int = 50,
    seed: int = 0,
    beta: float = 5.0,
    backend: str = "auto",
    tol: float = 1e-6,
    say: Callable[[str], None] = lambda line: None,
    callback: Callable[[rm.Progress], object] | None = None,
) -> Demo:
    """Train and measure; `say` is told what happens, `callback` the backend's progress.

    Ctrl-C during the solve returns the best network so far, with status "interrupted".
    Raises `rm.MissingPackageError` without scikit-learn.
    """
    data = breast_cancer()
    say(f"Breast-cancer data: {len(data.y)} training and {len(data.y_test)} test samples, {data.X.shape[1]} features.")
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(reduction="sum"), rm.WeightDecay(beta))
    say(f"Compiling with {patterns} sampled activation patterns.")
    program = model.compile(data.X, data.y, patterns=rm.SamplePatterns(patterns, seed=seed))
    say(f"Solving {program.n_variables} variables (Ctrl-C keeps the best so far).")
    solution = program.solve(backend=backend, tol=tol, callback=callback)
    network = solution.network()
    train, test = _accuracy(network, data.X, data.y), _accuracy(network, data.X_test, data.y_test)
    return Demo(program, solution, network, train, test)


def breast_cancer() -> Split:
    """scikit-learn's breast-cancer data (it comes with the package), split 75/25, stratified."""
    try:
        from sklearn.datasets import load_breast_cancer
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise rm.MissingPackageError(
            "The demo takes its data from scikit-learn, which is not installed: pip install 'relumodel[demo]'"
        ) from error
    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, 2.0 * y - 1.0, test_size=0.25, stratify=y, random_state=0)
    mean, deviation = X_train.mean(axis=0), X_train.std(axis=0)
    return Split((X_train - mean) / deviation, y_train, (X_test - mean) / deviation, y_test)


def _accuracy(network: rm.Network, X: Array, y: Array) -> float:
    return float(np.mean((network(X) >= 0) == (y > 0)))
