"""What all constraints are, whatever they compare."""

from __future__ import annotations

from ..errors import InputTypeError


class Comparison:
    """A comparison of a reading with numbers: it prints as it was written, and has no truth value before a problem is solved."""

    text: str

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Constraint {self.text}>"

    def __bool__(self) -> bool:
        raise InputTypeError(
            "A constraint is not known to hold before the problem is solved; chained comparisons like 0 <= f(X) <= 1 are two constraints."
        )
