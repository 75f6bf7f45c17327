"""The standard conic form that solvers and files take."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from ..functions.rows import CONE_KINDS
from ..maps.symmetric import smat

Vector = NDArray[np.float64]


class Cone(NamedTuple):
    """A cone on `size` consecutive rows. kind: "zero", "nonnegative", "second-order" (head first), "exponential"
    (size 3: (x, y, z) with y exp(x / y) <= z, y > 0) or "semidefinite" (size k (k + 1) / 2: the upper triangle of a k x k matrix by
    columns, off-diagonal entries times sqrt 2)."""

    kind: str
    size: int


@dataclass(frozen=True, eq=False)
class ConicForm:
    """minimise 1/2 x'P x + c'x + offset  subject to  b - A x in the product of `cones`, rows in their order.

    P : csc (N, N), symmetric, positive semidefinite, both triangles stored.  c : (N,).
    A : csc (M, N).  b : (M,).
    cones : zero first, then nonnegative, second-order, exponential, semidefinite; at most one zero and one nonnegative cone.
    names : one name a variable, the program's own first.
    """

    P: scipy.sparse.csc_array
    c: Vector
    A: scipy.sparse.csc_array
    b: Vector
    cones: tuple[Cone, ...]
    offset: float
    names: tuple[str, ...]

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The kinds of cone in use, and "quadratic" when P is not zero."""
        kinds = {cone.kind for cone in self.cones}
        return frozenset(kinds | {"quadratic"} if self.P.nnz else kinds)

    def rows(self, kind: str) -> slice:
        """The rows of all cones of one kind (they are consecutive)."""
        before = sum(c.size for c in self.cones if CONE_KINDS.index(c.kind) < CONE_KINDS.index(kind))
        return slice(before, before + sum(c.size for c in self.cones if c.kind == kind))

    def sizes(self, kind: str) -> list[int]:
        """The sizes of the cones of one kind."""
        return [c.size for c in self.cones if c.kind == kind]

    def objective(self, x: Vector) -> float:
        """1/2 x'Px + c'x + offset."""
        return float(0.5 * x @ (self.P @ x) + self.c @ x + self.offset)

    def violation(self, x: Vector) -> float:
        """The largest distance-like violation of a cone by b - A x (exact distance for all but exponential cones)."""
        return cone_violation(self.b - self.A @ x, self)

    def __repr__(self) -> str:
        M, N = self.A.shape
        counts = ", ".join(f"{len(s)} {kind}" for kind in CONE_KINDS if (s := self.sizes(kind)))
        return f"<ConicForm: {N} variables, {M} rows, {self.A.nnz} coefficients, cones: {counts}>"


def cone_violation(s: Vector, form: ConicForm) -> float:
    """The largest violation of the cones of `form` by s, in the order of its rows."""
    worst = [0.0]
    if form.rows("zero").stop:
        worst.append(float(np.abs(s[form.rows("zero")]).max()))
    rows = form.rows("nonnegative")
    if rows.stop > rows.start:
        worst.append(-float(s[rows].min()))
    if sizes := form.sizes("second-order"):
        starts = form.rows("second-order").start + np.concatenate([[0], np.cumsum(sizes)[:-1]])
        squares = np.add.reduceat(s[form.rows("second-order")] ** 2, starts - starts[0])
        heads = s[starts]
        tails = np.sqrt(np.maximum(squares - heads**2, 0.0))
        worst.append(float((tails - heads).max()))
    if form.sizes("exponential"):
        x, y, z = s[form.rows("exponential")].reshape(-1, 3).T
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            inside = np.where(y > 0, y * np.exp(np.minimum(x / y, 700.0)) - z, np.maximum(x, -z))
        worst.append(float(np.maximum(inside, -y).max()))
    start = form.rows("semidefinite").start
    for size in form.sizes("semidefinite"):
        worst.append(-float(np.linalg.eigvalsh(smat(s[start : start + size])).min()))
        start += size
    return max(worst)


def relative_violation(form: ConicForm, x: Vector) -> float:
    """The largest violation of a cone by b - A x, each relative to its size: 1 + |b| + |A| |x|, of a cone of several rows the largest.

    What is multiplied by a positive number stays in its cone, so whatever the scales of rows and data, 1 is a violation through and through.
    """
    size = 1 + abs(form.b) + abs(form.A) @ abs(x)
    start = 0
    for cone in form.cones:
        if cone.kind not in ("zero", "nonnegative"):
            size[start : start + cone.size] = size[start : start + cone.size].max()
        start += cone.size
    return cone_violation((form.b - form.A @ x) / size, form)
