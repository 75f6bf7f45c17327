"""Boxes of inputs: where a network is read everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..data import as_array, read_features, same_names
from ..errors import InputError, InputTypeError

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Box:
    """All x with low <= x <= high, feature by feature, in the units of X.

    low, high : a number for all features, or one a feature, (d,); finite, low <= high. A feature with low == high is fixed.
    `Box.of(X)` is the smallest box that holds the rows of X, and keeps the names of its columns.
    Raises `InputError` / `InputTypeError` for what is not finite, of two lengths or the wrong way round.
    """

    low: Matrix
    high: Matrix
    names: tuple[str, ...] | None = None

    def __init__(self, low: Any, high: Any, names: tuple[str, ...] | None = None) -> None:
        ends = [_end(value, name) for value, name in ((low, "low"), (high, "high"))]
        try:
            both = [np.array(end) for end in np.broadcast_arrays(*ends)]
        except ValueError as error:
            raise InputError(f"low and high of a box have {ends[0].size} and {ends[1].size} entries; they must agree.") from error
        if (both[0] > both[1]).any():
            at = int(np.argmax(np.atleast_1d(both[0] > both[1])))
            raise InputError(
                f"A box has low <= high in every feature; feature {at} has low {np.atleast_1d(both[0])[at]:g} and "
                f"high {np.atleast_1d(both[1])[at]:g}."
            )
        for name, value in (("low", both[0]), ("high", both[1]), ("names", names)):
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, X: Any) -> Self:
        """The smallest box that holds the rows of X (n, d)."""
        points, names = read_features(X)
        return cls(points.min(axis=0), points.max(axis=0), names)

    def ends(self, d: int, names: tuple[str, ...] | None = None) -> tuple[Matrix, Matrix]:
        """low and high as (d,) each; an error where the box has another number of features, or others than `names`."""
        if self.low.ndim and self.low.shape != (d,):
            raise InputError(f"The box has {self.low.size} features and the network {d}; give low and high as one number or {d}.")
        same_names(self.names, names, " Take the box of the network's own columns.")
        return np.broadcast_to(self.low, (d,)).copy(), np.broadcast_to(self.high, (d,)).copy()

    def __str__(self) -> str:
        if not self.low.ndim:
            return f"[{self.low:g}, {self.high:g}] in every feature"
        if self.low.size <= 3:
            return " x ".join(f"[{a:g}, {b:g}]" for a, b in zip(self.low, self.high, strict=True))
        return f"a box of {self.low.size} features"

    def __repr__(self) -> str:
        return f"Box({self})"


def _end(value: Any, name: str) -> Matrix:
    if isinstance(value, str) or value is None:
        raise InputTypeError(f"{name} of a box must be a number or an array; got {value!r}.")
    try:
        out = np.asarray(as_array(value), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputTypeError(f"{name} of a box must be a number or an array; got {value!r}.") from error
    if out.ndim > 1 or not out.size:
        raise InputError(f"{name} of a box is a number or one a feature, (d,); got shape {out.shape}.")
    if not np.isfinite(out).all():
        raise InputError(f"{name} of a box holds NaN or infinite values; a network is read everywhere in bounded boxes only.")
    return out
