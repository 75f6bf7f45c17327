"""Shapes of a network as terms on the blocks of its lifting: a_j u_j is a row of v, or minus one of w."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from ..declare.shapes import CURVED, Shape
from ..functions.base import Nonnegative
from ..functions.budget import BlockBudget
from ..maps.base import Identity
from ..maps.readings import Composed
from ..program.program import Program, Term


def shape_terms(program: Program, shapes: tuple[Shape, ...], names: tuple[str, ...] | None, d: int) -> tuple[Term, ...]:
    """One term a shape; curvature is in the lifting. d : the features without the bias."""
    return tuple(
        _term(program, shape, f"shape {i}", names, d) for i, shape in enumerate(shapes, start=1) if shape.kind not in CURVED
    )


def _term(program: Program, shape: Shape, name: str, names: tuple[str, ...] | None, d: int) -> Term:
    starts = [
        (v.start + i * v.shape[1], 1.0 if v.name.startswith("v") else -1.0) for v in program.variables for i in range(v.shape[0])
    ]
    first = np.array([start for start, _ in starts])
    if shape.kind == "lipschitz":
        return Term(
            name, BlockBudget(shape.bound, d), _picked((first[:, None] + np.arange(d)).ravel(), np.ones(len(first) * d), program)
        )
    sign = 1.0 if shape.kind == "increasing" else -1.0
    return Term(name, Nonnegative(), _picked(first + shape.column(names, d), sign * np.array([s for _, s in starts]), program))


def _picked(at: NDArray[Any], signs: NDArray[np.float64], program: Program) -> Composed:
    N = program.n_variables
    return Composed(scipy.sparse.csr_array((signs, (np.arange(len(at)), at)), shape=(len(at), N)), Identity(N))
