"""Patterns that the user brings along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrangement.witness import no_witnesses
from ..declare.perturbations import Ball
from ..errors import InputError, InputTypeError
from .holding_arrays import HoldsArrays, frozen
from .pattern_set import PatternSet, PatternStrategy


@dataclass(frozen=True, eq=False, init=False, repr=False)
class GivenPatterns(HoldsArrays, PatternStrategy):
    """Your own patterns, kept as they are and in their order: repeated ones stay, and so do those of no vector.

    array : (n, P), one row per sample and one column per pattern; booleans, or whole numbers 0 and 1.
    Raises `InputError` or `InputTypeError` for anything else.
    """

    array: NDArray[np.bool_]

    def __init__(self, array: ArrayLike) -> None:
        object.__setattr__(self, "array", frozen(_as_patterns(array)))

    def __repr__(self) -> str:
        return f"GivenPatterns({self.array.shape[0]} x {self.array.shape[1]} array)"

    def find(self, X: NDArray[np.float64], bias: bool, ball: Ball | None = None) -> PatternSet:
        """The given patterns for X (n, d). Raises `InputError` when X has another number of samples."""
        samples, count = self.array.shape
        if samples != len(X):
            raise InputError(
                f"GivenPatterns has {samples} rows but X has {len(X)} samples; give an n x P array with one row per "
                f"sample and one column per pattern."
            )
        # what compiles in milliseconds would take longer than the solve with a linear program a pattern, which it hardly ever needs
        return PatternSet(
            self.array, no_witnesses(X, self.array), complete=False, origin=f"{count:,} given", X=X if ball is None else None
        )


def _as_patterns(array: ArrayLike) -> NDArray[np.bool_]:
    try:
        out = np.asarray(array)
    except ValueError as error:
        raise InputError(f"GivenPatterns needs an n x P array with rows of one length; {error}.") from None
    if out.ndim != 2 or not out.size:
        raise InputError(
            f"GivenPatterns needs an n x P array with at least one row (a sample) and one column (a pattern); "
            f"got shape {out.shape}."
        )
    if out.dtype.kind not in "biu":
        raise InputTypeError(
            f"GivenPatterns needs booleans, or whole numbers 0 and 1; got dtype {out.dtype}. Compare first, as in X @ a >= 0."
        )
    wrong = out[(out != 0) & (out != 1)]
    if wrong.size:
        raise InputError(f"GivenPatterns needs booleans, or whole numbers 0 and 1; the array holds {wrong[0]}.")
    return out.astype(bool)
