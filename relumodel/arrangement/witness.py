"""Vectors that produce a pattern strictly: checking them, and finding them when only the pattern is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .arrangement import Arrangement, arrangement
from .chunks import chunks


def is_strict(X: NDArray[np.float64], vectors: NDArray[np.float64], D: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which vectors a_i, the rows of (P, d), satisfy (2 D_i - 1) * (X a_i) > 0 on all non-zero rows of X (n, d).

    Strictly means by more than the rounding error of the product, so that the sign does not depend on who computes it.
    """
    rows = X.any(axis=1)
    if not rows.any():
        return np.ones(len(vectors), dtype=bool)
    X, D = X[rows], D[rows]
    return np.concatenate([_strict_part(X, vectors[part], D[:, part]) for part in chunks(len(vectors), len(X))])


def _strict_part(X: NDArray[np.float64], vectors: NDArray[np.float64], D: NDArray[np.bool_]) -> NDArray[np.bool_]:
    product = X @ vectors.T
    margin = np.where(D, product, -product)
    rounding = X.shape[1] * np.finfo(float).eps
    # the crude bound on rounding, |x|_max |a|_1, costs nothing; the sharp one, |x|.|a|, only where the crude one fails
    strict = (margin > rounding * np.outer(np.abs(X).max(axis=1), np.abs(vectors).sum(axis=1))).all(axis=0)
    unsure = np.flatnonzero(~strict & (margin > 0).all(axis=0))
    strict[unsure] = (margin[:, unsure] > rounding * (np.abs(X) @ np.abs(vectors[unsure]).T)).all(axis=0)
    return strict


def find_witnesses(X: NDArray[np.float64], D: NDArray[np.bool_], reduced: Arrangement | None = None) -> NDArray[np.float64]:
    """For each pattern of D (n, P) a strict unit vector, as rows of (P, d); NaN where no vector is strict.

    reduced : the arrangement of X, when it is known already.
    """
    reduced = arrangement(X) if reduced is None else reduced
    if reduced.rank == 0:  # X = 0: every vector will do
        return np.tile(np.eye(1, X.shape[1]), (D.shape[1], 1))
    signs, alike = reduced.on_hyperplanes(D)
    targets = np.where(signs, 1.0, -1.0)
    # Least squares is enough when there are few more hyperplanes than dimensions; else a linear program decides.
    points = np.asarray(np.linalg.lstsq(reduced.normals, targets.T, rcond=None)[0].T, dtype=np.float64)
    solved = (targets * (points @ reduced.normals.T) > 1e-6).all(axis=1)
    for i in np.flatnonzero(~solved & alike):
        points[i] = widest(reduced.normals, targets[i])
    usable = alike & points.any(axis=1)
    vectors = np.full((D.shape[1], X.shape[1]), np.nan)
    vectors[usable] = reduced.lifted(points[usable])
    usable[usable] = is_strict(X, vectors[usable], D[:, usable])
    vectors[~usable] = np.nan
    return vectors


def no_witnesses(X: NDArray[np.float64], D: NDArray[np.bool_]) -> NDArray[np.float64]:
    """NaN for each pattern: they are looked for when asked; with a perturbation robust ones are, and clean ones would be for nothing."""
    return np.full((D.shape[1], X.shape[1]), np.nan)


def widest(normals: NDArray[np.float64], target: NDArray[np.float64], seconds: float = np.inf) -> NDArray[np.float64]:
    """The b in the unit cube with the largest smallest target * (normals b); zero when that is not positive, or not found in time."""
    from scipy.optimize import linprog  # here, because it costs as much to import as all the rest

    count, rank = normals.shape
    found = linprog(
        np.append(np.zeros(rank), -1.0),
        A_ub=np.column_stack([-target[:, None] * normals, np.ones(count)]),
        b_ub=np.zeros(count),
        bounds=[(-1, 1)] * rank + [(None, None)],
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
        | ({} if np.isinf(seconds) else {"time_limit": seconds}),
    )
    if found.x is None or found.x[-1] <= 0:
        return np.zeros(rank)
    return found.x[:rank]
