"""Declarations that hold arrays: equal when the arrays are, and written to JSON as lists."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..declared import Declared


class HoldsArrays(Declared, abstract=True):
    """Base of frozen dataclasses with array fields, to be decorated with eq=False so that they keep these methods."""

    def to_dict(self) -> dict[str, Any]:
        """As every declaration, with the arrays as nested lists."""
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in super().to_dict().items()}

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        names = [f.name for f in dataclasses.fields(self)]  # type: ignore[arg-type]
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)

    def __hash__(self) -> int:
        values = [getattr(self, f.name) for f in dataclasses.fields(self)]  # type: ignore[arg-type]
        return hash(tuple((v.shape, v.tobytes()) if isinstance(v, np.ndarray) else v for v in values))


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """A read-only copy, so that what was declared stays as it was."""
    array = np.array(array, order="C")
    array.setflags(write=False)
    return array
