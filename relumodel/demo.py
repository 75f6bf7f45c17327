"""`relumodel demo`: a two-layer ReLU network on scikit-learn's breast-cancer data, with a bound on every other network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import relumodel as rm

from .fit.result import Fit

Array = NDArray[np.float64]

SAMPLED = 50


@dataclass(frozen=True, eq=False)
class Split:
    """Data standardised with the training mean and deviation; labels -1 (malignant) and +1 (benign)."""

    X: Array
    y: Array
    X_test: Array
    y_test: Array


@dataclass(frozen=True, eq=False)
class Demo:
    """What the demo found. Printing it gives the report. sampled : the optimum of the program of random patterns."""

    fit: Fit
    sampled: rm.Solution
    train_accuracy: float
    test_accuracy: float

    def __str__(self) -> str:
        program = str(self.fit.program).splitlines()
        lines = [
            (
                "sampled",
                f"{self.sampled.objective:.8g} with {SAMPLED} random patterns, the optimum for these",
            ),
            ("accuracy", f"train {self.train_accuracy:.1%}, test {self.test_accuracy:.1%}"),
        ]
        own = "\n".join(f"{label:<10}  {text}" for label, text in lines)
        return "\n".join([*program[:3], str(self.fit), own])  # the problem's two lines and the data


def run(
    *,
    gap: float = 1e-2,
    seed: int = 0,
    beta: float = 5.0,
    backend: str = "auto",
    say: Callable[[str], None] = lambda line: None,
) -> Demo:
    """Train and measure; `say` is told what happens. gap : to every other network, as `rm.AdaptivePatterns` takes it.

    Ctrl-C returns the best network so far, with status "interrupted".
    Raises `rm.MissingPackageError` without scikit-learn.
    """
    data = breast_cancer()
    say(f"Breast-cancer data: {len(data.y)} training and {len(data.y_test)} test samples, {data.X.shape[1]} features.")
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(reduction="sum"), rm.WeightDecay(beta))
    adaptive = rm.AdaptivePatterns(gap=gap, seed=seed)
    say(f"One program of {SAMPLED} random activation patterns, for comparison.")
    sampled = model.compile(data.X, data.y, patterns=rm.SamplePatterns(SAMPLED, seed=seed)).solve(backend=backend)
    say(f"Training until no network is better by more than {gap:g} (Ctrl-C keeps the best so far).")
    fit = model.fit(data.X, data.y, patterns=adaptive, backend=backend, callback=lambda progress: say(str(progress)))
    train, test = _accuracy(fit.network, data.X, data.y), _accuracy(fit.network, data.X_test, data.y_test)
    return Demo(fit, sampled, train, test)


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


def _accuracy(network: rm.Network | rm.ThreeLayerNetwork, X: Array, y: Array) -> float:
    return float(np.mean((network(X) >= 0) == (y > 0)))
