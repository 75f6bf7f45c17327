"""The neural decomposition (Bartan & Pilanci 2021): Z positive semidefinite with tr Z_11 = Z_44 is a sum of p p' with
|p_1..d| = |p_d+1|; then u = p_1..d / p_d+1 has norm 1 and alpha = +- p_d+1^2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def decompose(Z: Matrix) -> tuple[Matrix, Matrix]:
    """Unit vectors u (m, d) and weights (m,) >= 0 with Z = sum of weight [u; 1][u; 1]'; m is at most the rank of Z.

    Z : (d + 1, d + 1), positive semidefinite with tr Z_11 = Z_44, both up to rounding.
    """
    values, vectors = np.linalg.eigh(Z)
    kept = values > len(Z) * np.finfo(float).eps * max(values[-1], 0.0)
    P = (vectors[:, kept] * np.sqrt(values[kept])).T
    for _ in range(len(P) - 1):
        excess = _excess(P)
        high, low = int(excess.argmax()), int(excess.argmin())
        if excess[high] <= 0 or excess[low] >= 0:
            break
        P[high], P[low] = _rotated(P[high], P[low])
    weights = 0.5 * ((P[:, :-1] ** 2).sum(axis=1) + P[:, -1] ** 2)  # the two are equal but for rounding
    P = P[weights > 0]
    U = P[:, :-1] * np.copysign(1.0, P[:, -1:])
    norms = np.linalg.norm(U, axis=1)
    return U[norms > 0] / norms[norms > 0, None], weights[weights > 0][norms > 0]


def _excess(P: Matrix) -> Matrix:
    """p'Gp with G = diag(1, ..., 1, -1), for every row p."""
    return (P[:, :-1] ** 2).sum(axis=1) - P[:, -1] ** 2


def _rotated(p: Matrix, q: Matrix) -> tuple[Matrix, Matrix]:
    """Two vectors with the same p p' + q q', the first with p'Gp = 0, where p'Gp > 0 > q'Gq."""
    over, under = _excess(np.stack([p, q]))
    cross = p[:-1] @ q[:-1] - p[-1] * q[-1]
    # the root of under t^2 + 2 cross t + over = 0 that is not a difference of near equals
    t = -over / (cross - np.sqrt(cross**2 - over * under)) if cross < 0 else -(cross + np.sqrt(cross**2 - over * under)) / under
    scale = 1 / np.hypot(1.0, t)
    return scale * (p + t * q), scale * (q - t * p)
