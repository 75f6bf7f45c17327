"""Constraints on readings, and norms of readings: what is asked of the values of a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..declared import number
from ..errors import InputError
from ..functions.base import Function, Nonnegative, SampleLoss, ZeroIndicator
from ..functions.norms import NormExcess, norm_order
from ..functions.plq import PLQ
from ..functions.several import Mirrored
from .comparison import Comparison
from .terms import Term


@dataclass(frozen=True, eq=False, repr=False)
class Constraint(Comparison):
    """A reading that is "nonnegative", "nonpositive" or "zero", entry by entry, or whose "norm" is within a radius. text : how it prints.

    Hard constraints are kept to 1e-9 at the network that a fit returns; `solution.dual_of(constraint)` has their multipliers.
    """

    reading: Any
    kind: str
    text: str
    p: float = 2
    radius: float = 0.0
    key: object = field(default_factory=object)

    def function(self) -> Function:
        """The indicator, on the flat reading."""
        if self.kind == "norm":
            return NormExcess(self.p, self.radius, np.inf)
        one: dict[str, Function] = {"zero": ZeroIndicator(), "nonnegative": Nonnegative(), "nonpositive": Mirrored(Nonnegative())}
        return one[self.kind]

    def softened(self, weight: float) -> Function:
        """weight times the distance that bounds how far it is violated: exact at a large enough weight."""
        if self.kind == "norm":
            return NormExcess(self.p, self.radius, weight)
        m = self.reading.size
        slopes = {"zero": (-1.0, 1.0), "nonnegative": (-1.0, 0.0), "nonpositive": (0.0, 1.0)}[self.kind]
        loss = PLQ((0.0,), slopes, reduction="sum")
        return SampleLoss(loss, np.ones(m), np.zeros(m), np.full(m, weight))

    def violation(self, values: Any) -> float:
        """How far values (flat) of the reading leave it."""
        return float(self.function().violation(values))


@dataclass(frozen=True, eq=False)
class NormOf:
    """|reading|_p; `norm <= r` is a constraint, `c * norm` and `norm + ...` are terms."""

    reading: Any
    p: float

    @classmethod
    def of(cls, reading: Any, p: Any) -> NormOf:
        return cls(reading, norm_order(p))

    @property
    def text(self) -> str:
        """How it prints."""
        return f"|{self.reading.text}|_{'inf' if self.p == np.inf else f'{self.p:g}'}"

    def __le__(self, radius: Any) -> Constraint:
        r = number(radius, "The radius of a norm", low=0)
        return Constraint(self.reading, "norm", f"{self.text} <= {r:g}", self.p, r)

    def __ge__(self, other: Any) -> Constraint:
        raise InputError("A norm that is at least something is not a convex constraint; bound it from above, norm(...) <= r.")

    def __eq__(self, other: Any) -> Any:
        raise InputError("A norm that equals something is not a convex constraint; bound it from above, norm(...) <= r.")

    __hash__ = None  # type: ignore[assignment]

    def term(self) -> Term:
        """The norm as a term of the objective."""
        return Term(self.reading, NormExcess(self.p, 0.0, 1.0), self.text)

    def __add__(self, other: Any) -> Any:
        return self.term() + other

    __radd__ = __add__

    def __mul__(self, scale: Any) -> Any:
        return self.term() * scale

    __rmul__ = __mul__
