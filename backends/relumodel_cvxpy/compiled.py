"""A program as one vectorised CVXPY problem.

The numbers that change along a regularisation path or with the targets are CVXPY parameters: the costs, the label signs and the
targets of a loss. The data are constants. Everything is DPP, so CVXPY compiles once and later solves only put numbers in.

CVXPY's dual values are our z, with the sign turned for equations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from relumodel.backend import Program
from relumodel.functions.base import Function, SampleLoss
from relumodel.functions.rows import EXPONENTIAL, NONNEGATIVE, SEMIDEFINITE, ZERO, ConicRows, Rows
from relumodel.maps.base import Identity, LinearMap
from relumodel.maps.symmetric import order_of, svec, triangle
from relumodel.program.program import Term

Vector = NDArray[np.float64]


@dataclass(eq=False)
class Number:
    """Numbers of the program as a parameter: one scalar where they are all equal, for CVXPY's work grows with the parameters."""

    parameter: cp.Parameter
    at: Any

    @classmethod
    def like(cls, values: Vector, nonneg: bool) -> Number | None:
        """A parameter in place of the non-zero `values`; None where all are zero."""
        at, shape = pattern(values)
        return cls(cp.Parameter(shape, nonneg=nonneg), at) if len(at) else None

    def set(self, values: Vector) -> None:
        self.parameter.value = values[self.at] if self.parameter.shape else values[self.at[0]]

    def times(self, expression: cp.Expression) -> cp.Expression:
        """sum over the non-zero entries of value * expression."""
        if len(self.at) < expression.size:
            expression = expression[self.at]
        return self.parameter * cp.sum(expression) if not self.parameter.shape else cp.sum(cp.multiply(self.parameter, expression))


@dataclass(eq=False)
class CompiledTerm:
    """One term: the parameters to fill, and per piece of its rows the constraints with the rows they hold."""

    cost: Number | None
    quadratic: Number | None
    sigma: cp.Parameter | None
    tau: cp.Parameter | None
    pieces: list[list[tuple[Any, cp.Constraint]]]

    def fill(self, function: Function, rows: ConicRows, unit: float) -> None:
        for number, values in ((self.cost, rows.cost), (self.quadratic, rows.quadratic)):
            if number is not None:
                number.set(values / unit)
        if self.sigma is not None and isinstance(function, SampleLoss):
            self.sigma.value = function.sigma
        if self.tau is not None and isinstance(function, SampleLoss):
            self.tau.value = function.tau


@dataclass(eq=False)
class CompiledProgram:
    """The CVXPY problem of a program's structure; `lock` is held from filling in the numbers to reading the answer."""

    problem: cp.Problem
    x: cp.Variable
    terms: dict[str, CompiledTerm]
    lock: Lock = field(default_factory=Lock)

    @property
    def parameters(self) -> int:
        """How many numbers the parameters hold."""
        return sum(p.size for p in self.problem.parameters())

    def fill(self, program: Program, unit: float) -> None:
        """Put in the numbers of `program`, its objective divided by `unit`."""
        for term in program.terms:
            self.terms[term.name].fill(term.function, term.function.rows(term.map.shape[0]), unit)

    def duals(self, program: Program, unit: float) -> dict[str, Vector] | None:
        """One multiplier q_j a term, in the program's own units: the rows' multipliers carried back through `on_z`."""
        out = {}
        for term in program.terms:
            q = np.zeros(term.map.shape[0])
            rows = term.function.rows(term.map.shape[0])
            for piece, held in zip(rows.pieces, self.terms[term.name].pieces, strict=True):
                z = np.zeros(len(piece.b))
                for index, constraint in held:
                    value = _dual_value(constraint)
                    if value is None:
                        return None
                    z[index] = value
                q += piece.on_z * z if isinstance(piece.on_z, float) else piece.on_z.T @ z
            out[term.name] = unit * q
        return out


def compile_program(program: Program) -> CompiledProgram:
    """The CVXPY problem of a program; its parameters still have no values."""
    x = cp.Variable(program.n_variables)
    terms, constraints, objective = {}, [], []
    for term in program.terms:
        rows = own_rows(term)
        t = cp.Variable(len(rows.cost)) if len(rows.cost) else None
        compiled = _compile_term(term, rows, x, t)
        terms[term.name] = compiled
        constraints += [constraint for held in compiled.pieces for _, constraint in held]
        if t is not None and compiled.cost is not None:
            objective.append(compiled.cost.times(t))
        if t is not None and compiled.quadratic is not None:
            objective.append(0.5 * compiled.quadratic.times(cp.square(t)))
    return CompiledProgram(cp.Problem(cp.Minimize(cp.sum(objective)), constraints), x, terms)


def pattern(values: Vector) -> tuple[NDArray[np.intp], tuple[int, ...]]:
    """Where the non-zero values are, and the shape that holds them: () where they are all equal."""
    at = np.flatnonzero(values)
    return at, () if len(at) and np.ptp(values[at]) == 0 else (len(at),)


