"""Which unit vectors lie on the same line: parallel and antiparallel rows of X are one hyperplane."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Lines(NamedTuple):
    """Lines through unit vectors: `first[j]` is the first vector on line j, `line[k]` the line of vector k, and
    `along[k]` says whether vector k points as the first one of its line does."""

    first: NDArray[np.intp]
    line: NDArray[np.intp]
    along: NDArray[np.bool_]


def merge_parallel(units: NDArray[np.float64], tolerance: NDArray[np.float64]) -> Lines:
    """Group unit vectors (m, r) by the line they span, lines in order of appearance.

    Two vectors are on one line when they, or one and the negative of the other, are no further apart than the sum
    of their tolerances (m,).
    """
    count = len(units)
    height = np.abs(units @ _probe(units.shape[1]))  # vectors on one line have one height; the converse is checked
    order = np.argsort(height, kind="stable")
    breaks = np.diff(height[order]) > 2 * tolerance.max()
    line, along = np.arange(count), np.ones(count, dtype=bool)
    if breaks.all():
        return Lines(line, line, along)
    for run in np.split(order, np.flatnonzero(breaks) + 1):
        if len(run) > 1:
            _merge_run(np.sort(run), units, tolerance, line, along)
    first, line = np.unique(line, return_inverse=True)
    return Lines(first, line, along)


def _merge_run(
    run: NDArray[np.intp],
    units: NDArray[np.float64],
    tolerance: NDArray[np.float64],
    line: NDArray[np.intp],
    along: NDArray[np.bool_],
) -> None:
    """Write, for each vector of the run, the first vector on its line into `line` and its direction into `along`."""
    while len(run):
        lead = run[0]
        same_way = units[run] @ units[lead] > 0
        apart = np.linalg.norm(units[run] - np.where(same_way, 1.0, -1.0)[:, None] * units[lead], axis=1)
        merged = apart <= tolerance[run] + tolerance[lead]
        line[run[merged]], along[run[merged]] = lead, same_way[merged]
        run = run[~merged]


@cache
def _probe(dimension: int) -> NDArray[np.float64]:
    """A fixed unit direction in general position."""
    direction = np.random.default_rng(0).standard_normal(dimension)
    return direction / np.linalg.norm(direction)
