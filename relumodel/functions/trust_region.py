"""Quadratics over the unit ball, all at once after one eigendecomposition (More & Sorensen 1983).

    minimise  e'L e + g.e   over |e|_2 <= 1,  or |e|_2 = 1         L diagonal: everything is in the basis of eigenvectors

has no duality gap: for every mu >= max(0, - min L), or mu >= - min L on the sphere, the minimum is at least

    - sum_i (g_i / 2)^2 / (L_i + mu) - mu

and the best mu attains it, a root of |(L + mu)^-1 g / 2| = 1, or its least value.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .roots import monotone_root

Matrix = NDArray[np.float64]


class Minimum(NamedTuple):
    """value (m,): the dual value, a lower bound whatever rounding made of mu.  mu (m,).  point (m, p): a minimiser."""

    value: Matrix
    mu: Matrix
    point: Matrix


@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def unit_ball_minimum(L: Matrix, G: Matrix, sphere: bool = False) -> Minimum:
    """The minimum of e'diag(L) e + g.e over the unit ball (or sphere) for every row g of G (m, p); L (p,)."""
    half = 0.5 * G
    floor = -L.min() if sphere else max(0.0, -L.min())
    base = L + floor

    def steps(nu: Matrix) -> Matrix:
        at = base + nu[:, None]
        return np.where(half == 0, 0.0, half / at)  # 0 / 0: a direction that g does not see

    def slack(nu: Matrix) -> Matrix:
        """1 / norm - 1, nearly linear in nu."""
        return np.minimum(1 / np.linalg.norm(steps(nu), axis=1), 1e3) - 1

    nu = monotone_root(slack, np.linalg.norm(half, axis=1))
    e = steps(nu)
    value = -(half * e).sum(axis=1) - (floor + nu)
    # what is missing to the sphere lies along the lowest direction, where it costs nothing (the hard case)
    missing = np.sqrt(np.maximum(1 - (e * e).sum(axis=1), 0.0))
    point = -e
    lowest = int(L.argmin())
    bound = (floor + nu > 0) | sphere
    point[:, lowest] += np.where(bound & (nu == 0), np.copysign(missing, point[:, lowest]), 0.0)
    return Minimum(value, floor + nu, point / np.maximum(np.linalg.norm(point, axis=1), 1.0)[:, None])
