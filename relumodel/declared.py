"""What users declare: immutable, comparable, printable, and a JSON round trip, from the dataclass fields alone."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar, Self

import numpy as np

from .errors import InputError, InputTypeError


class Declared:
    """Base of every declared object. Subclasses are frozen dataclasses; their class name is their JSON type, unless they are
    declared `abstract=True`."""

    _kinds: ClassVar[dict[str, type[Declared]]] = {}

    def __init_subclass__(cls, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not abstract:
            Declared._kinds[cls.__name__] = cls

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary: the type's name and its fields, nested declarations included."""
        out: dict[str, Any] = {"type": type(self).__name__}
        for f in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, f.name)
            out[f.name] = value.to_dict() if isinstance(value, Declared) else value
        return out

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild what `to_dict` wrote. Raises `InputError` for an unknown type or field."""
        if not isinstance(data, dict) or "type" not in data:
            raise InputTypeError(f"from_dict needs a dictionary with a 'type' entry, as to_dict writes it; got {data!r}.")
        known = sorted(name for name, k in Declared._kinds.items() if issubclass(k, cls) and dataclasses.is_dataclass(k))
        if data["type"] not in known:
            raise InputError(f"Unknown type {data['type']!r} for {cls.__name__}; known: {', '.join(known)}.")
        kind = Declared._kinds[data["type"]]
        fields = dataclasses.fields(kind)  # type: ignore[arg-type]
        names = {f.name for f in fields}
        unknown = sorted(set(data) - names - {"type"}, key=str)
        if unknown:
            raise InputError(f"{kind.__name__} has no field {unknown[0]!r}; its fields are {', '.join(sorted(names)) or 'none'}.")
        needed = [f.name for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
        missing = [name for name in needed if name not in data]
        if missing:
            raise InputError(f"{kind.__name__} needs the field {missing[0]!r}, which {data!r} lacks.")
        values = {
            key: Declared.from_dict(value) if isinstance(value, dict) and "type" in value else value
            for key, value in data.items()
            if key != "type"
        }
        return kind(**values)  # type: ignore[return-value]


def number(value: Any, name: str, *, low: float | None = None, above: float | None = None, below: float | None = None) -> float:
    """A finite float in the stated range, or an error that says what was given and what is allowed."""
    if isinstance(value, bool | np.bool_ | complex) or not hasattr(value, "__float__") or np.ndim(value):
        raise InputTypeError(f"{name} must be a number; got {value!r}.")
    try:
        out = float(value)
    except OverflowError:
        out = math.inf
    except (TypeError, ValueError) as error:
        raise InputTypeError(f"{name} must be a number; got {value!r}.") from error
    wanted = [
        f">= {low:g}" if low is not None else "",
        f"> {above:g}" if above is not None else "",
        f"< {below:g}" if below is not None else "",
    ]
    allowed = " and ".join(w for w in wanted if w) or "finite"
    bad = not math.isfinite(out)
    bad |= low is not None and out < low
    bad |= above is not None and out <= above
    bad |= below is not None and out >= below
    if bad:
        raise InputError(
            f"{name} must be a finite number {allowed}; got {value!r}."
            if allowed != "finite"
            else f"{name} must be finite; got {value!r}."
        )
    return out


def whole(value: Any, name: str, *, low: int = 0) -> int:
    """A whole number >= low, or an error; NumPy integers count, booleans and floats do not."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or np.ndim(value):
        raise InputTypeError(f"{name} must be a whole number; got {value!r}.")
    out = value.__index__()
    if out < low:
        raise InputError(f"{name} must be a whole number >= {low}; got {value!r}.")
    return out
