"""Conic forms of a few rows with known primal and dual solutions: the order of cones and rows, and the signs of duals."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from ..conic.form import Cone, ConicForm
from .bench import Bench, Handed, Run, SkippedError, demand
from .kit import check

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Known:
    """A form with its only solution x, and the only dual z with P x + c + A'z = 0."""

    form: ConicForm
    x: Vector
    z: Vector


def form(
    c: ArrayLike, A: ArrayLike, b: ArrayLike, cones: list[tuple[str, int]], P: ArrayLike | None = None, offset: float = 0.0
) -> ConicForm:
    """A ConicForm from dense numbers."""
    cost = np.asarray(c, dtype=np.float64)
    n = len(cost)
    return ConicForm(
        P=scipy.sparse.csc_array((n, n)) if P is None else scipy.sparse.csc_array(np.asarray(P, dtype=np.float64)),
        c=cost,
        A=scipy.sparse.csc_array(np.asarray(A, dtype=np.float64)),
        b=np.asarray(b, dtype=np.float64),
        cones=tuple(Cone(*cone) for cone in cones),
        offset=offset,
        names=tuple(f"x[{i}]" for i in range(n)),
    )


def known(
    c: ArrayLike, A: ArrayLike, b: ArrayLike, cones: list[tuple[str, int]], x: ArrayLike, z: ArrayLike, **more: object
) -> Known:
    """A form and its solution."""
    made = form(c, A, b, cones, **more)  # type: ignore[arg-type]
    return Known(made, np.asarray(x, dtype=np.float64), np.asarray(z, dtype=np.float64))


def run(bench: Bench, problem: ConicForm) -> Run:
    """The backend's run on a form; skipped for backends that take programs, or lack a cone."""
    if bench.backend.accepts is not ConicForm:
        raise SkippedError("it takes programs, not conic forms")
    bench.need(problem.kinds)
    if "quadratic" in problem.kinds and "quadratic" not in bench.backend.supports:
        raise SkippedError("it does not support quadratic")
    return bench.call(Handed(problem))


def right(bench: Bench, answer: Known) -> None:
    """x is the known one and, where the backend returns them, so are z and the objective."""
    done = run(bench, answer.form)
    allowed = 10 * bench.slack**0.5
    off = float(np.abs(done.x - answer.x).max())
    demand(off <= allowed, f"x = {_few(done.x)}; the solution is {_few(answer.x)}")
    said, true = done.answer.objective, answer.form.objective(done.x)
    demand(said is None or abs(said - true) <= bench.slack * max(1.0, abs(true)), f"it reports objective {said}; it is {true:.8g}")
    if done.answer.dual is not None:
        z = np.asarray(done.answer.dual, dtype=np.float64)
        demand(z.shape == answer.z.shape, f"the dual has shape {z.shape}; the form has {len(answer.z)} rows")
        demand(np.abs(z - answer.z).max() <= allowed, f"z = {_few(z)}; with P x + c + A'z = 0 it is {_few(answer.z)}")


@check("linear_program", "x >= 1 and x1 + x2 >= 3 as nonnegative rows")
def linear_program(bench: Bench) -> None:
    right(bench, LINEAR)


@check("equality_rows", "the dual of an equation has a sign, too")
def equality_rows(bench: Bench) -> None:
    right(bench, EQUALITY)


@check("quadratic_objective", "1/2 x'Px with both triangles of P, not diagonal, and an offset")
def quadratic_objective(bench: Bench) -> None:
    right(bench, QUADRATIC)


@check("second_order_rows", "second-order cones of different sizes, head first")
def second_order_rows(bench: Bench) -> None:
    right(bench, SECOND_ORDER)


@check("exponential_rows", "exponential cones (x, y, z) with y exp(x / y) <= z")
def exponential_rows(bench: Bench) -> None:
    right(bench, EXPONENTIAL)


@check("semidefinite_rows", "semidefinite cones of different orders: upper triangle by columns, off-diagonal entries times sqrt 2")
def semidefinite_rows(bench: Bench) -> None:
    right(bench, SEMIDEFINITE)


