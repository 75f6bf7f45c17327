"""One point in every cell of a central hyperplane arrangement, by deletion and restriction.

Put the hyperplanes in one after the other. A new one, h, cuts exactly those cells whose interior it meets, and what
it meets of them are the cells of the arrangement that the earlier hyperplanes leave on h: the same problem, one
dimension lower. So every cell of the final arrangement contains a point next to a cell on some h. The work grows
with the number of cells, and hyperplanes that meet in too many ways, which is ordinary in data, merely coincide one
dimension lower. (Zaslavsky 1975, the recursion; Edelsbrunner 1987, ch. 7, arrangements by insertion.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .arrangement import PARALLEL_TOLERANCE
from .chunks import chunks
from .packing import distinct, pack
from .parallel import merge_parallel
from .scaling import unit_rows


def interior_points(normals: NDArray[np.float64], blur: NDArray[np.float64]) -> NDArray[np.float64]:
    """A unit vector in the interior of each cell of the hyperplanes with the given normals: (P, r).

    normals : (m, r) unit rows, no two parallel, of rank r >= 1; blur : (m,) how far rounding may have moved each.
    With a point, its negative is always there too.
    """
    count, rank = normals.shape
    if count == rank:
        return _orthants(normals)
    if rank == 2:
        return _sectors(normals)
    from scipy.linalg import qr  # here, because importing relumodel should not wait for it

    order = qr(normals.T, mode="r", pivoting=True)[1]  # independent ones first
    normals, blur = normals[order], blur[order]
    points = [_orthants(normals[:rank])]
    points += [_along_cuts(normals[:j], blur[:j], normals[j]) for j in range(rank, count)]
    return _one_per_cell(normals, np.concatenate(points))


def signs_at(points: NDArray[np.float64], normals: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which hyperplanes (m, r) each point (P, r) is above: (P, m)."""
    return np.concatenate([points[part] @ normals.T > 0 for part in chunks(len(points), len(normals))])


def _orthants(normals: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 2^r cells of r independent hyperplanes, each by the point at equal height above all of them."""
    rank = len(normals)
    signs = 1.0 - 2.0 * (np.arange(2**rank)[:, None] >> np.arange(rank) & 1)
    return unit_rows(np.linalg.solve(normals, signs.T).T)


def _sectors(normals: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 2m sectors between m distinct lines through the origin of the plane, each by its bisector."""
    angle = np.sort(np.arctan2(normals[:, 0], -normals[:, 1]) % np.pi)
    middle = (angle + np.append(angle[1:], angle[0] + np.pi)) / 2
    points = np.column_stack([np.cos(middle), np.sin(middle)])
    return np.concatenate([points, -points])


def _along_cuts(normals: NDArray[np.float64], blur: NDArray[np.float64], cut: NDArray[np.float64]) -> NDArray[np.float64]:
    """A point above the hyperplane `cut` in each cell of `normals` (j, r) that it cuts; their negatives lie below."""
    from scipy.linalg import qr

    basis = qr(cut[:, None])[0][:, 1:]
    restricted = normals @ basis
    length = np.linalg.norm(restricted, axis=1)
    restricted, blur = restricted / length[:, None], blur / length
    first = merge_parallel(restricted, np.maximum(PARALLEL_TOLERANCE, blur) / 2).first
    walls = interior_points(restricted[first], blur[first]) @ basis.T
    slope = normals @ cut
    out = []
    for part in chunks(len(walls), len(normals)):
        height = walls[part] @ normals.T
        distance = np.divide(height, slope, out=np.full_like(height, -np.inf), where=np.abs(slope) > blur)
        # rise half way to the first hyperplane met on the way up
        rise = np.where(distance < 0, -distance, np.inf).min(axis=1, initial=2.0) / 2
        out.append(walls[part] + rise[:, None] * cut)
    return unit_rows(np.concatenate(out))


def _one_per_cell(normals: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (Q, r), and their negatives, with those that share a cell replaced by one in the middle of them."""
    words, kept = [], []
    for part in chunks(len(points), len(normals)):
        height = points[part] @ normals.T
        # A point on a later hyperplane is not needed: that one cut its cell, and gave both halves points of their own.
        clear = (np.abs(height) > 1e-15).all(axis=1)
        signs = height[clear] > 0
        # of each antipodal pair of cells, the one above the first hyperplane
        below = ~signs[:, :1]
        words.append(pack(signs ^ below))
        kept.append(np.where(below, -points[part][clear], points[part][clear]))
    points = np.concatenate(kept)
    cells = distinct(np.concatenate(words))
    total = np.zeros((len(cells.first), points.shape[1]))
    np.add.at(total, cells.group, points)
    total = unit_rows(total)
    return np.concatenate([total, -total])
