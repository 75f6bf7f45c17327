"""Points with fewer blocks: a solver leaves noise in blocks that are zero at the optimum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..program.program import Program
from ..resources.deadline import current

Matrix = NDArray[np.float64]

#: Blocks below these shares of the largest are tried as zero.
NEGLIGIBLE = (3e-1, 1e-1, 3e-2, 1e-2, 1e-3, 1e-4, 1e-5, 1e-7, 1e-9)

#: FEW of them where each is moved onto the constraints of users, and the violation, relative, that is as good as none.
FEW, SETTLED = (1e-1, 1e-2, 1e-3, 1e-5, 1e-7), 3e-10

#: Without its small blocks a point may leave constraints by this many times `room`, relative: moving it back costs about as much.
NEAR = 100.0


@np.errstate(over="ignore", invalid="ignore")  # the blocks may be garbage; what overflows is not the best
def sparsest(program: Program, blocks: Matrix, feasible: Callable[[Matrix], Matrix], room: float) -> Matrix:
    """The sparsest point among the blocks (B, d) with the negligible ones dropped, at several levels of negligible, whose objective
    is within `room` (relative) of the best of them. feasible : makes the point of blocks, moved into the cones. What leaves a
    constraint that was put in by hand further than the point with all blocks does is no candidate. When the current deadline is over, what
    was made by then is all: the point with all blocks comes first."""
    norms = np.linalg.norm(blocks, axis=1)
    zero = np.zeros(program.n_variables)
    kept, settled = program.kept, getattr(program.inverse, "settled", None)
    made: dict[int, tuple[float, Matrix]] = {}  # by the number of blocks that are left
    for share in (0.0, *(FEW if kept else NEGLIGIBLE)):
        if made and program.ranks.any(current().expired()):
            break
        keep = norms > share * norms.max()
        if (count := int(keep.sum())) in made:
            continue
        candidate = feasible(np.where(keep[:, None], blocks, 0.0))
        if kept and settled is not None:
            if share > 0 and not max(term.outside(candidate) for term in kept) <= NEAR * room:
                continue
            candidate = settled(program, candidate)
        made[count] = program.objective(candidate), candidate
    candidates = [(program.objective(zero), zero), *(made[count] for count in sorted(made))]
    if kept:
        outside = [max(term.outside(point) for term in kept) for _, point in candidates]
        candidates = [
            candidate for candidate, amount in zip(candidates, outside, strict=True) if amount <= max(outside[-1], SETTLED)
        ]
    limit = min(value for value, _ in candidates if not np.isnan(value))
    limit += room * abs(limit)
    return next(candidate for value, candidate in candidates if value <= limit)
