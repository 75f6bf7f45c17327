"""Work on many rows a part at a time, so that temporary matrices stay within tens of megabytes."""

from __future__ import annotations

ENTRIES = 1 << 20


#: The same for products with all of the data, in hundreds of megabytes: with fewer rows at a time they would not be matrix products.
LARGE = 1 << 25


#: The same for products of a part of the samples with all directions that stay in the cache: several passes over them cost little then.
CACHED = 1 << 17


def chunks(rows: int, width: int, entries: int = ENTRIES) -> list[slice]:
    """Consecutive slices of range(rows), at least one, each of them making a matrix of `width` columns small enough."""
    step = max(1, entries // max(1, width))
    return [slice(start, min(start + step, rows)) for start in range(0, max(rows, 1), step)]
