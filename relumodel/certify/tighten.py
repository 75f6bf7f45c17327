"""Better cone multipliers for the blocks that exceed the penalty's dual norm.

For one block with sign cone G u >= 0 and loss part g, the bound needs  min over alpha >= 0 of  || G'alpha - g ||_* <= beta.
In the 2-norm that is non-negative least squares; in the max-norm a small linear program.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arrangement.cone_projection import cone_multipliers
from ..functions.base import GroupNorm, Nonnegative, Norm
from ..maps.base import Kron, LinearMap, MaskedProduct
from ..maps.on_slice import OnSlice
from ..program.program import Program, Term
from ..program.ranks import SingleProcess
from ..resources.deadline import current

Vector = NDArray[np.float64]

#: Blocks times entries of X beyond which this would take minutes; the bound is then what the multipliers are worth as they are.
LARGE = 2e8


def tighten(program: Program, q: dict[str, Vector], rest: Vector) -> tuple[dict[str, Vector], Vector]:
    """Multipliers with the cones' part improved block by block, and what is then left to the penalty (never larger).

    Blocks not reached by the current deadline stay as they are. Those that exceed beta most come first.
    """
    penalty = program.term("penalty").function
    assert isinstance(penalty, Norm)
    for term in program.terms:
        K = _of_one_output(term.map)
        if isinstance(term.function, Nonnegative) and isinstance(K, MaskedProduct) and not K.summed:
            q, rest = _tightened(program, term, K, penalty, q, rest)
    return q, rest


def _tightened(
    program: Program, term: Term, K: MaskedProduct, penalty: Norm, q: dict[str, Vector], rest: Vector
) -> tuple[dict[str, Vector], Vector]:
    """The same for the cones of one term, K x >= 0."""
    fit = _euclidean if isinstance(penalty, GroupNorm) else _largest_entry
    C, P, d = K.blocks
    # after the blocks with cones, every output may have others
    each = (term.map.one if isinstance(term.map, Kron) else term.map).shape[1] // d
    n, ranks = K.X.shape[0], program.ranks
    if ranks.size > 1 and fit is not _euclidean:  # a linear program needs all rows
        return q, rest
    multipliers = q[term.name].reshape(-1, n).copy()
    left = rest.reshape(-1, d).copy()
    gauges = penalty.block_gauges(rest)
    over = np.flatnonzero((gauges > penalty.beta) & (np.arange(len(gauges)) % each < C * P))
    if len(over) * ranks.sum(n) * d > LARGE:
        return q, rest
    for b in over[np.argsort(-gauges[over], kind="stable")]:
        if ranks.any(current().expired()):
            break
        r, i = divmod(b, each)
        own = r * C * P + i
        G = K.signs[i // P] * K.mask[i % P][:, None] * K.X
        loss_part = left[b] + ranks.sum(G.T @ multipliers[own])  # rest = loss part - G' q
        alpha = fit(G, -loss_part, multipliers[own], ranks)
        if alpha is None:
            continue
        candidate = loss_part + ranks.sum(G.T @ alpha)
        if penalty.block_gauges(candidate)[0] < penalty.block_gauges(left[b])[0]:
            multipliers[own], left[b] = -alpha, candidate
    return {**q, term.name: multipliers.reshape(-1)}, left.reshape(-1)


def _of_one_output(K: LinearMap) -> LinearMap:
    K = K.one if isinstance(K, Kron) else K
    return K.one if isinstance(K, OnSlice) else K


def _euclidean(G: Vector, target: Vector, multipliers: Vector, ranks: SingleProcess) -> Vector | None:
    """argmin over alpha >= 0 of | G'alpha - target |_2."""
    likely = np.flatnonzero(multipliers < 0)
    return cone_multipliers(G, -target, likely if ranks.any(len(likely) > 0) else None, ranks)


def _largest_entry(G: Vector, target: Vector, multipliers: Vector, ranks: SingleProcess) -> Vector | None:
    """argmin over alpha >= 0 of max | G'alpha - target |."""
    from scipy.optimize import linprog

    n, d = G.shape
    one = np.ones((d, 1))
    result = linprog(
        np.append(np.zeros(n), 1.0),
        A_ub=np.block([[G.T, -one], [-G.T, -one]]),
        b_ub=np.concatenate([target, -target]),
        method="highs",
    )
    return result.x[:n] if result.status == 0 else None
