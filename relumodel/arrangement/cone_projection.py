"""The point of a polyhedral cone { v : G v >= 0 } nearest to u, by non-negative least squares over few rows.

The nearest point is u + G'alpha with alpha >= 0 least for |u + G'alpha|; by Moreau's decomposition the same alpha says how far -u is
from the polar cone, which is what a bound needs. Only rows that are violated on the way matter: they are collected in rounds, and each
round is solved by block principal pivoting (Portugal, Judice & Vicente 1994; Kim & Park 2011) on their Gram matrix: all signs that are
wrong are exchanged at once, and one by one where that cycles.

Where the rows are on several ranks, those collected go to all of them, and all solve the same small problem.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..program.ranks import SINGLE_PROCESS, SingleProcess

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

#: Rounds of collecting rows; factorisations in one round, before Lawson and Hanson's slower method takes over.
ROUNDS, EXCHANGES = 30, 60

#: In a round, at most this many times d rows are added, the most violated ones.
SHARE = 1.5

#: Up to this many rows or columns that method is faster.
FEW = 40


def cone_multipliers(G: Matrix, u: Vector, guess: NDArray[np.intp] | None = None, ranks: SingleProcess = SINGLE_PROCESS) -> Vector:
    """alpha (n,) >= 0 that minimises | u + G'alpha |_2; G (n, d) the rows here, u (d,). guess : rows likely to have alpha > 0."""
    sizes = np.linalg.norm(G, axis=1)
    level = 64 * rounding(G, u)
    alpha, most = np.zeros(len(G)), 20 + int(SHARE * G.shape[1])
    rows = _worst(G @ u, level, most, ranks) if guess is None else guess[sizes[guess] > 0]
    found = np.ones(len(rows))
    for _ in range(ROUNDS):
        collected, here = ranks.stack(np.column_stack([G[rows] / sizes[rows, None], found]))
        scaled = np.ascontiguousarray(collected[:, :-1])
        everywhere = _least(scaled, u, collected[:, -1] > 0)
        found = everywhere[here]
        violated = np.setdiff1d(_worst(G @ (u + scaled.T @ everywhere), level, most, ranks), rows)
        alpha[rows] = found / sizes[rows]
        if not ranks.any(len(violated) > 0):
            break
        order = np.argsort(np.concatenate([rows, violated]))
        rows, found = np.concatenate([rows, violated])[order], np.concatenate([found, np.ones(len(violated))])[order]
    return alpha


def rounding(G: Matrix, u: Vector) -> Vector:
    """What rounding may do to every entry of G u: eps |G| |u|, which does not grow with columns that u hardly uses."""
    return np.finfo(float).eps * (np.abs(G) @ np.abs(u))


def _worst(slack: Vector, level: Vector, most: int, ranks: SingleProcess) -> NDArray[np.intp]:
    """The rows with slack < -level; of many on all ranks, those where it is least."""
    rows = np.flatnonzero(slack < -level)
    rows = rows if len(rows) <= most else np.sort(rows[np.argpartition(slack[rows], most)[:most]])
    if ranks.sum(len(rows)) <= most:
        return rows
    everywhere, here = ranks.stack(slack[rows])
    kept = np.sort(np.argpartition(everywhere, most)[:most])
    return rows[kept[(kept >= here.start) & (kept < here.stop)] - here.start]


def _least(G: Matrix, u: Vector, passive: NDArray[np.bool_]) -> Vector:
    """The same on all rows of G, unit rows; `passive` is a guess of those with alpha > 0."""
    if not len(G):
        return np.zeros(0)
    if min(G.shape) <= FEW:
        return _lawson_hanson(G, u)
    found = _pivoting(G @ G.T, -(G @ u), passive.copy())
    return _lawson_hanson(G, u) if found is None else found


def _pivoting(Q: Matrix, c: Vector, passive: NDArray[np.bool_]) -> Vector | None:
    """alpha >= 0 with Q alpha - c >= 0 and zero products; None when it does not come to an end."""
    import scipy.linalg

    m = len(Q)
    raised = Q + 1e-13 * m * np.eye(m)
    small = 1e-12 * float(np.abs(c).max())
    best, tries = m + 1, 5
    for _ in range(EXCHANGES):
        alpha = np.zeros(m)
        used = np.flatnonzero(passive)
        try:
            factor = scipy.linalg.cho_factor(raised[np.ix_(used, used)], check_finite=False)
        except np.linalg.LinAlgError:
            return None
        for _ in range(3):  # refinement takes out what was added to the diagonal
            rest = c[used] - Q[np.ix_(used, used)] @ alpha[used]
            alpha[used] += scipy.linalg.cho_solve(factor, rest, check_finite=False)
        slack = Q[:, used] @ alpha[used] - c
        wrong = (passive & (alpha < 0)) | (~passive & (slack < -small))
        count = int(wrong.sum())
        if count == 0:
            return np.maximum(alpha, 0)
        if count < best:
            best, tries = count, 5
        elif tries > 0:
            tries -= 1
        else:
            wrong[: np.flatnonzero(wrong)[-1]] = False
        passive ^= wrong
    return None


def _lawson_hanson(G: Matrix, u: Vector) -> Vector:
    from scipy.optimize import nnls  # here, because it costs as much to import as all the rest

    try:
        return nnls(G.T, -u)[0]
    except RuntimeError:  # no convergence: nothing is claimed
        return np.zeros(len(G))
