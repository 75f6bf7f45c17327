"""Terms of an objective: losses and norms of readings, which add to each other and to penalties and scale by numbers >= 0."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ..declared import number
from ..errors import InputTypeError
from ..functions.base import Function
from ..functions.penalties import Penalty
from ..functions.several import scaled


@dataclass(frozen=True, eq=False)
class Term:
    """scale * function(reading). loss : the declared loss it comes from, or None."""

    reading: Any
    function: Function
    text: str
    scale: float = 1.0
    loss: Any = None

    def bound(self) -> Function:
        """The function with its scale."""
        return scaled(self.function, self.scale)

    def __mul__(self, scale: Any) -> Term:
        return dataclasses.replace(self, scale=self.scale * number(scale, "The scale of a term", low=0))

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Objective:
        return Objective((self,), ()) + other

    __radd__ = __add__

    def __str__(self) -> str:
        return self.text if self.scale == 1 else f"{self.scale:g} {self.text}"

    def __repr__(self) -> str:
        return f"<Term {self}>"


@dataclass(frozen=True, eq=False)
class Objective:
    """A sum of terms and at most one penalty."""

    terms: tuple[Term, ...]
    penalties: tuple[Penalty, ...]

    @classmethod
    def of(cls, part: Any) -> Objective:
        """A term, norm, penalty or sum as a sum."""
        if isinstance(part, Objective):
            return part
        if isinstance(part, Penalty):
            return cls((), (part,))
        if hasattr(part, "term"):
            part = part.term()
        if isinstance(part, Term):
            return cls((part,), ())
        given = "a number" if isinstance(part, int | float) else type(part).__name__
        raise InputTypeError(
            f"An objective is a sum of terms such as rm.Squared()(f(X), y) and a penalty such as rm.WeightDecay(1e-3); got {given}."
        )

    def __add__(self, other: Any) -> Objective:
        if isinstance(other, int | float) and other == 0:  # what sum() starts with
            return self
        other = Objective.of(other)
        return Objective(self.terms + other.terms, self.penalties + other.penalties)

    __radd__ = __add__

    def __mul__(self, scale: Any) -> Objective:
        c = number(scale, "The scale of an objective", low=0)
        return Objective(tuple(t * c for t in self.terms), tuple(dataclasses.replace(p, beta=c * p.beta) for p in self.penalties))

    __rmul__ = __mul__
