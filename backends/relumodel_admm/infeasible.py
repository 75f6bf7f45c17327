"""Proofs that constraints cannot be satisfied, out of the multipliers that an interior point runs away with.

A ray: multipliers q of constraints alone, in the cones of their signs, and a >= 0 of the rows of cones. For every u with its rows in
the cones,  q.(r + tau) >= 0  would have to fail where r satisfies the constraints, and

    sum_b |u_b|_*  max_b |F_b'A'q - G_b'a|_*  >=  sum_b u_b.(G_b'a - F_b'A'q)  >=  -q.A F u  >=  tau.q  =  -J*(q).

So -J*(q) over the gauge is the least size of a feasible u; where the gauge is rounding, there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from .scaled import Blocks, Scaled

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

#: Bounds, in units of the loss at zero, beyond which a ray is looked for, and the size of u that counts as out of reach.
SUSPECT, OUT_OF_REACH = 30.0, 1e8

#: Rays are scaled to prove no more than the inverse of this.
FARTHEST = 1e-12

#: Multipliers below this share of the largest are no part of a contradiction between values.
SHARE = 1e-3

#: Entries of F up to which multipliers are made orthogonal to all of it.
LARGE = 2e6


@dataclass(frozen=True, eq=False)
class Ray:
    """Multipliers q (m,) of constraints and a (B, n) of cones, scaled so that their gauge is at most a half."""

    q: Vector
    a: Matrix


def proof_against(problem: Scaled, blocks: Blocks, q: Vector, a: Matrix) -> Ray | None:
    """The ray that multipliers q and a point along, if it proves anything: as they are, or as a contradiction between values."""
    hard = problem.loss.hard
    if not hard.any():
        return None
    along = np.where(hard, q, 0.0)
    for make, cones in ((lambda: along, a), (lambda: _between(problem, blocks, along), np.zeros_like(a))):
        ray = make()
        pull = problem.pulls(blocks, ray)
        if cones.shape[1]:
            pull = pull - (blocks.side * cones) @ problem.X
        value, gauge = -problem.loss.conjugate(ray), float(problem.gauges(pull).max())
        if value > OUT_OF_REACH * gauge:
            scale = 1 / max(2 * gauge, FARTHEST * value)
            return Ray(scale * ray, scale * cones)
    return None


def _between(problem: Scaled, blocks: Blocks, q: Vector) -> Vector:
    """Multipliers near q with A'q = 0, or F'A'q = 0 where that is not too large, as far as their signs allow: a contradiction between
    values whatever network has them, or between those of these blocks without their cones."""
    loss, masks = problem.loss, blocks.mask[np.flatnonzero(np.diff(blocks.pattern, prepend=-1))]
    used = np.flatnonzero(np.abs(q) > SHARE * np.abs(q).max(initial=0.0))
    d, out = problem.X.shape[1], np.zeros_like(q)
    if not len(used):
        return out
    if loss.size * len(masks) * d <= LARGE:
        same = np.broadcast_to(np.eye(d), (len(masks), d, d))
        read = problem.readings.products(same, masks, problem.X.T).reshape(-1, loss.size).T[used]
        out[used] = q[used] - read @ np.linalg.lstsq(read, q[used], rcond=1e-12)[0]
    elif problem.readings.matrix is not None:
        some = problem.readings.matrix[used]
        out[used] = q[used] - some @ scipy.sparse.linalg.lsqr(some, q[used], atol=1e-15, btol=1e-15)[0]
    return np.clip(out, loss.low, loss.high) * loss.hard
