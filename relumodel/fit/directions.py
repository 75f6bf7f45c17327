"""Networks on given hidden directions that keep bounds everywhere in boxes: a convex program and a mixed-integer one in turn.

With the directions u_j fixed, f is linear in the output weights, and what bounds everywhere ask of them is finitely many linear inequalities:
one for each vertex of the arrangement of the directions in the box (values), or for each of its cells (slopes). The violated ones are
found by sampling and then by a mixed-integer program, whose last word is the proof (cutting planes; Kelley 1960).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from ..data import with_bias
from ..declare.everywhere import Everywhere
from ..declare.networks import Activation, RandomFeatures
from ..declare.perturbations import Ball
from ..declare.problem import Problem
from ..declare.shapes import CURVED, Shape
from ..functions.base import Nonnegative
from ..functions.budget import BlockBudget
from ..functions.several import moved
from ..lift.problem import Read, on_union
from ..maps.base import Identity
from ..maps.readings import Composed
from ..patterns.pattern_set import PatternSet, PatternStrategy
from ..program.program import Program, Term
from ..resources.deadline import current
from ..robustness.box_extremes import Extreme, Region, lowest_slope, lowest_value
from ..robustness.neurons import Neurons, neurons_of
from ..solve.solution import Solution
from ..solve.solve import solve
from .certificate import Certificate

Matrix = NDArray[np.float64]

#: Turns of the two programs; points sampled in a box; cuts that a turn adds for a constraint.
TURNS, SAMPLED, CUTS = 80, 4000, 25

#: By which share a point may be on the other side of a neuron and count as on its boundary.
ROUNDING = 1e-12

#: What is asked beyond a bound, in units of the tolerance of its proof.
MARGIN = 1.5


@dataclass(frozen=True)
class FixedDirections(RandomFeatures, abstract=True):
    """Random features whose directions and activation are those of a network that is to be found."""

    of: Activation | None = None

    @property
    def activation(self) -> Any:
        return self.of


@dataclass(frozen=True, eq=False)
class Directions(PatternStrategy):
    """The features of the program: directions (m, d), not zero."""

    blocks: Matrix

    def find(self, X: Matrix, bias: bool, ball: Ball | None = None) -> PatternSet:
        return PatternSet(X @ self.blocks.T >= 0, self.blocks, complete=False, origin=f"{len(self.blocks):,} adaptive")


@dataclass(frozen=True, eq=False)
class Wanted:
    """A bound everywhere, on the columns of the network: the region, and the direction (d,) of its slope or None for values."""

    given: Everywhere
    region: Region
    along: Matrix | None

    @classmethod
    def of(cls, given: Everywhere, problem: Problem, bias: bool) -> Wanted:
        box = problem.box if given.box is None else given.box
        d = problem.box.low.size
        names = problem.feature_names
        region = Region.of(*box.ends(d, names), bias)
        along = None if given.feature is None else np.eye(d + bias)[given.column(names, d)]
        return cls(given, region, along)

    def rows(self, points: Matrix, blocks: Matrix, slope: float) -> Matrix:
        """sign times the value or slope at points (n, d) of the neurons sigma(x.b), (n, m)."""
        T = points @ blocks.T
        sides = np.where(T >= 0, 1.0, slope)
        return self.given.sign * (sides * T if self.along is None else sides * (blocks @ self.along))

    def lowest(self, neurons: Neurons, time_limit: float | None) -> Extreme:
        """Of sign times the value or slope."""
        if self.along is None:
            return lowest_value(neurons, self.region, self.given.sign, time_limit)
        return lowest_slope(neurons, self.region, self.given.sign * self.along, time_limit)


class Found(NamedTuple):
    """The network's solution, what is proved of it, and the points (n, d) of the cuts that the solution knew, and of the active ones, of every
    constraint; `proved` : all are."""

    solution: Solution
    certificates: tuple[Certificate, ...]
    used: tuple[Matrix, ...]
    active: tuple[Matrix, ...]

    @property
    def proved(self) -> bool:
        return all(c.proved for c in self.certificates)


def on_directions(
    problem: Problem, read: Read, wanted: list[Wanted], blocks: Matrix, cuts: list[Matrix], tol: float
) -> Found | None:
    """The best network on the directions (m, d) that keeps the bounds, or None where the convex program has no solution.

    cuts : for each bound the points known so far, (n, d) each; those found are added to the list.
    """
    blocks = _without_kinks_near(blocks, read, problem.network.bias)
    base = _program(problem, dataclasses.replace(read, groups=()), blocks)
    P = len(blocks)
    units = blocks / problem.penalty.norms(blocks)[:, None]
    slope = problem.network.activation.inactive
    margins = [0.0] * len(wanted)
    samples = [_sampled(w, read, base) for w in wanted]
    tables = [w.rows(points, units, slope) for w, points in zip(wanted, samples, strict=True)]
    best: Found | None = None
    for _ in range(TURNS):
        rows = [w.rows(points, units, slope) for w, points in zip(wanted, cuts, strict=True)]
        solution = solve(_cut(base, wanted, rows, margins, P), backend="clarabel", tol=tol)
        if solution.status in ("infeasible", "failed"):
            return best
        weights = solution.point.reshape(-1, P)
        fresh = False
        for i, (w, table) in enumerate(zip(wanted, tables, strict=True)):
            over = table @ weights[w.given.output] - w.given.sign * w.given.level
            worst = _distinct(over, -1e-9 * (1 + np.abs(over).max()), samples[i] @ units.T >= 0)
            cuts[i], fresh = np.vstack([cuts[i], samples[i][worst]]), fresh or len(worst) > 0
        if fresh and not current().expired():
            continue
        best = _proved(solution, wanted, cuts, rows, margins)
        if best.proved or current().expired():
            return best
        before = sum(map(len, cuts)), tuple(margins)
        _sharpen(best, wanted, cuts, margins, problem.network.bias)
        if before == (sum(map(len, cuts)), tuple(margins)):
            return best
    return best


def _without_kinks_near(blocks: Matrix, read: Read, bias: bool) -> Matrix:
    """The directions that divide no group of points between which there are to be no kinks."""
    T = with_bias(read.points, bias) @ blocks.T
    kept = np.ones(len(blocks), dtype=bool)
    for rows in read.groups:
        size = ROUNDING * np.abs(T[rows]).max(axis=0)
        kept &= (T[rows] >= -size).all(axis=0) | (T[rows] <= size).all(axis=0)
    return blocks[kept]


def _proved(solution: Solution, wanted: list[Wanted], cuts: list[Matrix], rows: list[Matrix], margins: list[float]) -> Found:
    extremes = certificates_of(solution.network(), wanted)
    active, weights = [], solution.point.reshape(-1, rows[0].shape[1])
    for w, points, row, margin in zip(wanted, cuts, rows, margins, strict=True):
        used = weights[w.given.output]
        tight = row @ used - w.given.sign * w.given.level - margin
        active.append(points[: len(row)][tight <= margin + 1e-3 * (np.abs(row) @ np.abs(used))])
    known = tuple(points[: len(row)] for points, row in zip(cuts, rows, strict=True))
    return Found(solution, extremes, known, tuple(active))


def certificates_of(network: Any, wanted: list[Wanted]) -> tuple[Certificate, ...]:
    """What is proved of a network, in shares of the time that is left."""
    out = []
    for k, w in enumerate(wanted):
        one = network.output(w.given.output) if network.output_weights.ndim == 2 else network
        left = current().remaining()
        limit = None if np.isinf(left) else max(left / (len(wanted) - k), 0.2)
        out.append(Certificate.of(w.given, w.lowest(neurons_of(one), limit), network.n_features))
    return tuple(out)


def _sharpen(found: Found, wanted: list[Wanted], cuts: list[Matrix], margins: list[float], bias: bool) -> None:
    """The worst points as cuts, and margins that the next proof needs."""
    for i, (w, c) in enumerate(zip(wanted, found.certificates, strict=True)):
        if c.proved:
            continue
        lack = w.given.sign * (c.worst - w.given.level)
        slack = w.given.sign * (c.worst - c.bound)
        margins[i] = max(margins[i], MARGIN * slack) if np.isfinite(slack) else margins[i]
        if lack < 0.5 * margins[i]:
            cuts[i] = np.vstack([cuts[i], np.append(c.at, [1.0] * bias)])


def _distinct(over: Matrix, below: float, sides: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The samples with the lowest values below a level, one a cell."""
    order = np.argsort(over)[: 20 * CUTS]
    order = order[over[order] < below]
    _, first = np.unique(sides[order], axis=0, return_index=True)
    return order[np.sort(first)[:CUTS]]


