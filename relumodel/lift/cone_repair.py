"""Moving a block into its sign cone { u : G u >= 0 } exactly.

Two steps. The nearest point of the cone is u + G'alpha with alpha >= 0; only a few rows matter, so alpha is found by
non-negative least squares on a growing set of violated rows. What rounding leaves is restored along the pattern's witness a,
G a > 0: u + t a with the smallest t that puts every row a few roundings inside. Where no witness is at hand, a vector that leads
away from the few rows on the boundary does as well, and costs a least squares problem in place of a linear program.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..arrangement.cone_projection import cone_multipliers, rounding
from ..declare.perturbations import Ball
from ..program.ranks import SINGLE_PROCESS, SingleProcess

Matrix = NDArray[np.float64]

#: Rows with less slack than this, in units of the row and the point, count as on the boundary: far beyond rounding, so that the others
#: stay inside when the point moves by a few roundings.
BOUNDARY = 1e-9


def into_cone(
    u: Matrix,
    G: Matrix,
    witness: Matrix,
    ball: Ball | None = None,
    ranks: SingleProcess = SINGLE_PROCESS,
    search: Callable[[], Matrix] | None = None,
) -> Matrix:
    """A point of { G u >= 0 } next to u (d,); G (n, d) the rows here. The witness (d,) is NaN where none is at hand; search : finds it where
    it is needed all the same, or returns NaN where the cone has no interior: then the result is the nearest point up to rounding. With a
    ball the cone is { G u >= h(u) } and only the witness is used: h is subadditive, so a step t along it gains at least t (G a - h(a))."""
    near = u + ranks.sum(G.T @ cone_multipliers(G, u, ranks=ranks)) if ball is None else u
    if np.isnan(witness).any():
        if ball is not None or ranks.size > 1 or np.linalg.norm(near) <= 1e-13 * np.linalg.norm(u):  # the last: the apex
            return near
        inside = _off_boundary(near, u, G)
        if inside is not None or search is None:
            return near if inside is None else inside
        witness = search()
        if np.isnan(witness).any():
            return near
    return _along_witness(near, G, witness, ball, ranks)


def hurried_into_cone(
    u: Matrix, G: Matrix, witness: Matrix, ball: Ball | None = None, ranks: SingleProcess = SINGLE_PROCESS
) -> Matrix:
    """The same when time is up, by a few products: a step along the witness; 0 where there is none at hand."""
    if np.isnan(witness).any():
        return np.zeros_like(u)
    moved = _along_witness(u, G, witness, ball, ranks)
    reach = 0.0 if ball is None else ball.support(moved[None])[0]
    return moved if ranks.all((G @ moved >= reach * G.any(axis=1)).all()) else np.zeros_like(u)


def _off_boundary(near: Matrix, u: Matrix, G: Matrix) -> Matrix | None:
    """`near` moved off the boundary rows of the cone by a few roundings of G u; None where no such direction is found."""
    sizes = np.linalg.norm(G, axis=1)
    G, sizes = G[sizes > 0], sizes[sizes > 0]
    margin = 16 * np.maximum(rounding(G, u), np.finfo(float).tiny)
    slack = G @ near
    close = slack < BOUNDARY * sizes * np.linalg.norm(u)
    if close.any():
        away = np.linalg.lstsq(G[close] / sizes[close, None], np.ones(int(close.sum())), rcond=None)[0]
        gain = G[close] @ away
        if (gain < 0.5 * sizes[close]).any():
            return None
        near = near + 2 * float(((margin[close] - slack[close]) / gain).max(initial=0.0)) * away
    return near if (G @ near >= margin).all() else None


def _along_witness(u: Matrix, G: Matrix, witness: Matrix, ball: Ball | None, ranks: SingleProcess) -> Matrix:
    """u + t witness with the least t >= 0 for which every row has a margin of a few roundings."""
    rows = np.linalg.norm(G, axis=1)
    live = rows > 0

    def slack(a: Matrix) -> Matrix:
        return (G @ a)[live] - (0.0 if ball is None else ball.support(a[None])[0])

    gain = slack(witness)
    margin = 16 * np.maximum(rounding(G, u)[live], np.finfo(float).tiny)
    if not ranks.all((gain > 0).all()):
        return u
    point, step = u, 0.0
    for _ in range(5):
        lack = ranks.largest(float(((margin - slack(point)) / gain).max(initial=-np.inf)))
        if lack <= 0:
            break
        step += 1.01 * lack
        point = u + step * witness
    return point
