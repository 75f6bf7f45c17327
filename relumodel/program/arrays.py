"""Programs in another precision or array library: where the iteration's arrays live, and how those of a program get there."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Arrays:
    """NumPy arrays of one precision; `Tensors` are torch's."""

    dtype: str = "float64"

    def give(self, values: NDArray[Any]) -> Any:
        """The iteration's own array of these values: floats in its precision, integers as indices."""
        return values.astype(self.dtype, copy=False) if values.dtype.kind == "f" else values

    def take(self, values: Any) -> NDArray[np.float64]:
        """An array of the iteration as NumPy's, in float64."""
        return np.asarray(values, dtype=np.float64)


def converted(thing: Any, arrays: Arrays) -> Any:
    """`thing` with the arrays in its fields given to the iteration, those of dataclasses and tuples inside it too."""
    if isinstance(thing, np.ndarray):
        return arrays.give(thing)
    if isinstance(thing, tuple):
        return tuple(converted(part, arrays) for part in thing)
    if not dataclasses.is_dataclass(thing) or isinstance(thing, type):
        return thing
    old = {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing) if field.init}
    new = {name: converted(value, arrays) for name, value in old.items()}
    return thing if all(new[name] is old[name] for name in old) else dataclasses.replace(thing, **new)