def _sampled(wanted: Wanted, read: Read, base: Program) -> Matrix:
    """Random points of the box, and those of the problem that are in it."""
    region = wanted.region
    D = int((region.half > 0).sum())
    random = np.random.default_rng(0).uniform(-1.0, 1.0, (SAMPLED, D))
    points = [region.at(random)]
    X: Matrix = base.inverse.X
    points.append(X[((region.low <= X) & (region.high >= X)).all(axis=1)])
    return np.vstack(points)


def _program(problem: Problem, read: Read, blocks: Matrix) -> Program:
    """The convex program on the output weights, without bounds everywhere."""
    f = problem.network
    fixed = FixedDirections(bias=f.bias, outputs=f.outputs, of=f.activation)
    program = on_union(problem._with(network=fixed, shapes=(), everywhere=()), read, Directions(blocks))
    terms = [_shape(program, problem, shape, blocks, f"shape {i}") for i, shape in enumerate(problem.shapes)]
    return dataclasses.replace(program, model=problem, terms=(*program.terms, *terms))


def _shape(program: Program, problem: Problem, shape: Shape, blocks: Matrix, name: str) -> Term:
    """A shape by neurons, on output weights."""
    units, d = blocks / problem.penalty.norms(blocks)[:, None], problem.box.low.size
    times = program.n_variables // len(blocks)
    if shape.kind == "lipschitz":
        sizes = np.tile(np.linalg.norm(units[:, :d], axis=1), times)
        return Term(name, BlockBudget(shape.bound, 1), _on(scipy.sparse.diags_array(sizes), program))
    if shape.kind in CURVED:  # the kink on every hyperplane, from either side
        kinks = scipy.sparse.block_diag([CURVED[shape.kind] * _hyperplanes(units)] * times)
        return Term(name, Nonnegative(), _on(kinks, program))
    sign = 1.0 if shape.kind == "increasing" else -1.0
    rises = sign * np.tile(units[:, shape.column(problem.feature_names, d)], times)
    return Term(name, Nonnegative(), _on(scipy.sparse.diags_array(rises), program))


