"""From multipliers to a bound: scaled into what the regulariser carries, at the scale where the bound is largest.

For  min_x  sum_j f_j(K_j x) + r(x)  with a regulariser r whose conjugate is 0 where its dual gauge is at most 1, multipliers q_j in the
domains of f_j* prove  - sum_j f_j*(s q_j)  for every scale s >= 0 at which the gauge of  s sum_j K_j' q_j  is at most 1. Domains that
hold 0 contain the segment to it, so every s in [0, 1 / gauge] below 1 will do, and larger ones where the domains allow them. Where one
does not hold 0 (a user's term), s = 1 is the only scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..functions.base import Function
from ..program.ranks import SINGLE_PROCESS, SingleProcess

Vector = NDArray[np.float64]


def scaled_bound(
    multipliers: Sequence[tuple[Function | Any, Vector]], gauge: float, ranks: SingleProcess = SINGLE_PROCESS
) -> tuple[float, float]:
    """The scale, and the bound it proves.

    multipliers : every function with its multiplier, in the domain of its conjugate.  gauge : the dual gauge of the regulariser at what
    they leave to it, over all ranks; NaN and infinity prove what 0 proves.
    """

    # multipliers of cones, most of all there are, stay in their domains at every scale and add nothing
    multipliers = [(f, q) for f, q in multipliers if not f.cone]

    def value(scale: float) -> float:
        return 0.0 - float(ranks.sum(sum(f.conjugate(scale * q) for f, q in multipliers)))

    if not ranks.all(_in_domains(multipliers, 0.0)):
        return (1.0, value(1.0)) if gauge <= 1 else (0.0, -np.inf)
    if not np.isfinite(gauge):
        return 0.0, value(0.0)
    # a hair below 1 / gauge, so that rounding in the gauge cannot make the point infeasible
    limit = (1 - 1e-13) / gauge if gauge > 0 else 1.0
    if limit > 1 and not (np.isfinite(limit) and ranks.all(_in_domains(multipliers, limit))):
        limit = 1.0
    scale = _best_scale(value, limit)
    return scale, value(scale)


def _in_domains(multipliers: Sequence[tuple[Any, Vector]], scale: float) -> bool:
    return all(np.array_equal(f.project_dual(scale * q), scale * q) for f, q in multipliers)


def _best_scale(value: Callable[[float], float], limit: float) -> float:
    """The scale in [0, limit] with the largest value (concave); the ends are tried exactly."""
    from scipy.optimize import minimize_scalar  # here, because it costs as much to import as all the rest

    if limit <= 0:
        return 0.0
    # a multiplier is likely to be of the right size; with a gauge of next to nothing the limit says nothing of that
    end = min(limit, 1.0)
    while end < limit and value(min(2 * end, limit)) > value(end):
        end = min(2 * end, limit)
    end = min(2 * end, limit)
    # concave and still rising at the end, which is most of the time; a value may be dear
    if end == limit and value(limit) > value((1 - 1e-6) * limit):
        return limit
    inner = minimize_scalar(lambda s: -value(s), bounds=(0.0, end), method="bounded", options={"xatol": 1e-10 * end})
    return max([float(inner.x), min(end, 1.0), end, 0.0], key=value)
