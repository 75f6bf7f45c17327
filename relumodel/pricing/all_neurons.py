"""The largest price of a neuron, max |nu'sigma(Xu)| over all directions u, with a proof.

A dual point nu bounds the training problem itself, over networks of every width and all patterns, when this is at most beta
(Pilanci & Ergen 2020, the dual of the non-convex problem). Branch and bound over the directions finds it in small rank; a time limit
leaves a valid, weaker bound.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import read_features
from ..declared import number
from ..errors import InputError
from .cone_relaxation import ConeRelaxation
from .price_function import PriceFunction, reduced
from .price_search import Relaxation, Searched, branch_and_bound
from .simplex_relaxation import SimplexRelaxation

Matrix = NDArray[np.float64]

#: Directions from which ascents start, and their steps.
STARTS, ASCENT = 256, 40
#: In more dimensions than this there are too many orthants to start from, and no search is made.
MOST_DIMENSIONS = 14


@dataclass(frozen=True, eq=False)
class Price:
    """lower <= max |nu'sigma(Xu)| <= upper over the unit ball.

    lower : attained by `direction` (d,).  upper : proven, up to the rounding it includes.
    exhaustive : the search ended by itself: upper is within `tol` of lower, or at most the target, plus rounding.
    nodes : cones of directions that were bounded.  method : one phrase for reports.
    """

    lower: float
    upper: float
    direction: Matrix
    exhaustive: bool
    nodes: int
    method: str


def largest_price(
    X: Any,
    nu: Any,
    slope: float = 0.0,
    norm: str = "l2",
    *,
    time_limit: float | None = None,
    target: float | None = None,
    tol: float = 1e-9,
    seed: int = 0,
    beyond: bool = True,
) -> Price:
    """max over |u| <= 1 of |sum_k nu_k sigma(x_k.u)|, sigma(t) = max(t, 0) + slope min(t, 0), over all directions u.

    X : (n, d), the bias column included.  nu : (n,).  norm : of u, "l2" or "l1".
    target : stop as soon as the maximum is known to be at most this much.  tol : relative accuracy otherwise.
    beyond : go on when a direction has a larger price than the target; else that ends the search.
    time_limit : seconds, after which the bound is what has been proven by then.

    `upper` includes twice the sum of what was neglected: directions of X below rounding, rows merged as parallel, and
    (n + d + 64) 4 eps sum_k |nu_k| |x_k| for the rounding of sums and of the corners of the cones.
    Raises `InputError` when shapes or values are off.
    """
    features, weights, slope = _checked(X, nu, slope, norm)
    deadline = np.inf if time_limit is None else time.perf_counter() + number(time_limit, "time_limit", above=0)
    enough = -np.inf if target is None else number(target, "target", low=0)
    of_x, of_nu = float(np.abs(features).max()), float(np.abs(weights).max())
    if of_x == 0 or of_nu == 0:
        return Price(0.0, 0.0, np.zeros(features.shape[1]), True, 0, "no direction has a price")
    small = reduced(features / of_x, weights / of_nu, slope, rotate=norm == "l2")
    enough = max(enough / of_x / of_nu - 2 * small.error, small.error)
    found = _searched(small.function, norm, enough, tol, deadline, seed, np.inf if beyond else enough)
    direction = found.point @ small.basis
    lower = abs(float(weights @ _sigma(features @ direction, slope)))
    upper = max(lower, (found.upper + 2 * small.error) * of_x * of_nu)
    method = f"branch and bound over {found.nodes:,} cones, rank {len(found.point)}"
    return Price(lower, upper, direction, found.finished, found.nodes, method)


def _searched(f: PriceFunction, norm: str, enough: float, tol: float, deadline: float, seed: int, most: float) -> Searched:
    """The largest |F|: of F and of - F that one first whose ascents got higher, so that the other need only stay below it."""
    rank = len(f.c)
    if rank == 0:
        return Searched(0.0, 0.0, np.zeros(0), 0, True)
    relaxations: list[Relaxation] = [(ConeRelaxation if norm == "l2" else SimplexRelaxation)(g) for g in (f, f.negated())]
    starts = [ascent(relaxation, seed) for relaxation in relaxations]
    values = [float(g.function.value(u[None])[0]) for g, u in zip(relaxations, starts, strict=True)]
    best = Searched(0.0, 0.0, np.zeros(rank), 0, True)
    for k, which in enumerate(np.argsort([-value for value in values])):
        now = time.perf_counter()
        until = deadline if k == 1 or np.isinf(deadline) else now + (deadline - now) / 2
        if rank > MOST_DIMENSIONS:
            found = Searched(values[which], np.inf, starts[which], 0, False)
        else:
            found = branch_and_bound(relaxations[which], starts[which], max(enough, best.lower), tol, until, most)
        upper = max(best.upper, min(found.upper, _crude(relaxations[which].function, norm)))
        better = found if found.lower > best.lower else best
        best = Searched(better.lower, upper, better.point, best.nodes + found.nodes, best.finished and found.finished)
    return best


def _checked(X: Any, nu: Any, slope: float, norm: str) -> tuple[Matrix, Matrix, float]:
    """The arguments as arrays and numbers, or an error."""
    features = read_features(X)[0]
    weights = np.asarray(nu, dtype=np.float64)
    if weights.shape != (len(features),) or not np.isfinite(weights).all():
        raise InputError(f"nu must hold one finite number a sample, shape ({len(features)},); got shape {weights.shape}.")
    if norm not in ("l2", "l1"):
        raise InputError(f"norm must be 'l2' (rm.WeightDecay) or 'l1' (rm.PathNorm); got {norm!r}.")
    return features, weights, number(slope, "slope", low=0, below=1)


def _sigma(t: Matrix, slope: float) -> Matrix:
    return np.where(t > 0, t, slope * t)


def _crude(f: PriceFunction, norm: str) -> float:
    """|c| plus the sum of the weights of the convex part: at least F, as the rows of Y have length 1."""
    return float((np.linalg.norm(f.c) if norm == "l2" else np.abs(f.c).max(initial=0.0)) + f.up.sum())


def ascent(relaxation: Relaxation, seed: int) -> Matrix:
    """The best point (r,) of the unit ball that many short ascents find; zero where none is above zero."""
    f = relaxation.function
    rank = len(f.c)
    U = np.random.default_rng(seed).standard_normal((STARTS, rank))
    U /= relaxation.size(U)[:, None]
    values, step = f.value(U), np.ones(STARTS)
    for _ in range(ASCENT):
        gradient = f.gradient(U)
        length = np.linalg.norm(gradient, axis=1)
        tried = U + (step / np.where(length > 0, length, 1.0))[:, None] * gradient
        size = relaxation.size(tried)
        tried /= np.where(size > 0, size, 1.0)[:, None]
        new = f.value(tried)
        better = new > values
        U, values, step = (
            np.where(better[:, None], tried, U),
            np.where(better, new, values),
            np.where(better, 1.5 * step, 0.5 * step),
        )
    best = int(values.argmax())
    return U[best] if values[best] > 0 else np.zeros(rank)
