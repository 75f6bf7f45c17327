"""A compiled training problem: minimise sum_j f_j(K_j x), with what it guarantees and how a solution becomes a network."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Protocol, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, InputTypeError
from ..functions.base import Function
from ..functions.rows import ConicRows
from ..functions.semidefinite import Semidefinite
from ..maps.base import Identity, Kron, LinearMap, Slice
from .ranks import SINGLE_PROCESS, SingleProcess

Vector = NDArray[np.float64]

#: What leaves a domain by less than this share of K x is rounding, and |K| |x| need not be known.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Guarantee:
    """What the program's optimum says about the training problem. kind is "exact" or "upper bound"."""

    kind: str
    statement: str
    source: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.statement} [{self.source}]"


@dataclass(frozen=True)
class Variable:
    """A named block of the flat vector x: entries start .. start + prod(shape), C order."""

    name: str
    shape: tuple[int, ...]
    start: int

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def names(self) -> list[str]:
        """One name an entry, e.g. v[3,0]."""
        return [f"{self.name}[{','.join(map(str, index))}]" for index in np.ndindex(*self.shape)]


@dataclass(frozen=True, eq=False)
class Term:
    """f(K x), named for reports, duals and files."""

    name: str
    function: Function
    map: LinearMap

    @property
    def on_rows(self) -> bool:
        """Whether K x has entries for every row of the data; else it holds entries of x, and is the same whoever has the rows."""
        K = self.map.one if isinstance(self.map, Kron) else self.map
        return not isinstance(K, Identity | Slice)

    @property
    def constrains(self) -> bool:
        """Whether there are z outside of the function's domain."""
        f = self.function
        return getattr(f, "constrains", f.indicator or type(f).violation is not Function.violation)

    def outside(self, x: Vector) -> float:
        """By how much K x leaves the domain, over the size of the numbers that it is made of, |K| |x|: what solvers and rounding are
        right up to. inf where these are all 0."""
        z = self.map.forward(x)
        amount = float(self.function.violation(z))
        if amount <= 0:
            return 0.0
        size = float(np.abs(z).max(initial=0.0))
        if amount > ROUNDING * size and hasattr(self.map, "matrix"):
            size = float((abs(self.map.matrix()) @ np.abs(x)).max(initial=0.0))
        return amount / size if size > 0 else float("inf")

    def rows(self, few: bool = False) -> ConicRows:
        """The conic rows of the function, or an error that names the term. few : on as few entries as have all its kinds of cones."""
        m = self.map.shape[0]
        try:
            return self.function.few_rows(m) if few else self.function.rows(m)
        except NotImplementedError as error:
            raise InputError(
                f"The term {self.name!r} has no conic form: {type(self.function).__name__} does not define rows(m), the epigraph as conic rows."
            ) from error


class Inverse(Protocol):
    """What a lowering leaves behind so that its program can be undone."""

    @property
    def constraints(self) -> frozenset[str]:
        """The names of the terms that `repair` satisfies, the constraints of the lowering; any other was put in by hand."""
        ...

    @property
    def X(self) -> Vector:
        """(n, d) the features, with the ones column where there is a bias."""
        ...

    @property
    def patterns(self) -> NDArray[np.bool_] | None: ...

    @property
    def by_hand(self) -> str:
        """How a point becomes a network without relumodel, for files."""
        ...

    def repair(self, program: Program, x: Vector, room: float = 0.0) -> Vector:
        """A point that satisfies every cone, as near to x as is cheap; `room` is the relative loss that a sparser one may cost."""
        ...

    def network(self, x: Vector) -> Any:
        """The network of a feasible point, zero neurons dropped: a `Network` or a `ThreeLayerNetwork`."""
        ...

    def reweighted(self, model: Any) -> Inverse:
        """The same for a model that differs in its penalty strength only."""
        ...

    def describe(self) -> list[tuple[str, str]]:
        """Lines for the printed program: (label, text)."""
        ...


