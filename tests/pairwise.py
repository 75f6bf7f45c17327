"""Pairwise designs: few combinations of options that hold every pair of choices, in place of their full product.

Faults of combinations nearly always need two choices to meet, seldom three (Kuhn, Wallace & Gallo 2004).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, product
from typing import Any


def pairwise(*choices: Iterable[Any], allowed: Callable[..., bool] = lambda *row: True) -> list[tuple[Any, ...]]:
    """Rows with one choice of each factor, so that every pair of choices of two factors stands in a row.

    allowed : tells of a row whether it can be built; a pair that stands in no such row is left out.
    Greedy and deterministic: each row holds the most pairs not yet held; of several such, the one with the choices used least so far.
    """
    factors = [list(factor) for factor in choices]
    rows = [row for row in product(*map(range, map(len, factors))) if allowed(*_choices(factors, row))]
    pairs = {row: _pairs(row) for row in rows}
    missing = set().union(*pairs.values())
    used: Counter[tuple[int, int]] = Counter()
    chosen = []
    while missing:
        best = max(rows, key=lambda row: (len(pairs[row] & missing), -sum(used[choice] for choice in enumerate(row))))
        chosen.append(_choices(factors, best))
        used.update(enumerate(best))
        missing -= pairs[best]
    return chosen


def _choices(factors: Sequence[Sequence[Any]], row: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple(factor[i] for factor, i in zip(factors, row, strict=True))


def _pairs(row: tuple[int, ...]) -> set[tuple[int, int, int, int]]:
    """Each pair of a row as (factor, choice, factor, choice); of one factor alone, its choice."""
    if len(row) == 1:
        return {(0, row[0], 0, row[0])}
    return {(i, row[i], j, row[j]) for i, j in combinations(range(len(row)), 2)}
