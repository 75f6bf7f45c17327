"""What users declare: immutable, comparable, printable, and a JSON round trip, from the dataclass fields alone."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Self

from .errors import InputError, InputTypeError


class Declared:
    """Base of every declared object. Subclasses are frozen dataclasses; their class name is their JSON type."""

    _kinds: ClassVar[dict[str, type[Declared]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
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
        kind = Declared._kinds.get(data["type"])
        if kind is None or not issubclass(kind, cls):
            known = sorted(name for name, k in Declared._kinds.items() if issubclass(k, cls) and dataclasses.is_dataclass(k))
            raise InputError(f"Unknown type {data['type']!r} for {cls.__name__}; known: {', '.join(known)}.")
        names = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
        unknown = sorted(set(data) - names - {"type"})
        if unknown:
            raise InputError(f"{kind.__name__} has no field {unknown[0]!r}; its fields are {', '.join(sorted(names)) or 'none'}.")
        fields = {
            key: Declared.from_dict(value) if isinstance(value, dict) and "type" in value else value
            for key, value in data.items()
            if key != "type"
        }
        return kind(**fields)  # type: ignore[return-value]


def number(value: Any, name: str, *, low: float | None = None, above: float | None = None, below: float | None = None) -> float:
    """A finite float in the stated range, or an error that says what was given and what is allowed."""
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise InputTypeError(f"{name} must be a number; got {value!r}.")
    out = float(value)
    wanted = [f">= {low:g}" if low is not None else "", f"> {above:g}" if above is not None else "", f"< {below:g}" if below is not None else ""]
    allowed = " and ".join(w for w in wanted if w) or "finite"
    bad = out != out or out in (float("inf"), float("-inf"))
    bad |= low is not None and out < low
    bad |= above is not None and out <= above
    bad |= below is not None and out >= below
    if bad:
        raise InputError(f"{name} must be a finite number {allowed}; got {value!r}." if allowed != "finite" else f"{name} must be finite; got {value!r}.")
    return out


def whole(value: Any, name: str, *, low: int = 0) -> int:
    """A whole number >= low, or an error; NumPy integers count, booleans and floats do not."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InputTypeError(f"{name} must be a whole number; got {value!r}.")
    out = value.__index__()
    if out < low:
        raise InputError(f"{name} must be a whole number >= {low}; got {value!r}.")
    return out
