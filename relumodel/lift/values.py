"""Programs on the values of a network themselves: a network with a bias can have any values at different points, so constraints on
values that no numbers satisfy, no network does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..functions.base import L1Norm
from ..maps.base import Identity
from ..maps.readings import Composed
from ..program.program import Guarantee, Program, Term, Variable
from .problem import Read

Matrix = NDArray[np.float64]

#: The price of the size of values, small beside that of a violation: values beyond 1 / SIZE times the violation are out of reach.
SIZE = 1e-7


@dataclass(frozen=True, eq=False)
class ValuesInverse:
    """The way back where the point is the answer: nothing to repair, and no network."""

    X: Matrix
    constraints = frozenset[str]()
    patterns = None
    by_hand = "the columns are the values at the points, output by output."

    def repair(self, program: Program, x: Matrix, room: float = 0.0) -> Matrix:
        return x

    def network(self, x: Matrix) -> Any:
        raise NotImplementedError

    def reweighted(self, model: Any) -> ValuesInverse:
        return self

    def describe(self) -> list[tuple[str, str]]:
        return [("data", f"{len(self.X)} points")]


def on_values(read: Read) -> Program:
    """minimise J(A z) + SIZE |z|_1 over the values z at the points. Its objective at any values is above what no network goes below."""
    n = read.A.shape[1]
    terms = (Term("loss", read.function, Composed(read.A, Identity(n))), Term("penalty", L1Norm(SIZE, 1), Identity(n)))
    guarantee = Guarantee("exact", "the values are free", "any values at different points are those of a network with a bias")
    return Program(None, (Variable("z", (n,), 0),), terms, guarantee, ValuesInverse(read.points))