def _hyperplanes(units: Matrix) -> scipy.sparse.csr_array:
    """(h, m) which directions have each hyperplane."""
    first = units[np.arange(len(units)), np.argmax(np.abs(units) > 1e-9, axis=1)]
    _, which = np.unique(np.round(units * np.sign(first)[:, None], 9), axis=0, return_inverse=True)
    which = np.asarray(which).reshape(-1)
    return scipy.sparse.csr_array((np.ones(len(units)), (which, np.arange(len(units)))), shape=(which.max() + 1, len(units)))


def _cut(base: Program, wanted: list[Wanted], rows: list[Matrix], margins: list[float], P: int) -> Program:
    """The program with cuts."""
    placed, levels = [], []
    for w, row, margin in zip(wanted, rows, margins, strict=True):
        full = np.zeros((len(row), base.n_variables))
        full[:, w.given.output * P : (w.given.output + 1) * P] = row
        placed.append(full)
        levels.append(np.full(len(row), w.given.sign * w.given.level + margin))
    A, b = np.vstack(placed), np.concatenate(levels)
    if not len(b):
        return base
    term = Term("everywhere", moved(Nonnegative(), -b), _on(scipy.sparse.csr_array(A), base))
    return dataclasses.replace(base, terms=(*base.terms, term))


def _on(A: Any, program: Program) -> Composed:
    return Composed(scipy.sparse.csr_array(A), Identity(program.n_variables))


def affine(wanted: list[Wanted], bias: bool) -> Matrix:
    """Directions that are active in the whole of a box: the constant and every feature from either end, so that what has to be added to keep
    a bound is at hand; without a bias the features alone."""
    out = []
    for w in wanted:
        d = len(w.region.low) - bias
        e = np.eye(d + bias)
        if not bias:
            out += [e, -e]
            continue
        up, down = e[:d].copy(), -e[:d]
        up[:, d], down[:, d] = -w.region.low[:d], w.region.high[:d]
        out += [up, down, e[d:]]
    return np.unique(np.vstack(out), axis=0)