@dataclass(frozen=True, eq=False)
class Program:
    """minimise sum_j f_j(K_j x) over x in R^n_variables: the bare program, to which relumodel.api adds solving and files.

    model : what was declared, a `Model` or a `Problem`, for printing and files; None for a program that was made by hand.
    ranks : the processes that hold the rows between them. The terms here are those of the rows of this process (of terms on no rows, all
    there is); objective, violation and solve are about all rows, and must be called on all ranks.
    """

    model: Any
    variables: tuple[Variable, ...]
    terms: tuple[Term, ...]
    guarantee: Guarantee
    inverse: Inverse
    ranks: SingleProcess = SINGLE_PROCESS

    @classmethod
    def of(cls, program: Program) -> Self:
        """`program` as one of this class."""
        if isinstance(program, cls):
            return program
        return cls(**{f.name: getattr(program, f.name) for f in dataclasses.fields(Program)})

    def __post_init__(self) -> None:
        names = [t.name for t in self.terms]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise InputError(f"Two terms of a program are named {twice[0]!r}; give each a name of its own.")

    @property
    def unit(self) -> float:
        """The penalty strength, 1 where there is none: the unit in which solvers meet the objective."""
        return next((float(beta) for t in self.terms if (beta := getattr(t.function, "beta", None))), 1.0)

    @property
    def n_variables(self) -> int:
        """The length of x."""
        return sum(v.size for v in self.variables)

    @property
    def n_constraints(self) -> int:
        """The number of scalar constraints among the terms; an entry of a triangle that must be semidefinite counts as one."""
        count = sum(t.map.shape[0] for t in self.terms if t.function.indicator)
        return count if self.ranks.size == 1 else count // self.ranks.rows[self.ranks.rank] * sum(self.ranks.rows)

    @property
    def patterns(self) -> NDArray[np.bool_] | None:
        """(n, P) activation patterns, read-only; None for networks without patterns."""
        return self.inverse.patterns

    @property
    def kinds(self) -> frozenset[str]:
        """The cones a backend must take, and "quadratic" when the objective is."""
        faces = [t.rows(few=True) for t in self.terms]
        cones = {piece.kind for rows in faces for piece in rows.pieces}
        return frozenset(cones | {"quadratic"} if any(rows.quadratic.any() for rows in faces) else cones)

    def term(self, name: str) -> Term:
        """The term of that name."""
        for term in self.terms:
            if term.name == name:
                return term
        raise InputError(f"The program has no term {name!r}; it has {', '.join(t.name for t in self.terms)}.")

    @property
    def sample_weights(self) -> Vector | None:
        """Those it was compiled with, samples of weight 0 left out: (n,), or None where every sample counts once."""
        loss: Any = self.term("loss").function
        return getattr(loss, "clean", loss).sample_weights  # robust losses wrap the clean one

    @property
    def parts(self) -> tuple[Program, ...]:
        """The programs of the single outputs where they separate, else this program alone.

        With several outputs every term but the loss is one of each output. If the loss is a sum over the outputs too,

            sum_r  loss_r(K x_r) + penalty(x_r)   s.t.  x_r in the cones,

        the minimum is the sum of the minima, the points side by side, and so are multipliers and bounds.
        """
        loss: Any = self.term("loss").function
        maps = {t.name: t.map for t in self.terms}
        if not all(isinstance(K, Kron) for K in maps.values()) or not hasattr(loss, "of_output"):
            return (self,)
        one: Any = self.inverse
        first = cast(Kron, maps["loss"])
        variables = tuple(
            Variable(v.name.removesuffix("_0"), v.shape, v.start) for v in self.variables if v.start < first.one.shape[1]
        )
        out = []
        for r in range(first.times):
            functions = {t.name: loss.of_output(r) if t.name == "loss" else t.function for t in self.terms}
            terms = tuple(Term(name, f, cast(Kron, maps[name]).one) for name, f in functions.items())
            out.append(Program(self.model, variables, terms, self.guarantee, one.one, self.ranks))
        return tuple(out)

    def point(self, point: ArrayLike) -> Vector:
        """`point` as a float64 vector of the right length, or a clear error."""
        try:
            given = np.asarray(point)
            x = given.astype(np.float64, casting="unsafe" if given.dtype.kind == "O" else "same_kind", copy=False)
        except (TypeError, ValueError) as error:
            raise InputTypeError(f"A point is a vector of {self.n_variables} numbers; got {type(point).__name__}.") from error
        if x.shape != (self.n_variables,):
            raise InputError(f"A point of this program has shape ({self.n_variables},); got {x.shape}.")
        if not np.isfinite(x).all():
            raise InputError("The point holds NaN or infinite entries.")
        return x

    def objective(self, point: ArrayLike) -> float:
        """The sum of the finite terms at `point`, in float64, independent of any backend. Cones do not count: see `violation`."""
        x = self.point(point)
        first = self.ranks.rank == 0  # what is on no rows counts once
        finite = [t for t in self.terms if not t.function.indicator and (t.on_rows or first)]
        return float(self.ranks.sum(sum(t.function.value(t.map.forward(x)) for t in finite)))

    def violation(self, point: ArrayLike) -> float:
        """The largest amount by which `point` leaves a cone or the domain of another term; 0.0 when it is feasible."""
        x = self.point(point)
        amount = max((t.function.violation(t.map.forward(x)) for t in self.terms if t.constrains), default=0.0)
        return float(self.ranks.largest(amount))

    def outside(self, point: ArrayLike) -> float:
        """The violation, of every term over the size of the numbers that its K x is made of, see `Term.outside`."""
        x = self.point(point)
        return float(self.ranks.largest(max((t.outside(x) for t in self.terms if t.constrains), default=0.0)))

    @property
    def added(self) -> tuple[Term, ...]:
        """The terms that no lowering made: those that a user put in."""
        made = {"loss", "penalty", *self.inverse.constraints}
        return tuple(t for t in self.terms if t.name not in made)

    @property
    def kept(self) -> tuple[Term, ...]:
        """The terms with a domain that no repair moves points into: constraints of users."""
        return tuple(t for t in self.terms if t.constrains and t.name not in self.inverse.constraints)

    def with_penalty(self, beta: float) -> Self:
        """The same program with another penalty strength, sharing every linear map: what a regularisation path solves."""
        model = self.model.with_penalty(beta)
        terms = tuple(
            Term(t.name, dataclasses.replace(t.function, beta=model.penalty.beta), t.map) if t.name == "penalty" else t  # type: ignore[type-var]
            for t in self.terms
        )
        return dataclasses.replace(self, model=model, terms=terms, inverse=self.inverse.reweighted(model))

    def refuse_ranks(self, what: str) -> None:
        """An error for what takes all rows in one process."""
        if self.ranks.size > 1:
            raise InputError(
                f"{what} needs all rows in one process; those of this program are on {self.ranks.size} ranks. Solve it with backend='torch', "
                "or compile all rows without group=."
            )

    def __str__(self) -> str:
        matrices = any(isinstance(t.function, Semidefinite) for t in self.terms)
        sizes = f"{self.n_variables} variables, {self.n_constraints} {'scalar constraints' if matrices else 'linear inequalities'}"
        declared = [] if self.model is None else [("problem", str(self.model).replace("\n", "\n" + " " * 12))]
        lines = [*declared, *self.inverse.describe()]
        if (weights := self.sample_weights) is not None:
            where = "" if self.ranks.size == 1 else " of this rank"
            lines.append(
                ("weights", f"{weights.min():g} to {weights.max():g} on samples; sum {weights.sum():g} in place of n{where}")
            )
        if self.ranks.size > 1:
            lines.append(("ranks", str(self.ranks)))
        lines.append(("size", sizes))
        lines.append(("guarantee", f"{self.guarantee.kind}: {self.guarantee.statement}"))
        lines.append(("source", self.guarantee.source))
        return "\n".join(f"{label:<10}  {text}" for label, text in lines)

    def __repr__(self) -> str:
        return f"<Program: {self.n_variables} variables, {self.n_constraints} inequalities, {self.guarantee.kind}>"
