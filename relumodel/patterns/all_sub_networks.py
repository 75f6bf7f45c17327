"""All patterns of three-layer sub-networks on tiny data: then the convex program is exact (Ergen & Pilanci 2021, Theorem 1).

Two neurons of one sub-network with the same pattern and the same sign of the second layer add up to one that costs no more, so sets of
`width` distinct pairs (pattern, sign) suffice. Where only neurons of one sign are active the sign of the second layer follows; on the other
samples it is free. The cells with interior cover all sub-networks, the others are left out.
"""

from __future__ import annotations

import itertools
from math import comb

import numpy as np
from numpy.typing import NDArray

from ..arrangement.arrangement import readable
from ..errors import InputError
from .pattern_set import PatternSet
from .sub_networks import SubNetworks

Matrix = NDArray[np.float64]


def all_sub_networks(X: Matrix, hidden: PatternSet, width: int, limit: int) -> SubNetworks:
    """Those of all sub-networks that are not 0 on every sample. hidden : all patterns of X (n, d).
    Raises `InputError` where there may be more than `limit`."""
    D = hidden.D.T[hidden.D.any(axis=0)]  # a neuron that is never active does nothing
    pairs = [(i, sign) for i in range(len(D)) for sign in (1.0, -1.0)]
    width_used = min(width, len(pairs))
    sets = comb(len(pairs), width_used)
    if sets > limit:
        raise InputError(_too_many(sets, width, limit))
    inner, outer, signs = [], [], []
    for chosen in itertools.combinations(pairs, width_used):
        some = [*chosen, *(chosen[:1] * (width - width_used))]  # with more neurons than pairs, one again
        own, sign = D[[i for i, _ in some]], np.array([s for _, s in some])
        up, down = np.asarray(own[sign > 0].any(axis=0)), np.asarray(own[sign < 0].any(axis=0))
        if not up.any():  # the second layer is never positive
            continue
        free = np.flatnonzero(up & down)
        for side in itertools.product((True, False), repeat=len(free)):
            pattern: NDArray[np.bool_] = np.array(up & ~down)
            pattern[free] = side
            if pattern.any():
                inner.append(own)
                outer.append(pattern | ~(up | down))  # where it is 0 whatever the weights, as [0 >= 0]
                signs.append(sign)
        if len(outer) > limit:
            raise InputError(_too_many(len(outer), width, limit))
    if not outer:
        raise InputError("Every sub-network is 0 on every sample of this X; a bias or other features would help.")
    nowhere = np.full((len(inner), width, X.shape[1]), np.nan)
    found = SubNetworks(np.array(inner), np.array(outer), nowhere, np.array(signs), "", complete=True).centred(X)
    kept = np.isfinite(found.directions).all(axis=(1, 2))
    return SubNetworks(
        found.inner[kept],
        found.outer[kept],
        found.directions[kept],
        found.weights[kept],
        f"all {int(kept.sum()):,} sub-networks, enumerated",
        complete=True,
    )


def _too_many(count: int, width: int, limit: int) -> str:
    return (
        f"X may have {readable(count)} sub-networks of width {width} or more, above limit={limit:,}. Raise it, as in "
        "EnumeratePatterns(limit=...), or take some of them with SamplePatterns(count)."
    )
