"""A lower bound on a program's optimum from any dual candidate (Pilanci & Ergen 2020, dual of the convex program).

For  min_x  sum_j f_j(K_j x)  every choice of multipliers with  sum_j K_j' q_j = 0  gives  - sum_j f_j*(q_j)  <=  optimum.
The candidate's q_j are first moved into the domains of f_j*; the norm penalty then has to carry the rest, r = - sum K_j' q_j,
which it does when its dual norm allows. If not, everything is scaled down until it does: the domains of losses and cones
contain the segment to 0. The scale is chosen to make the bound largest. No word of the solver enters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..functions.base import Linear, Norm
from ..functions.support import SupportEpigraph
from ..program.program import Program, Term
from ..resources.deadline import current
from . import unit_neurons
from .scaling import scaled_bound
from .tighten import tighten

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DualPoint:
    """A dual-feasible point: one multiplier q_j a term with sum_j K_j' q_j = 0 (exactly, by construction), and its value."""

    bound: float
    multipliers: dict[str, Vector]


def relative_gap(objective: float, bound: float) -> float:
    """(objective - bound) / |objective|, and 0 when both are 0."""
    difference = objective - bound
    if difference <= 0 and abs(difference) <= 1e-12 * max(abs(objective), abs(bound)):
        return 0.0
    if objective == 0:
        return 0.0 if difference == 0 else float(np.sign(difference)) * float("inf")
    return difference / abs(objective)


@np.errstate(over="ignore", invalid="ignore")  # a candidate may be garbage; what it cannot prove is not claimed
def certify(program: Program, point: Vector, duals: dict[str, Vector] | None = None, tol: float = 1e-6) -> DualPoint:
    """The best bound that the given dual candidate, or the loss gradient at `point`, can be made to prove.

    Multipliers that are not improved by the current deadline count as they are, and of two candidates the first.
    """
    candidates = []
    if duals is not None and program.ranks.all(all(np.isfinite(q).all() for q in duals.values())):
        candidates.append(_feasible(program, duals, tol))
    objective = program.objective(point)
    late = bool(candidates) and program.ranks.any(current().expired())
    if not late and (not candidates or relative_gap(objective, candidates[0].bound) > tol):
        candidates.append(_feasible(program, gradients(program, point), tol))
    return max(candidates, key=lambda dual: dual.bound)


def gradients(program: Program, point: Vector) -> dict[str, Vector]:
    """The dual candidate that a primal point suggests: the loss gradient at its prediction, nothing on the cones."""
    out = {}
    for term in program.terms:
        if hasattr(term.function, "gradient"):
            out[term.name] = term.function.gradient(term.map.forward(point))
        else:
            out[term.name] = np.zeros(term.map.shape[0])
    return out


def _feasible(program: Program, duals: dict[str, Vector], tol: float) -> DualPoint:
    carrier, penalty = program.term("penalty"), program.term("penalty").function
    if isinstance(penalty, Linear):
        return _feasible_on_matrices(program, duals)
    if not isinstance(penalty, Norm):
        raise InputError(
            f"A bound needs the dual norm of the penalty; {type(penalty).__name__} is no Norm of relumodel.functions.base with block_gauges(q)."
        )
    others = [t for t in program.terms if t is not carrier]
    q = {t.name: _projected(t, duals[t.name]) for t in others}
    rest = _rest(program, q)
    if not np.isfinite(rest).all():  # it overflowed: only the zero multipliers are sure to be feasible
        q, rest = {name: np.zeros_like(part) for name, part in q.items()}, np.zeros_like(rest)
    gauge = program.ranks.largest(penalty.dual_gauge(carrier.map.forward(rest)))
    if gauge > 1 + 0.1 * tol:
        q, _ = tighten(program, q, rest)
        rest = _rest(program, q)  # afresh: the rest before may have been so large that little of its digits is left
        gauge = program.ranks.largest(penalty.dual_gauge(carrier.map.forward(rest)))

    scale, value = scaled_bound([(t.function, q[t.name]) for t in others], gauge, program.ranks)
    multipliers = {t.name: scale * q[t.name] for t in others}
    multipliers[carrier.name] = scale * carrier.map.forward(rest)
    return DualPoint(value, multipliers)


def _feasible_on_matrices(program: Program, duals: dict[str, Vector]) -> DualPoint:
    """The same for polynomial networks: a linear penalty, semidefinite cones and trace conditions carry the rest together."""
    loss, beta = program.term("loss"), program.term("penalty").function.beta  # type: ignore[attr-defined]
    others = [loss, *program.added]
    q = {t.name: _projected(t, duals[t.name]) for t in others}
    rest = -sum(t.map.adjoint(q[t.name]) for t in others)
    if not np.isfinite(rest).all():
        q, rest = {name: np.zeros_like(part) for name, part in q.items()}, np.zeros_like(rest)
    price = unit_neurons.price(program, rest)
    gauge = price / beta if beta > 0 else np.inf if price > 0 else 0.0
    scale, value = scaled_bound([(t.function, q[t.name]) for t in others], gauge, program.ranks)
    return DualPoint(value, {**{name: scale * part for name, part in q.items()}, **unit_neurons.completed(program, rest, scale)})


def _projected(term: Term, q: Vector) -> Vector:
    """A point of the domain of a term's conjugate near q, or an error that names the term."""
    try:
        return term.function.project_dual(q)
    except NotImplementedError as error:
        raise InputError(
            f"No bound takes the term {term.name!r} into account: {type(term.function).__name__} does not define project_dual(q) and conjugate(q)."
        ) from error


def _rest(program: Program, q: dict[str, Vector]) -> Vector:
    """- sum K_j' q_j, what is left for the penalty. Variables that carry no penalty (the sizes p >= h(u) of a crossing program)
    are balanced exactly first, by the term that bounds them; `q` is completed in place."""
    rest = -program.ranks.sum(sum(program.term(name).map.adjoint(part) for name, part in q.items()))
    for term in program.terms:
        if isinstance(term.function, SupportEpigraph):
            old = q[term.name]
            on_sizes = (rest + old)[-term.function.B :]
            q[term.name] = term.function.absorb(old, on_sizes)
            rest = rest + old - q[term.name]
    return rest