@check("all_cones_and_matrices", "every kind of cone side by side, semidefinite ones last")
def all_cones_and_matrices(bench: Bench) -> None:
    right(bench, _side_by_side(EQUALITY, SECOND_ORDER, EXPONENTIAL, SEMIDEFINITE))


@check("all_cones", "every kind of cone side by side but semidefinite ones")
def all_cones(bench: Bench) -> None:
    right(bench, _side_by_side(EQUALITY, SECOND_ORDER, EXPONENTIAL))


@check("infeasible", "x >= 1 and x <= -1: anything but a solution")
def infeasible(bench: Bench) -> None:
    _unsolvable(bench, form([1], [[-1], [1]], [-1, -1], [("nonnegative", 2)]), "infeasible")


@check("unbounded", "min -x over x >= 0: anything but a solution")
def unbounded(bench: Bench) -> None:
    _unsolvable(bench, form([-1], [[-1]], [0], [("nonnegative", 1)]), "unbounded")


def _unsolvable(bench: Bench, problem: ConicForm, what: str) -> None:
    status = run(bench, problem).answer.status
    opposite = {"infeasible": "unbounded", "unbounded": "infeasible"}[what]
    demand(status not in ("solved", "inaccurate", opposite), f"it calls an {what} problem {status!r}")


# x = (2, 1), 4 = 1 * 1 + 1 * 3
LINEAR = known([1, 2], [[-1, 0], [0, -1], [-1, -1]], [-1, -1, -3], [("nonnegative", 3)], x=[2, 1], z=[0, 1, 1])

# x1 + x2 = 2, x1 <= 1.5, x >= 0
EQUALITY = known(
    [1, 3],
    [[1, 1], [1, 0], [-1, 0], [0, -1]],
    [2, 1.5, 0, 0],
    [("zero", 1), ("nonnegative", 3)],
    x=[1.5, 0.5],
    z=[-3, 2, 0, 0],
)

# x1 <= 1/2 cuts off the minimiser (1, 1)
QUADRATIC = known([-3, -3], [[1, 0]], [0.5], [("nonnegative", 1)], x=[0.5, 1.25], z=[0.75], P=[[2, 1], [1, 2]], offset=0.25)

# |(x1, x2)| <= 2 and |1| <= x3
SECOND_ORDER = known(
    [3, 4, 1],
    [[0, 0, 0], [-1, 0, 0], [0, -1, 0], [0, 0, -1], [0, 0, 0]],
    [2, 0, 0, 0, 1],
    [("second-order", 3), ("second-order", 2)],
    x=[-1.2, -1.6, 1],
    z=[5, 3, 4, 1, -1],
)

# exp(x1) <= x2 at slope 2
EXPONENTIAL = known([-2, 1], [[-1, 0], [0, 0], [0, -1]], [0, 1, 0], [("exponential", 3)], x=[log(2), 2], z=[-2, 2 * log(2) - 2, 1])


# [[x1, 0, 1], [0, 1, 0], [1, 0, x2]] and [[x3, 3], [3, 1]]:  x1 x2 >= 1,  x3 >= 9
SEMIDEFINITE = known(
    [1, 4, 1],
    [[-1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, -1, 0], [0, 0, -1], [0, 0, 0], [0, 0, 0]],
    [0, 0, 1, sqrt(2), 0, 0, 0, 3 * sqrt(2), 1],
    [("semidefinite", 6), ("semidefinite", 3)],
    x=[2, 0.5, 9],
    z=[1, 0, 0, -2 * sqrt(2), 0, 4, 1, -3 * sqrt(2), 9],
)


def _side_by_side(*parts: Known) -> Known:
    """Independent problems in one; the parts' cones must follow the order of a form."""
    return Known(
        form(
            np.concatenate([part.form.c for part in parts]),
            scipy.sparse.block_diag([part.form.A for part in parts]).toarray(),
            np.concatenate([part.form.b for part in parts]),
            [(cone.kind, cone.size) for part in parts for cone in part.form.cones],
        ),
        np.concatenate([part.x for part in parts]),
        np.concatenate([part.z for part in parts]),
    )


def _few(values: Vector) -> str:
    return "(" + ", ".join(f"{v:.6g}" for v in values[:10]) + ")"
