"""A two-layer program in the units the engine computes in.

With f0 the loss at zero and beta the penalty strength, u = (f0 / beta) u' and division by f0 turn every program into

    min over u'   J(r) / f0 + sum_b |u'_b|,     r = A p,   p = sum_b F_b u'_b,   G_b u'_b >= 0,

where F_b = diag(mask_b) X carries f0 / beta and the sign of the copy, A the signs sigma of the rows of J, and the rows of
G_b = diag(side_b) X have norm one in the metric of equal columns. Of a single loss A is the identity, and F_b carries sigma. The optimum
lies in [0, 1], multipliers of the cones are of the order of one, and the dual constraint of a block is |F_b'A'q - G_b'a|_* <= 1.
With constraints f0 is at least what multipliers prove that they cost, and the optimum may lie above one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from relumodel.backend import BackendError, Program
from relumodel.functions.base import GroupNorm, L1Norm, Nonnegative
from relumodel.functions.several import gradient
from relumodel.maps.base import Identity, MaskedProduct
from relumodel.maps.readings import Composed

from .dual_loss import DualLoss
from .readings import Readings
from .separable import Rows, rows_of

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

#: The least penalty the engine computes with, as a share of that which makes zero optimal were all columns as small as the smallest.
TINY = 1e-9


@dataclass(frozen=True, eq=False)
class Blocks:
    """Some blocks of the program, side by side. mask : (B, n), the rows of F.  side : (B, n), or (B, 0) without cones.
    pattern : (B,) the pattern of each, in increasing order of (pattern, copy)."""

    index: NDArray[np.intp]
    pattern: NDArray[np.intp]
    mask: Matrix
    side: Matrix

    @property
    def count(self) -> int:
        return len(self.index)


@dataclass(frozen=True, eq=False)
class Scaled:
    """The program in engine units; rows of X that are zero are left out (their predictions are zero whatever u is), and rows of J that
    read nothing else.

    X : (n, d).  columns : (d,) the sizes of its columns, see _column_sizes.  masks : (P, n) the layer's factors.  sides : (P, n) +-1, or None.
    signs : (C,).  sigma : (n,) what F carries of the signs of rows.  back : (all readings, m) from multipliers of rows to the program's.
    group : entries a norm takes together, d or 1.  f0, beta : what the units were made of.  stuck : by how much constraints on nothing but
    zero rows are left, whatever the variables.
    """

    program: Program
    live: NDArray[np.bool_]
    X: Matrix
    columns: Vector
    row_norms: Vector
    masks: NDArray
    sides: NDArray | None
    signs: Vector
    sigma: Vector
    readings: Readings
    loss: DualLoss
    back: scipy.sparse.csr_array
    group: int
    f0: float
    beta: float
    stuck: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, P, d)."""
        return len(self.signs), self.masks.shape[0], self.X.shape[1]

    @property
    def count(self) -> int:
        """C P, the number of blocks; block b is copy b // P of pattern b % P."""
        return len(self.signs) * self.masks.shape[0]

    def gauges(self, c: Matrix) -> Vector:
        """(B,) the dual norms of the rows of c: feasible up to one."""
        return np.sqrt(np.einsum("bd,bd->b", c, c)) if self.group == self.X.shape[1] else np.abs(c).max(axis=1)

    def predict(self, blocks: Blocks, U: Matrix) -> Vector:
        """(m,) the readings of U = X u (B, n)."""
        return self.readings.read(np.einsum("bn,bn->n", blocks.mask, U))

    def pulls(self, blocks: Blocks, q: Vector) -> Matrix:
        """(B, d) F_b'A'q."""
        return (blocks.mask * self.readings.back(q)) @ self.X

    def blocks(self, index: NDArray[np.intp]) -> Blocks:
        """The blocks `index`, sorted so that the copies of one pattern are neighbours."""
        P = self.masks.shape[0]
        index = np.asarray(index)[np.lexsort((np.asarray(index) // P, np.asarray(index) % P))]
        pattern = index % P
        scale = self.signs[index // P, None] * (self.sigma * (self.f0 / self.beta))
        mask = self.masks[pattern] * scale
        side = np.zeros((len(index), 0)) if self.sides is None else self.sides[pattern] / self.row_norms
        return Blocks(index, pattern, mask, side)

    def point(self, u: Matrix) -> Vector:
        """The program's variables from all blocks, (C P, d)."""
        return (u * (self.f0 / self.beta)).reshape(-1)

    def start(self, x: Vector) -> Matrix:
        """All blocks of the program's variables, in engine units."""
        return x.reshape(self.count, -1) * (self.beta / self.f0)

    def dual(self, q: Vector, a: Matrix) -> dict[str, Vector]:
        """The program's multipliers from q and the cone multipliers of all blocks, (C P, n) or (C P, 0)."""
        program, loss = self.program, self.program.term("loss")
        read = np.diff(self.back.indptr) > 0
        # what readings of zero rows have
        full = np.where(read, self.f0 * (self.back @ q), gradient(loss.function, np.zeros(len(read))))
        out = {"loss": full}
        rest = loss.map.adjoint(full)
        if self.sides is not None:
            alpha = np.zeros((self.count, len(self.live)))
            alpha[:, self.live] = a * (-self.beta / self.row_norms)
            out["cones"] = alpha.reshape(-1)
            rest = rest + program.term("cones").map.adjoint(out["cones"])
        out[program.term("penalty").name] = -rest
        return out


def scaled(program: Program) -> Scaled:
    """Read a program; an error names what the engine does not take. A loss that is zero at zero is for the caller to handle."""
    unknown = unknown_term(program)
    if unknown is not None:
        raise BackendError(f"The native engine takes two-layer programs without perturbation; it does not know {unknown}.")
    loss, penalty = program.term("loss"), program.term("penalty").function
    layer, sides = layer_of(program), _sides(program)
    X = layer.X
    columns = _column_sizes(X)
    row_norms = np.linalg.norm(X / columns, axis=1)
    live = row_norms > 0
    A = loss.map.A if isinstance(loss.map, Composed) else None
    found, dead = _live_rows(loss, A, live)
    at, sigma = (np.concatenate([getattr(rows, name) for rows in found] or [np.zeros(0)]) for name in ("at", "sigma"))
    m = loss.map.shape[0]
    back = scipy.sparse.csr_array((sigma, (at.astype(np.intp), np.arange(len(at)))), shape=(m, len(at)))
    plain = A is None and np.array_equal(at, np.flatnonzero(live))
    matrix = None if plain else scipy.sparse.csr_array((back.T if A is None else back.T @ A)[:, np.flatnonzero(live)])
    dual = _bound_rows(found)
    pull = layer.adjoint(_values(live, matrix, sigma, dual.slope(np.zeros(dual.size)) * ~dual.hard)).reshape(-1, X.shape[1])
    group = X.shape[1] if isinstance(penalty, GroupNorm) else 1
    # smaller penalties, zero included, are solved as this one: their own bound is out of reach of float64, the point is as good
    least = TINY * float(penalty.block_gauges((pull * (columns.min() / columns)).reshape(-1)).max())  # type: ignore[attr-defined]
    beta = max(penalty.beta, least) or 1.0  # type: ignore[attr-defined]
    f0 = dual.value(np.zeros(dual.size))
    if dual.hard.any():
        dual = _with_typical_multipliers(dual, f0)
        q = dual.slope(np.zeros(dual.size)) * dual.hard
        gauge = float(penalty.block_gauges(layer.adjoint(_values(live, matrix, sigma, q))).max()) / beta  # type: ignore[attr-defined]
        proved = -dual.conjugate(q) / gauge if gauge > 0 else 0.0
        f0 = max(f0, proved)
        dual = _with_typical_multipliers(dual, f0)
    return Scaled(
        program=program,
        live=live,
        X=np.ascontiguousarray(X[live]),
        columns=columns,
        row_norms=row_norms[live],
        masks=layer.mask[:, live],
        sides=None if sides is None else sides[:, live],
        signs=np.array(layer.signs),
        sigma=sigma if plain else np.ones(int(live.sum())),
        readings=Readings(matrix),
        loss=_divided(dual, f0 or 1.0),
        back=back,
        group=group,
        f0=f0,
        beta=beta,
        stuck=max(
            (float(one.outside(np.zeros(one.size)).max()) for one in map(_bound_rows, ([rows] for rows in dead))), default=0.0
        ),
    )


def layer_of(program: Program) -> Any:
    """The map from blocks to the values at the program's points."""
    K: Any = program.term("loss").map
    return K.K if isinstance(K, Composed) else K


def _sides(program: Program) -> Any:
    return next((t.map.mask for t in program.terms if t.name == "cones"), None)  # type: ignore[attr-defined]


def _live_rows(loss: Any, A: Any, live: NDArray[np.bool_]) -> tuple[list[Rows], list[Rows]]:
    """The rows of the function that read a value which is not zero whatever the variables are, and the others."""
    reads = live if A is None else np.diff(scipy.sparse.csr_array(A[:, np.flatnonzero(live)]).indptr) > 0
    found = rows_of(loss.function, np.arange(loss.map.shape[0])) or []
    alive, dead = ([rows.take(some[rows.at]) for rows in found] for some in (reads, ~reads))
    return [rows for rows in alive if len(rows.at)], [rows for rows in dead if len(rows.at)]


def _values(live: NDArray[np.bool_], matrix: Any, sigma: Vector, q: Vector) -> Vector:
    """(all points,) A'q."""
    out = np.zeros(len(live))
    out[live] = sigma * q if matrix is None else matrix.T @ q
    return out


def _bound_rows(found: list[Rows]) -> DualLoss:
    """The rows side by side, in the program's units."""
    sizes = [len(rows.at) for rows in found]
    ends = np.cumsum([0, *sizes])
    parts = tuple((slice(int(a), int(b)), rows.loss) for a, b, rows in zip(ends[:-1], ends[1:], found, strict=True))
    intervals = [rows.ends for rows in found]
    tau, weights = (np.concatenate([getattr(rows, name) for rows in found] or [np.zeros(0)]) for name in ("tau", "weights"))
    low, high = (np.repeat([ends[k] for ends in intervals], sizes) for k in (0, 1))
    hard = np.repeat([rows.hard for rows in found], sizes).astype(bool)
    # infinite ends times weights are infinite, and 0 stays 0
    return DualLoss(parts, tau, weights, low * weights, high * weights, hard)


def _with_typical_multipliers(dual: DualLoss, f0: float) -> DualLoss:
    """The same with weights of indicators at which the readings would change the objective by about f0."""
    pull = float(np.abs(dual.slope(np.zeros(dual.size))[~dual.hard]).sum())
    losses = dual.value(np.zeros(dual.size))
    reading = losses / pull if pull > 0 and losses > 0 else float(np.abs(dual.tau[dual.hard]).max())
    typical = (f0 or 1.0) / (dual.size * (reading or 1.0))
    return replace(dual, weights=np.where(dual.hard, typical, dual.weights))


def _divided(dual: DualLoss, f0: float) -> DualLoss:
    return replace(dual, weights=dual.weights / f0, low=dual.low / f0, high=dual.high / f0)


def _column_sizes(X: Matrix) -> Vector:
    """The norms of the columns over their geometric mean, one for zero columns. Where columns differ by orders of magnitude, the
    weights of the large ones are small in the end, so this is the metric in which the rows of the cones compare."""
    sizes = np.linalg.norm(X, axis=0)
    some = sizes > 0
    sizes[some] /= np.exp(np.log(sizes[some]).mean()) if some.any() else 1.0
    return np.where(some, sizes, 1.0)


def unknown_term(program: Program) -> str | None:
    """What of a program the engine does not take, in words; None when it takes it."""
    known = {
        "loss": lambda f, K: _summed(K) and rows_of(f, np.arange(K.shape[0])) is not None,
        "penalty": lambda f, K: isinstance(f, GroupNorm | L1Norm) and isinstance(K, Identity),
        "cones": lambda f, K: isinstance(f, Nonnegative) and isinstance(K, MaskedProduct) and not K.summed,
    }
    for term in program.terms:
        if term.name not in known or not known[term.name](term.function, term.map):
            return f"the term {term.name!r} ({_called(term.function)} of {type(term.map).__name__})"
    return None


def _summed(K: Any) -> bool:
    inner = K.K if isinstance(K, Composed) else K
    return isinstance(inner, MaskedProduct) and inner.summed


def _called(function: Any) -> str:
    """The name of a function's class, of the first part that is no sum of rows where there are several."""
    for part, size in zip(getattr(function, "functions", ()), getattr(function, "sizes", ()), strict=True):
        if rows_of(part, np.arange(size)) is None:
            return type(part).__name__
    return type(function).__name__
