"""What a saved network holds, and what may stand there: the header is a contract, checked entry by entry before a network is made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import LARGEST

#: The largest value of a layer at features within -1 and 1: a product of two numbers as large as training takes. So values, and their
#: squares, are finite at every sample that training takes.
BEYOND = LARGEST**2

#: The arrays that a saved network may have.
ARRAYS = ("header", "hidden_weights", "second_weights", "output_weights", "gates", "classes")


def check_header(header: Any, entries: tuple[str, ...]) -> None:
    """Raise ValueError unless the header has exactly these entries, of the right types."""
    if not isinstance(header, dict) or header.keys() != {"format", *entries}:
        raise ValueError(f"its header does not hold {', '.join(entries)}, and these alone")
    for name in ("bias", "classifies"):
        if not isinstance(header[name], bool):
            raise ValueError(f"{name} in its header is not true or false")
    names = header["feature_names"]
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise ValueError("feature_names in its header is no list of names")


def check_arrays(arrays: dict[str, NDArray[Any]], needed: tuple[str, ...]) -> None:
    """Raise ValueError unless these arrays are there, with classes or without and no others, all of them finite float64."""
    missing, strange = set(needed) - arrays.keys(), arrays.keys() - {*needed, "classes"}
    if missing or strange:
        raise ValueError(
            f"it lacks {', '.join(sorted(missing))}" if missing else f"a network of this kind has no {', '.join(sorted(strange))}"
        )
    for name, array in arrays.items():
        if array.dtype != np.float64 or not np.isfinite(array).all():
            raise ValueError(f"its {name} are not finite float64 numbers")


def check_sizes(features: int, names: tuple[str, ...] | None, output: NDArray[Any], classes: NDArray[Any] | None) -> None:
    """Raise ValueError where the features, their names, the outputs and the classes do not fit together."""
    if features < 1:
        raise ValueError("it has no features")
    if names is not None and (len(names) != features or len(set(names)) != features):
        raise ValueError(f"it has {len(names)} feature names, {len(set(names))} of them distinct, and {features} features")
    if output.ndim == 2 and output.shape[1] < 1:
        raise ValueError("it has no outputs")
    if classes is not None and len(np.unique(classes)) != classes.size:
        raise ValueError("its classes are not distinct")


@np.errstate(over="ignore", invalid="ignore")  # what overflows is what is looked for
def check_values(*layers: Callable[[Any], Any]) -> None:
    """Raise ValueError unless the values of all layers, and what they are computed from, are within `BEYOND` at features within -1 and 1:
    weights that are finite may have products that overflow when the network is used. layers : from the largest absolute values that the
    layer before can have (1, the features, for the first) to its own."""
    values: Any = 1.0
    for layer in layers:
        values = layer(values)
        if not (values <= BEYOND).all():
            raise ValueError(
                f"it cannot be evaluated: products of its weights overflow, or are beyond {BEYOND:g} at features within 1"
            )