def own_rows(term: Term) -> ConicRows:
    """The rows of a term's function; of a loss those before its targets are put in."""
    function = term.function
    return function.loss.rows(function.weights) if isinstance(function, SampleLoss) else function.rows(term.map.shape[0])


def _compile_term(term: Term, rows: ConicRows, x: cp.Variable, t: cp.Variable | None) -> CompiledTerm:
    sigma = tau = argument = None
    if isinstance(term.function, SampleLoss):  # rows on s = sigma z + tau
        n = len(term.function.sigma)
        sigma = None if (term.function.sigma == 1).all() else cp.Parameter(n)
        tau = cp.Parameter(n) if term.function.tau.any() else None
        argument = _product(term.map, 1.0, x)
        argument = argument if sigma is None else cp.multiply(sigma, argument)
        argument = argument if tau is None else argument + tau

    def inside(piece: Rows, index: Any) -> cp.Expression:
        """Some of the rows b - on_z z - on_t t."""
        on_z = piece.on_z if isinstance(piece.on_z, float) else piece.on_z[index]
        if argument is None:
            expression = piece.b[index] - _product(term.map, on_z, x)
        elif isinstance(on_z, float):
            expression = piece.b[index] - on_z * argument
        else:
            expression = piece.b[index] - (cp.Constant(on_z) @ argument if on_z.nnz else 0)
        on_t = piece.on_t[index]
        return expression - cp.Constant(on_t) @ t if on_t.nnz else expression

    pieces = [_constraints(piece, inside) for piece in rows.pieces]
    return CompiledTerm(Number.like(rows.cost, False), Number.like(rows.quadratic, True), sigma, tau, pieces)


def _product(linear: LinearMap, on_z: sparse.csr_array | float, x: cp.Variable) -> Any:
    """on_z K x."""
    if isinstance(linear, Identity):
        return on_z * x if isinstance(on_z, float) else cp.Constant(on_z) @ x if on_z.nnz else 0
    if isinstance(on_z, float):
        return cp.Constant(on_z * linear.matrix()) @ x
    return cp.Constant(on_z @ linear.matrix()) @ x if on_z.nnz else 0


def _constraints(piece: Rows, inside: Any) -> list[tuple[Any, cp.Constraint]]:
    """The constraints of one piece, few and large, each with the rows it holds in the order of its dual value."""
    every = slice(None)
    if piece.kind == ZERO:
        return [(every, inside(piece, every) == 0)]
    if piece.kind == NONNEGATIVE:
        return [(every, inside(piece, every) >= 0)]
    starts = np.concatenate([[0], np.cumsum(piece.sizes)[:-1]]).astype(int)
    if piece.kind == EXPONENTIAL:
        at = [starts, starts + 1, starts + 2]
        return [(np.concatenate(at), cp.ExpCone(*(inside(piece, index) for index in at)))]
    out: list[tuple[Any, cp.Constraint]] = []
    if piece.kind == SEMIDEFINITE:
        whole = inside(piece, every)
        for start, size in zip(starts, piece.sizes, strict=True):
            index = np.arange(start, start + size)
            out.append((index, _square(whole[index], order_of(size)) >> 0))
        return out
    for size in sorted(set(piece.sizes)):  # second-order cones of one size stand side by side
        heads = starts[np.asarray(piece.sizes) == size]
        tails = (heads[:, None] + np.arange(1, size)).ravel()
        columns = cp.reshape(inside(piece, tails), (size - 1, len(heads)), order="F")
        out.append((np.concatenate([heads, tails]), cp.SOC(inside(piece, heads), columns, axis=0)))
    return out


def _square(entries: cp.Expression, order: int) -> cp.Expression:
    """The symmetric matrix whose svec the entries are."""
    row, column, factor = triangle(order)
    at = np.concatenate([row + order * column, column + order * row])
    which, values = np.tile(np.arange(len(row)), 2), np.tile(1 / factor, 2)
    values[len(row) :][row == column] = 0.0  # a diagonal entry has one place
    spread = sparse.csr_array((values, (at, which)), shape=(order * order, len(row)))
    return cp.reshape(cp.Constant(spread) @ entries, (order, order), order="F")


def _dual_value(constraint: cp.Constraint) -> Vector | None:
    """The multiplier z of a constraint, flat, in the order of its rows."""
    value = constraint.dual_value
    parts = value if isinstance(value, list | tuple) else [value]
    if any(part is None for part in parts):
        return None
    if isinstance(constraint, cp.constraints.PSD):
        return svec(0.5 * (parts[0] + parts[0].T))
    flat = np.concatenate([np.asarray(part, dtype=np.float64).ravel(order="F") for part in parts])
    return -flat if isinstance(constraint, cp.constraints.Equality | cp.constraints.Zero) else flat
