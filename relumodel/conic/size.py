"""How much memory a conic form takes, from the shapes of its linear maps, before any of it is there."""

from __future__ import annotations

from typing import Any

from ..functions.ball_loss import BallLoss
from ..functions.semidefinite import Semidefinite, packed_size
from ..maps.base import Kron, SegmentSums
from ..maps.quadratic_maps import BallQuadratics, QuadraticPrediction
from ..program.program import Program

#: Bytes of a coefficient: a float64, and its row in 64 bits.
ENTRY = 16

#: Assembling takes this many times the matrix at its peak: by rows and by columns.
PEAK = 2


def instead(program: Program) -> str:
    """What to do where a form does not fit, for messages."""
    loss = program.term("loss").map
    if isinstance(loss.one if isinstance(loss, Kron) else loss, QuadraticPrediction | BallQuadratics):
        return "Use backend='descent', which holds no such matrix, or fewer features or samples."
    if any(isinstance(term.map, SegmentSums) for term in program.terms):
        return "Use fewer sub-networks or samples; model.compile_batches goes through the data a batch at a time."
    return (
        "Use backend='admm', which holds no such matrix, or fewer patterns or samples; model.compile_batches goes through the data a batch "
        "at a time."
    )


def matrix_bytes(program: Program) -> float:
    """About what the constraint matrix takes. Every map stands in it once; what losses and norms add is small beside that."""
    return ENTRY * sum(nonzeros(term.map) + term.map.shape[0] for term in program.terms)


def form_bytes(program: Program) -> float:
    """About what `Program.conic` takes at its peak."""
    return PEAK * matrix_bytes(program)


def semidefinite_bytes(program: Program) -> float:
    """What an interior point takes for the scalings of semidefinite cones, a dense triangle each over the entries of its matrix."""
    total = 0.0
    for term in program.terms:
        copies = term.map.times if isinstance(term.map, Kron) else 1
        if isinstance(term.function, Semidefinite):
            size = packed_size(term.function.order)
            total += (term.map.shape[0] // size) * size * (size + 1) / 2
        elif isinstance(term.function, BallLoss):
            size = packed_size(term.function.p + 1)
            total += copies * len(term.function.samples) * size * (size + 1) / 2
    return 8 * total


def nonzeros(linear_map: Any) -> int:
    """Entries of a linear map's matrix, at most; of one that does not say, its rows."""
    return int(getattr(linear_map, "nonzeros", linear_map.shape[0]))
