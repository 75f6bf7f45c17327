"""What networks with several outputs share: their predictions, their shapes, and what is proved of their classes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import Data, read_classes_of
from ..declared import number
from ..errors import InputError

Matrix = NDArray[np.float64]


def predicted(scores: Matrix, classifies: bool, classes: Matrix | None) -> Matrix:
    """What scores (n,) or (n, c) predict."""
    if classes is not None:
        return classes[scores.argmax(axis=1)]
    return np.where(scores >= 0, 1.0, -1.0) if classifies else scores


def flat(scores: Matrix) -> Matrix:
    """Scores (n,) or (n, c) as losses read them: one output after another, (n,) or (c n,)."""
    return np.ascontiguousarray(scores.T).reshape(-1)


def block_columns(columns: Sequence[Matrix]) -> Matrix:
    """(m, c) with each of the c vectors in a column and rows of its own."""
    sizes = [len(column) for column in columns]
    out = np.zeros((sum(sizes), len(columns)))
    out[np.arange(len(out)), np.repeat(np.arange(len(columns)), sizes)] = np.concatenate(columns)
    return out


def outputs_fit(output: Matrix, classes: Matrix | None) -> bool:
    """Whether output weights are those of one output, or have one column an output, as many as classes."""
    if classes is None:
        return output.ndim in (1, 2)
    return output.ndim == 2 and classes.shape == (output.shape[1],) and bool(np.isfinite(classes).all())


def same_outputs(data: Data, outputs: int, classes: Matrix | None) -> None:
    """An error when the targets are not those of a network with so many outputs."""
    if data.outputs != outputs or (data.classes is None) != (classes is None):
        own = f"{outputs} output{'s' * (outputs > 1)}" + ("" if classes is None else ", one a class")
        asked = f"{data.outputs}" + ("" if data.classes is None else ", one a class")
        raise InputError(f"The network has {own}; the loss and the targets ask for {asked}.")


def class_index(classes: Matrix, label: Any) -> int:
    """Where a label is among the classes."""
    at = np.flatnonzero(classes == number(label, "a class"))
    if not len(at):
        raise InputError(f"The network's classes are {', '.join(f'{c:g}' for c in classes)}; got {label!r}.")
    return int(at[0])


def certified_classes(network: Any, X: Any, y: Any, perturbation: Any, exact: bool, time_limit: float | None) -> NDArray[np.str_]:
    """`Network.certified` for classes: the margins of a label against every other class, each the output of one network."""
    started = time.perf_counter()
    assert network.classes is not None
    limit = None if time_limit is None else number(time_limit, "time_limit", above=0)
    labels = read_classes_of(y, len(network(X)), network.classes)
    features = network._features(X)
    out = np.where(network.predict(features) != labels, "falsified", "certified").astype("<U9")
    for label in np.unique(labels):
        for other in network.classes[network.classes != label]:
            at = np.flatnonzero((labels == label) & (out != "falsified"))
            if not len(at):
                break
            left = None if limit is None else max(limit - (time.perf_counter() - started), 1e-3)
            margin = network.between(label, other)
            # equal outputs count for the class that comes first
            found = margin.certified(features[at], np.ones(len(at)), perturbation, exact, left)
            out[at[found == "falsified"]] = "falsified"
            out[at[found == "unknown"]] = "unknown"
    return out
