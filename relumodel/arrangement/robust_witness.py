"""Which patterns survive a perturbation: the robust cone { u : T (X u) >= h(u) } of a pattern has interior, or is dropped.

A vector a with T (X a) > h(a) is a robust witness: its hyperplane misses every perturbed sample. Scaled so that
T (X a) >= 1, one exists exactly when the smallest h(a) is below 1; that smallest value also tells by how much the
perturbation could grow. In the 2-norm it is a least-distance problem, solved through non-negative least squares (Lawson &
Hanson 1974, ch. 23); it decides most patterns in the other norms too, and a linear program decides the rest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..declare.perturbations import L1, L2, Ball
from ..resources.deadline import current

Vector = NDArray[np.float64]

#: Columns that are never perturbed cost nothing; this small price, in units of the others, keeps the problem well posed.
FREE = 1e-4

#: Least-distance problems tried before a linear program, which costs as much as ten of them
REWEIGHTINGS = 5


def robust_witnesses(X: Vector, D: NDArray[np.bool_], ball: Ball, candidates: Vector) -> Vector:
    """A robust witness (unit 2-norm) of every pattern of D (n, P), as rows of (P, d); NaN where the robust cone is {0}.

    candidates : (P, d), tried first; NaN where there is none.
    """
    X, candidates = without_undecided(X, ball, X), without_undecided(X, ball, candidates)
    rows = X.any(axis=1)
    out = np.full((D.shape[1], X.shape[1]), np.nan)
    for i in np.flatnonzero(D[~rows].all(axis=0)):
        G = np.where(D[rows, i], 1.0, -1.0)[:, None] * X[rows]
        a: Vector | None = candidates[i]
        if not is_robust(G, candidates[i], ball):
            enough = bool(np.isfinite(out).any())  # those without a witness are left out, but not all of them
            if enough and current().expired():
                continue
            a = _witness(G, ball, enough)
        if a is not None and is_robust(G, a, ball):
            out[i] = a / np.linalg.norm(a)
    return out


def without_undecided(X: Vector, ball: Ball, values: Vector) -> Vector:
    """`values` (m, d), with zeros in the perturbed columns where X (n, d) has a zero row.

    Perturbed, such a sample is on both sides of every hyperplane but those that ignore the perturbed columns.
    """
    return values if X.any(axis=1).all() else np.where(ball.radii > 0, 0.0, values)


def is_robust(G: Vector, a: Vector, ball: Ball) -> bool:
    """Whether a is not zero and G a > h(a) on every row, by more than rounding."""
    if not (np.isfinite(a).all() and a.any()):
        return False
    slack = G @ a - ball.support(a[None])[0]
    return bool((slack > 1e-12 * np.linalg.norm(G, axis=1) * np.linalg.norm(a)).all())


def largest_factor(X: Vector, D: NDArray[np.bool_], ball: Ball) -> float:
    """The factor on the radius below which the robust cone of some pattern of D (n, P) has interior; 0 when there is none."""
    X = without_undecided(X, ball, X)
    rows = X.any(axis=1)
    problems = [np.where(d[rows], 1.0, -1.0)[:, None] * X[rows] for d in D[:, D[~rows].all(axis=0)].T if rows.any()]
    starts = [(*_least_distance(G, ball, ball.radii), G) for G in problems]
    least = np.inf
    for a, lower, G in sorted(starts, key=lambda start: start[1]):
        if a is None or lower >= least:  # the rest is proved to be no better
            break
        best = a if isinstance(ball.perturbation, L2) else _linear_program(G, ball)
        least = min(least, np.inf if best is None else float(ball.support(best[None])[0]))
    return 1 / least if least > 0 else np.inf


def _witness(G: Vector, ball: Ball, enough: bool = False) -> Vector | None:
    """A vector with G a >= 1 and h(a) < 1 where there is one; G has no zero row. enough : whether None will do when time is up."""
    if not len(G):
        return np.where(ball.radii > 0, 0.0, 1.0)
    weights = ball.radii
    for _ in range(REWEIGHTINGS):
        if enough and current().expired():
            return None
        a, lower = _least_distance(G, ball, weights)
        if a is None or lower >= 1:
            return None
        if isinstance(ball.perturbation, L2) or ball.support(a[None])[0] < 1:
            return a
        weights = _reweighted(weights, a, ball)
    return _linear_program(G, ball, current().remaining() if enough else np.inf)


def _reweighted(weights: Vector, a: Vector, ball: Ball) -> Vector:
    """Weights whose least-distance problem comes nearer to that of h (iteratively reweighted least squares, Lawson 1961): a sum
    of r |a| asks for r / |a| as the squared weights, a maximum of r |a| for more weight where it is large."""
    size = ball.radii * np.abs(a)
    share = size / size.max() if size.any() else np.ones_like(size)
    if isinstance(ball.perturbation, L1):
        return weights * np.sqrt(np.maximum(share, 1e-3))
    return ball.radii / np.sqrt(np.maximum(share, 1e-3))


def _least_distance(G: Vector, ball: Ball, weights: Vector) -> tuple[Vector | None, float]:
    """min |W a|_2 subject to G a >= 1, and a lower bound on h(a) over all such a; (None, inf) when there are none.

    The bound is the dual's: for p = G'alpha, sum alpha = 1, alpha >= 0, that is 0 on the unperturbed columns,
    h(a) gauge(p) >= p.a >= 1.
    """
    from scipy.optimize import nnls

    live = ball.radii > 0
    # what the unperturbed columns can explain of the others they explain for free: a substitution that keeps weights small
    share = np.linalg.lstsq(G[:, ~live], G[:, live], rcond=None)[0]
    rest, free = (G[:, live] - G[:, ~live] @ share) / weights[live], G[:, ~live]
    size = float(np.abs(rest).max(initial=0.0)) or 1.0
    price = np.maximum(np.abs(free).max(axis=0, initial=0.0), 1e-300) * FREE
    E = np.vstack([rest.T / size, (free / price).T, np.ones(len(G))])
    try:
        alpha, residual = nnls(E, np.append(np.zeros(G.shape[1]), 1.0), maxiter=30 * max(E.shape))
    except RuntimeError:  # no convergence: nothing found and nothing proved
        return np.full(G.shape[1], np.nan), 0.0
    if residual <= 1e-10:
        return None, float("inf")
    left = E @ alpha
    left[-1] -= 1.0
    scaled = -left[:-1] / left[-1]
    a = np.empty(G.shape[1])
    a[live] = scaled[: live.sum()] / size / weights[live]
    a[~live] = scaled[live.sum() :] / price - share @ a[live]
    a = a / max(float((G @ a).min()), 1e-12)  # rounding may break G a >= 1 by a little
    return a, _dual_bound(G, alpha, ball)


def _dual_bound(G: Vector, alpha: Vector, ball: Ball) -> float:
    """1 / gauge(G'alpha), alpha moved until the unperturbed columns cancel; 0 where that fails."""
    free = ball.radii == 0
    used = np.flatnonzero(alpha)
    if free.any():
        part, total = G[np.ix_(used, free)], alpha.sum()
        alpha = alpha.copy()
        alpha[used] -= np.linalg.lstsq(part.T, part.T @ alpha[used], rcond=None)[0]
        left = np.abs(part.T @ alpha[used]).max()
        if alpha.min() < 0 or alpha.sum() < 0.5 * total or left > 1e-12 * np.abs(part).max() * total:
            return 0.0
    gauge = float(ball.gauge((G.T @ (alpha / alpha.sum()))[None])[0])
    return 1 / gauge if gauge > 0 else float("inf")


def _linear_program(G: Vector, ball: Ball, seconds: float = np.inf) -> Vector | None:
    """min h(a) subject to G a >= 1, h the box's (sum r |a|) or the diamond's (max r |a|); None when there is no such a."""
    from scipy.optimize import linprog

    n, d = G.shape
    r = ball.radii
    if isinstance(ball.perturbation, L1):
        cost = np.append(np.zeros(2 * d), 1.0)
        below = np.hstack([np.diag(r), np.diag(r), -np.ones((d, 1))])[r > 0]
        A = np.vstack([np.hstack([-G, G, np.zeros((n, 1))]), below])
        b = np.append(-np.ones(n), np.zeros(len(below)))
    else:
        cost, A, b = np.append(r, r), np.hstack([-G, G]), -np.ones(n)
    found = linprog(cost, A_ub=A, b_ub=b, method="highs", options={} if np.isinf(seconds) else {"time_limit": seconds})
    if found.x is None:
        return None
    a = found.x[:d] - found.x[d : 2 * d]
    smallest = float((G @ a).min())
    return a / smallest if smallest > 0 else None
