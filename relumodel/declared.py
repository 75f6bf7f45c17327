"""What users declare: immutable, comparable, printable, and a JSON round trip, from the dataclass fields alone."""

from __future__ import annotations

import dataclasses
import math
import reprlib
from typing import Any, ClassVar, Self

import numpy as np

from .errors import InputError, InputTypeError

#: Nothing that is counted goes beyond this: widths, patterns, steps. What it asks of the memory is another question.
MOST = 2**31 - 1

_SHORT = reprlib.Repr()
_SHORT.maxlong = _SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxdict = 12


def shown(value: Any) -> str:
    """A value for a message: short, and whatever it is, also where its own repr fails or would not end."""
    try:
        return _SHORT.repr(value)
    except Exception:  # integers of thousands of digits have no text, and a user's own repr may do anything
        return f"a value of type {type(value).__name__}"


class Declared:
    """Base of every declared object. Subclasses are frozen dataclasses; their class name is their JSON type, unless they are
    declared `abstract=True`."""

    #: by name, the latest class of a name last: a notebook cell that is run again declares it anew
    _kinds: ClassVar[dict[str, list[type[Declared]]]] = {}

    def __init_subclass__(cls, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not abstract:
            Declared._kinds.setdefault(cls.__name__, []).append(cls)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary: the type's name and its fields, nested declarations included."""
        out: dict[str, Any] = {"type": type(self).__name__}
        for f in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, f.name)
            if value is None and f.metadata.get("omitted"):
                continue
            out[f.name] = value.to_dict() if isinstance(value, Declared) else value
        return out

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild what `to_dict` wrote. Raises `InputError` for an unknown type or field."""
        try:
            return cls._rebuilt(data)
        except RecursionError:
            raise InputError("from_dict was given a declaration that is nested too deeply.") from None

    @classmethod
    def _rebuilt(cls, data: Any) -> Self:
        if not isinstance(data, dict) or "type" not in data:
            raise InputTypeError(f"from_dict needs a dictionary with a 'type' entry, as to_dict writes it; got {shown(data)}.")
        of_kind = {
            name: k for name, kinds in Declared._kinds.items() for k in kinds if issubclass(k, cls) and dataclasses.is_dataclass(k)
        }
        known = sorted(of_kind)
        if data["type"] not in known:
            raise InputError(f"Unknown type {shown(data['type'])} for {cls.__name__}; known: {', '.join(known)}.")
        kind = of_kind[data["type"]]
        fields = dataclasses.fields(kind)  # type: ignore[arg-type]
        names = {f.name for f in fields}
        unknown = sorted(set(data) - names - {"type"}, key=str)
        if unknown:
            raise InputError(
                f"{kind.__name__} has no field {shown(unknown[0])}; its fields are {', '.join(sorted(names)) or 'none'}."
            )
        needed = [f.name for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
        missing = [name for name in needed if name not in data]
        if missing:
            raise InputError(f"{kind.__name__} needs the field {missing[0]!r}, which {shown(data)} lacks.")
        values = {
            key: Declared._rebuilt(value) if isinstance(value, dict) and "type" in value else value
            for key, value in data.items()
            if key != "type"
        }
        return kind(**values)  # type: ignore[return-value]


def number(value: Any, name: str, *, low: float | None = None, above: float | None = None, below: float | None = None) -> float:
    """A finite float in the stated range, or an error that says what was given and what is allowed."""
    if isinstance(value, bool | np.bool_ | complex) or not hasattr(value, "__float__") or np.ndim(value):
        raise InputTypeError(f"{name} must be a number; got {shown(value)}.")
    try:
        out = float(value)
    except OverflowError:
        out = math.inf
    except (TypeError, ValueError) as error:
        raise InputTypeError(f"{name} must be a number; got {shown(value)}.") from error
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
            f"{name} must be a finite number {allowed}; got {shown(value)}."
            if allowed != "finite"
            else f"{name} must be finite; got {shown(value)}."
        )
    return out


def whole(value: Any, name: str, *, low: int = 0, high: int | None = None) -> int:
    """A whole number >= low, and at most `high`, which is MOST for what is counted from 1; or an error. NumPy integers count, booleans and
    floats do not."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or np.ndim(value):
        raise InputTypeError(f"{name} must be a whole number; got {shown(value)}.")
    out = value.__index__()
    if out < low:
        raise InputError(f"{name} must be a whole number >= {low}; got {shown(value)}.")
    most = MOST if high is None and low > 0 else high
    if most is not None and out > most:
        raise InputError(f"{name} must be a whole number of at most {most:,}; got {shown(value)}.")
    return out
