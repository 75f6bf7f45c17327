"""Problems that users compose: minimise a sum of terms of readings of one network and a penalty, subject to constraints on readings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, InputTypeError
from ..functions.losses import Squared
from ..functions.penalties import Penalty
from .box import Box
from .constraints import Constraint, NormOf
from .everywhere import Everywhere
from .networks import DeclaredNetwork
from .shapes import CURVED, Shape, at_points
from .terms import Objective, Term

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Problem:
    """minimise over networks f of any width  sum of terms of readings of f + penalty,  subject to constraints on readings of f.

    objective : a sum such as `rm.Pinball(0.9)(f(X), y) + 0.5 * rm.Absolute()(f(X2), y2) + rm.WeightDecay(1e-3)`; weight 0 without a penalty
        is refused, for then the infimum need not be attained.
    subject_to : constraints, e.g. `[f(x0) == 0, f(E) <= 1, rm.norm(f(Z), 2) <= 3]`.
    Raises `InputError` / `InputTypeError` for parts of two networks, for what is no term or constraint and for a problem without a term.
    Exact for every convex function of the network's values at the union of all points (Pilanci & Ergen 2020, Theorem 1, whose proof uses no
    more of the loss).
    """

    network: DeclaredNetwork
    penalty: Penalty
    terms: tuple[Term, ...]
    constraints: tuple[Constraint, ...]
    shapes: tuple[Shape, ...]
    everywhere: tuple[Everywhere, ...]

    #: what models have and problems do not: a set of perturbations of all points
    perturbation = None

    def __init__(self, objective: Any, subject_to: Any = ()) -> None:
        total = Objective.of(objective)
        given = _constraints(subject_to)
        constraints = tuple(c for c in given if isinstance(c, Constraint))
        shapes = tuple(c for c in given if isinstance(c, Shape))
        everywhere = tuple(c for c in given if isinstance(c, Everywhere))
        terms = tuple(term for term in total.terms if term.scale > 0)
        parts: tuple[Any, ...] = (*terms, *constraints)
        readings = [part.reading for part in parts]
        if not readings:
            raise InputError("A problem needs a term or a constraint that reads a network, e.g. rm.Squared()(f(X), y).")
        network = readings[0].network
        if any(part.network is not network for part in (*readings, *shapes, *everywhere)):
            raise InputError(
                "The parts of this problem read two networks; a problem is about one. For two functions use outputs=2."
            )
        if len(total.penalties) != 1:
            raise InputError(
                f"The objective of a problem has one penalty, e.g. ... + rm.WeightDecay(1e-3); this one has {len(total.penalties)}."
            )
        network.refuse(total.penalties[0], None)
        _refuse_names([block.names for reading in readings for block in reading.blocks])
        _refuse_widths({block.points.shape[1] for reading in readings for block in reading.blocks})
        if {"convex", "concave"} <= {shape.kind for shape in shapes}:
            raise InputError("A network that is convex and concave is affine; fit a linear model, or ask for one of the two.")
        at = [shape for shape in shapes if shape.kind.endswith("at points")]
        shapes = tuple(shape for shape in shapes if shape not in at)
        if at:
            names = next((b.names for reading in readings for b in reading.blocks if b.names is not None), None)
            points = np.unique(np.concatenate([b.points for reading in readings for b in reading.blocks]), axis=0)
            constraints += tuple(at_points(shape, points, names) for shape in at)
        for name, value in (
            ("network", network),
            ("penalty", total.penalties[0]),
            ("terms", terms),
            ("constraints", constraints),
            ("shapes", shapes),
            ("everywhere", everywhere),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def made_of(cls, other: Problem) -> Any:
        """The same problem as one of this class."""
        new = object.__new__(cls)
        for f in dataclasses.fields(Problem):
            object.__setattr__(new, f.name, getattr(other, f.name))
        return new

    def _with(self, **changes: Any) -> Any:
        new = self.made_of(self)
        for name, value in changes.items():
            object.__setattr__(new, name, value)
        return new

    def subject_to(self, *constraints: Any) -> Any:
        """This problem with more constraints."""
        return type(self)(Objective(self.terms, (self.penalty,)), (*self._all, *_constraints(constraints)))

    def plus(self, *terms: Any) -> Any:
        """This problem with more terms."""
        return type(self)(sum(map(Objective.of, terms), Objective(self.terms, (self.penalty,))), self._all)

    @property
    def _all(self) -> tuple[Constraint | Shape | Everywhere, ...]:
        """Every constraint, of points, shapes and boxes."""
        return (*self.constraints, *self.shapes, *self.everywhere)

    def without_terms(self) -> Any:
        """The constraints and the penalty alone."""
        return self._with(terms=())

    def with_penalty(self, beta: float) -> Any:
        """This problem with another penalty strength."""
        return self._with(penalty=dataclasses.replace(self.penalty, beta=beta))

    @property
    def loss(self) -> Any:
        """A declared loss that says how networks predict: the first that reads margins or classes, else that of a residual."""
        losses = [term.loss for term in self.terms if term.loss is not None]
        return next((loss for loss in losses if loss.reads != "residual"), Squared())

    @property
    def outputs(self) -> int:
        """How many outputs the network has."""
        return self.network.outputs or 1

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """The names of the columns, where some points have them."""
        parts: tuple[Any, ...] = (*self.terms, *self.constraints)
        names = (block.names for part in parts for block in part.reading.blocks)
        return next((found for found in names if found is not None), None)

    @property
    def curvature(self) -> int:
        """1 for a convex network, -1 for a concave one, 0 for any."""
        return next((CURVED[shape.kind] for shape in self.shapes if shape.kind in CURVED), 0)

    @property
    def box(self) -> Box:
        """The smallest box that holds all points that are read."""
        parts: tuple[Any, ...] = (*self.terms, *self.constraints)
        points = np.concatenate([block.points for part in parts for block in part.reading.blocks])
        return Box(points.min(axis=0), points.max(axis=0), self.feature_names)

    def __str__(self) -> str:
        penalty = self.network.penalty_formula(self.penalty).format(beta=f"{self.penalty.beta:g}")
        lines = [f"minimise    {'  +  '.join([*map(str, self.terms), penalty])}", f"            {self.network.formula}"]
        if self.outputs > 1:
            lines[-1] += f",  {self.outputs} outputs"
        lines += [f"{'subject to' if i == 0 else '':<10}  {constraint}" for i, constraint in enumerate(self._all)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Problem: {len(self.terms)} terms, {len(self._all)} constraints, {self.penalty!r}>"


def _constraints(given: Any) -> tuple[Constraint | Shape | Everywhere, ...]:
    if isinstance(given, Constraint | Shape | Everywhere):
        return (given,)
    if not isinstance(given, Iterable):
        raise InputTypeError(f"subject_to is a list of constraints such as f(X) >= 0; got {given!r}.")
    out: list[Constraint | Shape | Everywhere] = []
    for constraint in given:
        if isinstance(constraint, Constraint | Shape | Everywhere):
            out.append(constraint)
        elif isinstance(constraint, list | tuple):
            out.extend(_constraints(constraint))
        else:
            hint = " Did you mean a comparison, such as norm(...) <= 1?" if isinstance(constraint, NormOf) else ""
            raise InputTypeError(f"A constraint is a comparison of readings, e.g. f(X) >= 0; got {constraint!r}.{hint}")
    return tuple(out)


def _refuse_names(names: list[tuple[str, ...] | None]) -> None:
    known = {found for found in names if found is not None}
    if len(known) > 1:
        one, other = sorted(known)[:2]
        raise InputError(f"Points of this problem have different columns: {', '.join(one)} and {', '.join(other)}.")


def _refuse_widths(widths: set[int]) -> None:
    if len(widths) > 1:
        raise InputError(f"All points of a problem have the same features; these have {' and '.join(map(str, sorted(widths)))}.")
