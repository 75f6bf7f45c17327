"""Problems of readings as convex programs: the lifting of the network on the union of all points, and one convex function of its values.

    min over x   J(A K x + b) + penalty(x)   s.t. the cones on the union,      K x the values of the network at the union

with J the sum of all terms and indicators of constraints, A and b what the readings are. Exact for every convex J: neurons of one sign
and pattern on the union merge, and J sees the values there only (Pilanci & Ergen 2020, Theorem 1).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from ..data import Data
from ..declare.constraints import Constraint
from ..declare.model import Model
from ..declare.problem import Problem
from ..errors import InputError
from ..functions.base import Function
from ..functions.class_sample_loss import ClassSampleLoss
from ..functions.losses import Squared
from ..functions.norms import DUALS, norm
from ..functions.several import Several, moved
from ..maps.base import LinearMap
from ..maps.readings import Composed
from ..patterns.pattern_set import PatternStrategy
from ..patterns.undivided import Undivided
from ..program.program import Guarantee, Inverse, Program, Term
from .constraint_repair import onto_constraints
from .curved import CurvedTwoLayer
from .lower import lower
from .shapes import shape_terms
from .two_layer import TwoLayerInverse

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Read:
    """What a problem reads: the union of its points (n, d) without the bias column, in the order of first appearance, equal rows one point;
    the sparse matrix A (m, n c) on the values there; J on A z, and where each constraint's key stands in it. soft: whether constraints are weighed.
    groups : the points between which there are no kinks."""

    points: Matrix
    names: tuple[str, ...] | None
    A: scipy.sparse.csr_array
    function: Function
    places: tuple[tuple[object, slice], ...]
    outputs: int
    soft: bool = False
    groups: tuple[NDArray[np.intp], ...] = ()

    @classmethod
    def of(cls, problem: Problem, weight: float | None = None) -> Read:
        """weight : of the distance from hard constraints, in place of their indicators."""
        parts: tuple[Any, ...] = (*problem.terms, *problem.constraints)
        readings = [part.reading for part in parts]
        points, index = _union([block.points for reading in readings for block in reading.blocks])
        n, c = len(points), problem.outputs
        at = iter(index)
        blocks = [block for reading in readings for block in reading.blocks]
        groups = tuple(
            rows[group] for block, rows in zip(blocks, index, strict=True) if block.groups is not None for group in block.groups
        )
        A = scipy.sparse.vstack([_placed(reading, at, n, c) for reading in readings], format="csr")
        sizes = tuple(reading.size for reading in readings)
        functions = tuple(moved(_function(part, weight), reading.offset) for part, reading in zip(parts, readings, strict=True))
        ends = np.cumsum(sizes)
        keys = (getattr(part, "key", None) for part in parts)
        places = tuple((key, slice(int(end) - size, int(end))) for key, end, size in zip(keys, ends, sizes, strict=True))
        return cls(points, problem.feature_names, A, _one(functions, sizes, c), places, c, weight is not None, groups)

    def multipliers(self, constraint: Constraint, q: Matrix) -> Any:
        """Those of a constraint of the problem, in its shape, out of the multiplier q (m,) of J."""
        at = next((place for key, place in self.places if key is constraint.key), None)
        if at is None:
            raise InputError(f"The problem has no constraint {constraint}; give one of those in subject_to itself.")
        own = q[at]
        if constraint.kind == "norm":
            return float(norm(own, float(DUALS[constraint.p])))
        shaped = own.reshape(constraint.reading.shape, order="F")
        return -shaped if constraint.kind == "nonnegative" else shaped

    @property
    def plain(self) -> bool:
        """Whether A is the identity: every value at the union is read once, in order."""
        m, k = self.A.shape
        return m == k and self.A.nnz == m and bool((self.A.diagonal() == 1).all())


def _function(part: Any, weight: float | None) -> Function:
    if not isinstance(part, Constraint):
        return part.bound()
    return part.function() if weight is None else part.softened(weight)


def _one(functions: tuple[Function, ...], sizes: tuple[int, ...], outputs: int) -> Function:
    """One function for all; a single loss of samples as it is, which every engine knows."""
    alone: Any = functions[0]
    return alone if len(functions) == 1 and getattr(alone, "outputs", None) == outputs else Several(functions, sizes, outputs)


def _union(points: list[Matrix]) -> tuple[Matrix, list[NDArray[np.intp]]]:
    """The different rows in the order of first appearance, and where those of every array stand among them."""
    stacked = np.concatenate(points) + 0.0  # -0 is 0
    _, first, inverse = np.unique(stacked, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    ends = np.cumsum([len(p) for p in points])[:-1]
    return stacked[first[order]], np.split(rank[np.asarray(inverse).reshape(-1)], ends)


def _placed(reading: Any, at: Any, n: int, c: int) -> scipy.sparse.csr_array:
    """The matrix of a reading on the values at the union, output by output."""
    total = scipy.sparse.csr_array((reading.size, n * c))
    for block in reading.blocks:
        index = next(at)
        columns = (np.arange(c)[:, None] * n + index).ravel()
        M = block.matrix.tocoo()
        total = total + scipy.sparse.csr_array((M.data, (M.row, columns[M.col])), shape=total.shape)
    return scipy.sparse.csr_array(total)


@dataclass(frozen=True, eq=False)
class ProblemInverse:
    """The way back of the lifting, whose points are moved onto the constraints too."""

    one: Inverse
    read: Read

    @property
    def constraints(self) -> frozenset[str]:
        """Those of the lifting; the ones of users are met to rounding, where that is in reach."""
        return self.one.constraints

    @property
    def X(self) -> Matrix:
        """(n, d) the union, with the bias column, if any."""
        return self.one.X

    @property
    def patterns(self) -> NDArray[np.bool_] | None:
        return self.one.patterns

    @property
    def by_hand(self) -> str:
        """How to do it without relumodel."""
        return self.one.by_hand

    def repair(self, program: Program, x: Matrix, room: float = 0.0) -> Matrix:
        """That of the lifting, which settles what it tries."""
        return self.one.repair(program, x, room)

    def settled(self, program: Program, x: Matrix) -> Matrix:
        """The nearest point on the constraints that are left."""
        one: Any = getattr(self.one, "one", self.one)

        def again(moved: Matrix) -> Matrix:
            """Into the cones of single blocks; where a lifting has others, a move out of them counts as a violation."""
            return one.point(one.feasible(one.blocks(moved))) if isinstance(one, TwoLayerInverse) else moved

        return onto_constraints(program, x, again)

    def network(self, x: Matrix) -> Any:
        return self.one.network(x)

    def reweighted(self, model: Any) -> ProblemInverse:
        return dataclasses.replace(self, one=self.one.reweighted(model))

    def describe(self) -> list[tuple[str, str]]:
        first, *rest = self.one.describe()
        return [("points", first[1].replace("samples", "points")), *rest]


def lower_problem(problem: Problem, patterns: Any, weight: float | None = None) -> Program:
    """The convex program of a problem, on patterns found on the union of its points. weight : see `Read.of`."""
    if problem.everywhere:
        raise InputError(
            f"'{problem.everywhere[0]}' is no single convex program, so it does not compile: problem.fit(...) keeps and proves it. To compile, "
            "constrain points, f(Z) >= c, or take f.increasing(feature, how='points') or how='neurons'."
        )
    return on_union(problem, Read.of(problem, weight), patterns)


def on_union(problem: Problem, read: Read, patterns: Any) -> Program:
    """The same where the union is known already."""
    # what the lifting is made of is that of any loss on targets there; it is taken out below
    targets = np.zeros((len(read.points), read.outputs) if read.outputs > 1 else len(read.points))
    network: Any = problem.network
    network = network if not problem.curvature else CurvedTwoLayer.of(network, problem.curvature)
    stand_in = Model(network, Squared(), problem.penalty)
    if read.groups and isinstance(patterns, PatternStrategy):
        patterns = Undivided(patterns, read.groups)
    lifted = lower(network, stand_in, Data(read.points, targets, read.names), patterns)
    values = lifted.term("loss").map
    K: LinearMap = values if read.plain else Composed(read.A, values)
    terms = tuple(Term("loss", read.function, K) if t.name == "loss" else t for t in lifted.terms)
    terms += shape_terms(lifted, problem.shapes, read.names, read.points.shape[1])
    one: Any = lifted.inverse.reweighted(problem)
    labels = next((t.function.classes for t in problem.terms if isinstance(t.function, ClassSampleLoss)), None)
    inverse = ProblemInverse(one if labels is None else dataclasses.replace(one, classes=labels), read)
    return dataclasses.replace(lifted, model=problem, terms=terms, guarantee=_guarantee(lifted.guarantee, read), inverse=inverse)


def _guarantee(of_loss: Guarantee, read: Read) -> Guarantee:
    """That of the lifting, which any convex function of the values keeps."""
    if read.groups:
        near = "networks without kinks near the points of gradients"
        of_loss = dataclasses.replace(of_loss, statement=f"{of_loss.statement}; over {near}")
    statement = of_loss.statement.replace("the non-convex training problem", "the problem over networks")
    return Guarantee(of_loss.kind, statement, f"{of_loss.source}, for a convex function of the values at all points")


def hardened(program: Program, read: Read) -> Program:
    """The program of a problem with weighed constraints, with the constraints themselves. read : that with hard ones."""
    inverse: Any = program.inverse
    terms = tuple(dataclasses.replace(t, function=read.function) if t.name == "loss" else t for t in program.terms)
    return dataclasses.replace(program, terms=terms, inverse=dataclasses.replace(inverse, read=read))
