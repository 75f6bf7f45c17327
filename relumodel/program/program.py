"""A compiled training problem: minimise sum_j f_j(K_j x), with what it guarantees and how a solution becomes a network."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, InputTypeError
from .functions import Function
from .maps import LinearMap

if TYPE_CHECKING:
    from ..conic.form import ConicForm
    from ..model import Model
    from ..recovery.network import Network
    from ..solution import Solution

Vector = NDArray[np.float64]


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


class Inverse(Protocol):
    """What a lowering leaves behind so that its program can be undone."""

    @property
    def patterns(self) -> NDArray[np.bool_] | None: ...

    def repair(self, program: Program, x: Vector, room: float = 0.0) -> Vector:
        """A point that satisfies every cone, as near to x as is cheap; `room` is the relative loss that a sparser one may cost."""
        ...

    def network(self, x: Vector) -> Network:
        """The network of a feasible point, zero neurons dropped."""
        ...

    def reweighted(self, model: Model) -> Inverse:
        """The same for a model that differs in its penalty strength only."""
        ...

    def describe(self) -> list[tuple[str, str]]:
        """Lines for the printed program: (label, text)."""
        ...


@dataclass(frozen=True, eq=False)
class Program:
    """minimise sum_j f_j(K_j x) over x in R^n_variables. Made by `Model.compile`."""

    model: Model
    variables: tuple[Variable, ...]
    terms: tuple[Term, ...]
    guarantee: Guarantee
    inverse: Inverse

    @property
    def n_variables(self) -> int:
        """The length of x."""
        return sum(v.size for v in self.variables)

    @property
    def n_constraints(self) -> int:
        """The number of scalar inequalities among the terms."""
        return sum(t.map.shape[0] for t in self.terms if t.function.indicator)

    @property
    def patterns(self) -> NDArray[np.bool_] | None:
        """(n, P) activation patterns, read-only; None for networks without patterns."""
        return self.inverse.patterns

    @property
    def kinds(self) -> frozenset[str]:
        """The cones a backend must take, and "quadratic" when the objective is."""
        faces = [t.function.rows(t.map.shape[0]) for t in self.terms]
        cones = {piece.kind for rows in faces for piece in rows.pieces}
        return frozenset(cones | {"quadratic"} if any(rows.quadratic.any() for rows in faces) else cones)

    def term(self, name: str) -> Term:
        """The term of that name."""
        for term in self.terms:
            if term.name == name:
                return term
        raise InputError(f"The program has no term {name!r}; it has {', '.join(t.name for t in self.terms)}.")

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
        return float(sum(t.function.value(t.map.forward(x)) for t in self.terms if not t.function.indicator))

    def violation(self, point: ArrayLike) -> float:
        """The largest amount by which `point` leaves a cone; 0.0 when it is feasible."""
        x = self.point(point)
        return float(max((t.function.violation(t.map.forward(x)) for t in self.terms if t.function.indicator), default=0.0))

    def conic(self) -> ConicForm:
        """The same program in standard conic form, for solvers and files."""
        from ..conic.assemble import assemble

        return assemble(self).form

    def solve(
        self,
        backend: Any = "auto",
        tol: float = 1e-6,
        time_limit: float | None = None,
        verbose: bool = False,
        callback: Any = None,
        warm_start: Any = None,
        **options: Any,
    ) -> Solution:
        """Solve with a backend and certify the result.

        backend : a name from `rm.backends()`, an instance, or "auto".
        tol : the relative gap (objective - bound) / |objective| at which the status is "optimal".
        time_limit : seconds, or None.
        callback : called with a `Progress` where the backend allows it; returning True stops.
        warm_start : a `Solution` or point of this program; the result is never worse than it.
        options : passed to the backend, which refuses names it does not know.
        """
        from ..solve import solve

        return solve(
            self,
            backend=backend,
            tol=tol,
            time_limit=time_limit,
            verbose=verbose,
            callback=callback,
            warm_start=warm_start,
            options=options,
        )

    def with_penalty(self, beta: float) -> Program:
        """The same program with another penalty strength, sharing every linear map: what a regularisation path solves."""
        model = dataclasses.replace(self.model, penalty=dataclasses.replace(self.model.penalty, beta=beta))
        terms = tuple(
            Term(t.name, dataclasses.replace(t.function, beta=model.penalty.beta), t.map) if t.name == "penalty" else t  # type: ignore[type-var]
            for t in self.terms
        )
        return dataclasses.replace(self, model=model, terms=terms, inverse=self.inverse.reweighted(model))

    def __str__(self) -> str:
        sizes = f"{self.n_variables} variables, {self.n_constraints} linear inequalities"
        lines = [("problem", str(self.model).replace("\n", "\n" + " " * 12)), *self.inverse.describe(), ("size", sizes)]
        lines.append(("guarantee", f"{self.guarantee.kind}: {self.guarantee.statement}"))
        lines.append(("source", self.guarantee.source))
        return "\n".join(f"{label:<10}  {text}" for label, text in lines)

    def __repr__(self) -> str:
        return f"<Program: {self.n_variables} variables, {self.n_constraints} inequalities, {self.guarantee.kind}>"
