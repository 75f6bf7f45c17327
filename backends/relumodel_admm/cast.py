"""Terms in another precision or array library: every array of floats in a function or map, converted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np


def converted(thing: Any, convert: Callable[[np.ndarray], Any]) -> Any:
    """`thing` with `convert` applied to the float arrays in its fields, those of dataclasses and tuples inside it too."""
    if isinstance(thing, np.ndarray):
        return convert(thing) if thing.dtype.kind == "f" else thing
    if isinstance(thing, tuple):
        return tuple(converted(part, convert) for part in thing)
    if not dataclasses.is_dataclass(thing) or isinstance(thing, type):
        return thing
    old = {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing) if field.init}
    new = {name: converted(value, convert) for name, value in old.items()}
    return thing if all(new[name] is old[name] for name in old) else dataclasses.replace(thing, **new)
