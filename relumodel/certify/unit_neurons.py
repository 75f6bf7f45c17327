"""What the penalty of a polynomial network can carry of the multipliers of its loss.

With R = - (the adjoint of the prediction) nu, the multipliers of the loss are feasible exactly when no unit neuron prices above beta:

    max over |u|_2 = 1 of  [u; 1]' R [u; 1]  <=  beta,   for R and for - R,

a trust-region problem without a gap: some mu, the multiplier of the trace condition, makes R - mu diag(I, -1) - beta E negative
semidefinite, E the corner. One eigendecomposition and a secular equation decide it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..functions.semidefinite import Semidefinite
from ..functions.trust_region import unit_ball_minimum
from ..program.program import Program

Vector = NDArray[np.float64]


class Dearest(NamedTuple):
    """The neuron u (d,) of the highest price, that price, bounded from above, and the multiplier mu of |u| = 1."""

    price: float
    mu: float
    u: Vector


def dearest_neuron(R: Vector) -> Dearest:
    """Where [u; 1]' R [u; 1] is largest over |u|_2 = 1."""
    values, vectors = np.linalg.eigh(-R[:-1, :-1])
    found = unit_ball_minimum(values, (-2 * R[-1:, :-1]) @ vectors, sphere=True)
    return Dearest(float(R[-1, -1] - found.value[0]), float(found.mu[0]), found.point[0] @ vectors.T)


def price(program: Program, rest: Vector) -> float:
    """The largest of the maxima of `rest`, svec R and svec -R for each output, at least 0."""
    return max(0.0, *(dearest_neuron(R).price for R in _matrices(program, rest)))


def _matrices(program: Program, rest: Vector) -> NDArray[np.float64]:
    cone = program.term("matrices").function
    assert isinstance(cone, Semidefinite)
    return cone.matrices(rest)


def completed(program: Program, rest: Vector, scale: float) -> dict[str, Vector]:
    """The multipliers of the penalty, the matrices and the traces that carry scale * rest exactly."""
    penalty, traces = program.term("penalty"), program.term("traces")
    mu = np.array([dearest_neuron(R).mu for R in _matrices(program, rest)])
    q = {"penalty": penalty.function.project_dual(np.zeros(len(mu))), "traces": scale * mu}
    left = scale * rest - penalty.map.adjoint(q["penalty"]) - traces.map.adjoint(q["traces"])
    return {**q, "matrices": left}
