"""A proven bound above a measured objective: an error that says which faces of a loss, penalty or term cannot all be true.

Weak duality: at any x,  objective(x) >= bound - sum over constraints of q_j . e_j,  where e_j is what K_j x is outside by; so what a bound
may be above the objective is at most the sum of |q_j|_1 times the violations, and rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ProofError
from ..program.program import Program
from .bound import DualPoint

if TYPE_CHECKING:
    from ..functions.losses import Loss
    from ..functions.penalties import Penalty

#: Rounding, relative to bound and objective, and to the products q.K x whose sum is zero.
ROUNDING, CANCELLED = 1e-9, 1e-12


def refuse_contradiction(program: Program, point: NDArray[np.float64], objective: float, proof: DualPoint) -> None:
    """A `ProofError` where the bound is above the objective at a point by more than rounding and violations explain."""
    over = proof.bound - objective
    if not over > ROUNDING * max(abs(proof.bound), abs(objective)):
        return
    slack, shortest, where = 0.0, 0.0, ""
    for term in program.terms:
        f, q, z = term.function, proof.multipliers[term.name], term.map.forward(point)
        slack += CANCELLED * float(np.abs(q) @ np.abs(z))
        slack += float(np.abs(q).sum()) * float(f.violation(z)) if term.constrains else 0.0
        least = 0.0 if f.indicator else float(f.value(z))
        short = float(q @ z) - least - float(f.conjugate(q))
        if short > shortest:
            shortest = short
            where = (
                f"At this point value and conjugate of the term {term.name!r} ({_called(f)}) add up to {short:.6g} less than z.q. "
            )
    ranks = program.ranks
    if over > ROUNDING * max(abs(proof.bound), abs(objective)) + ranks.sum(slack):
        terms = {f"term {t.name!r}": (t.function, t.map.shape[0]) for t in program.added}
        raise contradiction(proof.bound, objective, program.model.loss, program.model.penalty, terms, where)


def _called(function: Any) -> str:
    """The name of a function's class, and of the loss inside of it."""
    loss = getattr(getattr(function, "clean", function), "loss", None)
    return type(function).__name__ + ("" if loss is None else f" of {type(loss).__name__}")


def refuse_above(bound: float, objective: float, loss: Loss, penalty: Penalty) -> None:
    """The same for the bound of a training problem, and the objective of a network."""
    if bound > objective + ROUNDING * max(abs(bound), abs(objective)):
        raise contradiction(bound, objective, loss, penalty, {})


def contradiction(
    bound: float, objective: float, loss: Loss | None, penalty: Penalty, terms: dict[str, tuple[Any, int]], where: str = ""
) -> ProofError:
    """The error, with what the checks of faces find. terms : name -> function and the length of what it reads.  where : which term it is."""
    from ..faces.functions import broken  # here, because nothing is wrong most of the time
    from ..faces.penalties import of_penalty
    from ..faces.subject import of_function, of_loss

    subjects = [of_penalty(penalty), *(of_function(f, m) for f, m in terms.values())]
    names = [f"the penalty {type(penalty).__name__}", *terms]
    if loss is not None:
        subjects.insert(0, of_loss(loss))
        names.insert(0, f"the loss {type(loss).__name__}")
    found = [f"of {name}, {what}" for name, subject in zip(names, subjects, strict=True) if (what := broken(subject))]
    said = f"A bound of {bound:.8g} was proved, but the objective is {objective:.8g}. {where}"
    if found:
        return ProofError(
            said + "Faces disagree: " + "; ".join(found) + ". relumodel.testing.check_loss and its like show all of it."
        )
    return ProofError(
        said
        + f"No face of {', '.join(names)} was found to be wrong by relumodel.testing's checks; if all are relumodel's own, this is a fault "
        "of relumodel: please report it with the data."
    )
