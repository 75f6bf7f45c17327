"""What the user pays for weights. On a network: the penalty of its neurons; on a convex block: a norm.

The two are linked by scaling: a neuron (u, a) computes the same after (c u, a / c), and the cheapest c turns the
penalty of a neuron into beta times the norm of the block |a| u (Pilanci & Ergen 2020, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from .declared import Declared, number
from .program.functions import GroupNorm, L1Norm

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Penalty(Declared, abstract=True):
    """Base of the penalties; beta >= 0 is the strength."""

    beta: float

    #: the penalty of the neurons in readable mathematics, with {beta}
    formula: ClassVar[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "beta", number(self.beta, "beta", low=0))

    def function(self, size: int) -> GroupNorm | L1Norm:
        """The norm on convex blocks of `size` entries."""
        raise NotImplementedError

    def of_network(self, hidden: Matrix, output: Matrix) -> float:
        """The penalty of the neurons: hidden (d, m), output (m,)."""
        raise NotImplementedError

    def norms(self, blocks: Matrix) -> Matrix:
        """The norm of every row of `blocks`."""
        raise NotImplementedError


@dataclass(frozen=True)
class WeightDecay(Penalty):
    """beta / 2 sum_j (|u_j|_2^2 + a_j^2); beta |v|_2 on convex blocks."""

    formula: ClassVar[str] = "{beta}/2 sum_j ( |u_j|_2^2 + a_j^2 )"

    def function(self, size: int) -> GroupNorm:
        return GroupNorm(self.beta, size)

    def of_network(self, hidden: Matrix, output: Matrix) -> float:
        return 0.5 * self.beta * float((hidden**2).sum() + (output**2).sum())

    def norms(self, blocks: Matrix) -> Matrix:
        return np.linalg.norm(blocks, axis=1)


@dataclass(frozen=True)
class PathNorm(Penalty):
    """beta sum_j |u_j|_1 |a_j|, the l1 path norm; beta |v|_1 on convex blocks. With the hinge or absolute loss an LP."""

    formula: ClassVar[str] = "{beta} sum_j |u_j|_1 |a_j|"

    def function(self, size: int) -> L1Norm:
        return L1Norm(self.beta, size)

    def of_network(self, hidden: Matrix, output: Matrix) -> float:
        return self.beta * float((np.abs(hidden).sum(axis=0) * np.abs(output)).sum())

    def norms(self, blocks: Matrix) -> Matrix:
        return np.abs(blocks).sum(axis=1)
