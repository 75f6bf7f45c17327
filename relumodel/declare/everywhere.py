"""The network everywhere in a box: readings that may only be bounded, and the constraints that bounds make."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..declared import number, whole
from ..errors import InputError, InputTypeError
from .box import Box
from .comparison import Comparison
from .features import column_of


@dataclass(frozen=True, eq=False, repr=False)
class Everywhere(Comparison):
    """sign (value - level) >= 0 at every point of a box: of output `output`, or of its slope along `feature` where that is not None.

    box : None is the smallest one that holds the points of the problem's terms and constraints. Kept by `Problem.fit`, which proves it.
    """

    network: Any
    box: Box | None
    sign: float
    level: float
    output: int = 0
    feature: Any = None
    text: str = ""
    key: object = field(default_factory=object)

    def column(self, names: tuple[str, ...] | None, d: int) -> int:
        """The number of its feature among d columns with these names."""
        return column_of(self.feature, names, d, "slopes everywhere in a box")


@dataclass(frozen=True, eq=False)
class BoxReading:
    """What a network is at every point of a box: its outputs, or its slopes, one entry each of `entries`. Compare it with numbers."""

    network: Any
    box: Box
    entries: tuple[tuple[int, Any], ...]
    one: bool
    text: str

    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, key: Any) -> BoxReading:
        """Of one output or feature: `r[k]`, or `r[:, k]` as for points; features by name too."""
        if isinstance(key, tuple) and len(key) == 2 and key[0] == slice(None):
            key = key[1]
        if self.one:
            raise InputError(f"{self.text} is one number at every point of the box, without entries.")
        if isinstance(key, str) and self.slopes:
            chosen: tuple[int, Any] = (0, key)
        else:
            chosen = self.entries[whole(key, "An entry", high=len(self.entries) - 1)]
        return dataclasses.replace(self, entries=(chosen,), one=True, text=f"{self.text}[{key!r}]")

    @property
    def slopes(self) -> bool:
        """Whether it is of slopes."""
        return self.entries[0][1] is not None

    def _bounded(self, other: Any, sign: float) -> list[Everywhere]:
        levels = [other] * len(self.entries) if np.ndim(other) == 0 else list(other)
        if len(levels) != len(self.entries):
            raise InputError(f"{self.text} has {len(self.entries)} entries; it was compared with {len(levels)} numbers.")
        relation = ">=" if sign > 0 else "<="
        out = []
        for (output, feature), level in zip(self.entries, levels, strict=True):
            c = number(level, "What a network is compared with everywhere in a box")
            name = self.text if self.one else f"{self.text}[{feature if self.slopes else output!r}]"
            out.append(
                Everywhere(self.network, self.box, sign, c, output, feature, f"{name} {relation} {c:g}, everywhere in {self.box}")
            )
        return out

    def __ge__(self, other: Any) -> Any:
        made = self._bounded(other, 1.0)
        return made[0] if self.one else made

    def __le__(self, other: Any) -> Any:
        made = self._bounded(other, -1.0)
        return made[0] if self.one else made

    def _refused(self, *_: Any) -> Any:
        raise InputError(
            f"{self.text} is the network everywhere in a box, which may only be bounded by numbers: >= c or <= c. Read points for sums, "
            "matrices, equations, norms and losses: f(Z)."
        )

    __eq__ = __ne__ = __lt__ = __gt__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __matmul__ = __rmatmul__ = (
        _refused
    )
    __neg__ = __abs__ = __truediv__ = __pow__ = sum = mean = under = _refused

    def __bool__(self) -> bool:
        raise InputTypeError("A reading is not known before the problem is solved; it is neither true nor false.")

    def __repr__(self) -> str:
        return f"<Reading {self.text} everywhere in {self.box}>"


def read_box(network: Any, box: Box, outputs: int) -> BoxReading:
    """f(box): the values everywhere in it."""
    refuse_other(network, "f(box)")
    return BoxReading(network, box, tuple((k, None) for k in range(outputs)), outputs == 1, "f(x)")


def slopes_in_box(network: Any, box: Box, outputs: int) -> BoxReading:
    """f.gradient(box): the slopes everywhere in it."""
    refuse_other(network, "f.gradient(box)")
    if outputs != 1:
        raise InputError(f"f.gradient(box) is for networks with one output; this one has {outputs}.")
    if not box.low.ndim:
        raise InputError("f.gradient(box) needs a box with one low and high a feature, or rm.Box.of(X), to know the features.")
    return BoxReading(network, box, tuple((0, k) for k in range(box.low.size)), False, "gradient f(x)")


def refuse_other(network: Any, who: str) -> None:
    """An error for networks whose sides are not those of their own neurons."""
    if not network.shaped:
        raise InputError(f"{who} is for rm.TwoLayer networks of rm.ReLU() or rm.LeakyReLU(...); this is {network}.")
