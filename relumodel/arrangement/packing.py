"""Sign vectors as machine words, so that equal ones are found by sorting numbers."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..program.ranks import SingleProcess


class Distinct(NamedTuple):
    """Distinct rows of a matrix: `first[g]` is the first row of group g, `group[i]` the group of row i."""

    first: NDArray[np.intp]
    group: NDArray[np.intp]


def pack(signs: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """The rows of signs (P, n) as words (P, ceil(n / 64)) whose order, word by word, is the lexicographic order."""
    count, length = signs.shape
    words = max(1, -(-length // 64))
    packed = np.zeros((count, 8 * words), dtype=np.uint8)
    packed[:, : -(-length // 8)] = np.packbits(signs, axis=1)
    return packed.view(">u8").astype(np.uint64)


def global_keys(words: NDArray[np.uint64], ranks: SingleProcess) -> NDArray[np.uint64]:
    """Words (P, w) for patterns of which this rank holds the words of some rows: equal where the patterns are on all ranks, digests of
    128 bits from each."""
    if ranks.size == 1:
        return words
    own = b"".join(hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in words)
    return np.concatenate([np.frombuffer(part, dtype=np.uint64).reshape(-1, 2) for part in ranks.gather(own)], axis=1)


def unpack(words: NDArray[np.uint64], length: int) -> NDArray[np.bool_]:
    """The signs (P, length) that were packed into words (P, w)."""
    return np.unpackbits(words.astype(">u8").view(np.uint8), axis=1, count=length).astype(bool)


def distinct(words: NDArray[np.uint64]) -> Distinct:
    """Groups of equal rows of words (P, w), the groups in lexicographic order."""
    order = np.lexsort(words.T[::-1])  # stable, so that the first of a group is its first row
    ordered = words[order]
    starts = np.ones(len(words), dtype=bool)
    starts[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    group = np.empty(len(words), dtype=np.intp)
    group[order] = np.cumsum(starts) - 1
    return Distinct(first=order[starts], group=group)


def first_seen(words: NDArray[np.uint64]) -> NDArray[np.intp]:
    """The index of the first row of each group of equal rows, in order of appearance."""
    return np.sort(distinct(words).first)
