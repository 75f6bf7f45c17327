"""A two-layer program in the units the engine computes in.

With f0 the loss at zero and beta the penalty strength, u = (f0 / beta) u' and division by f0 turn every program into

    min over u'   loss(p) / f0 + sum_b |u'_b|,     p = sum_b F_b u'_b,   G_b u'_b >= 0,

where F_b = diag(mask_b) X carries f0 / beta, the sign of the copy and the signs sigma of the samples, and the rows of
G_b = diag(side_b) X have norm one in the metric of equal columns. The optimum lies in [0, 1], multipliers of the cones are of
the order of one, and the dual constraint of a block is |F_b'q - G_b'a|_* <= 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relumodel.backend import BackendError, Program
from relumodel.functions.base import GroupNorm, L1Norm, Nonnegative, SampleLoss
from relumodel.maps.base import Identity, MaskedProduct

from .dual_loss import DualLoss

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
    """The program in engine units; rows of X that are zero are left out (their predictions are zero whatever u is).

    X : (n, d).  columns : (d,) the sizes of its columns, see _column_sizes.  masks : (P, n) the layer's factors.  sides : (P, n) +-1, or None.  signs : (C,).
    group : entries a norm takes together, d or 1.  f0, beta : what the units were made of.
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
    loss: DualLoss
    group: int
    f0: float
    beta: float

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
        program, n = self.program, len(self.live)
        loss, penalty = program.term("loss"), program.term("penalty")
        full = loss.function.gradient(np.zeros(n))  # type: ignore[attr-defined]  # what rows of zeros have
        full[self.live] = self.f0 * self.sigma * q
        out = {"loss": full}
        rest = loss.map.adjoint(full)
        if self.sides is not None:
            alpha = np.zeros((self.count, n))
            alpha[:, self.live] = a * (-self.beta / self.row_norms)
            out["cones"] = alpha.reshape(-1)
            rest = rest + program.term("cones").map.adjoint(out["cones"])
        out[penalty.name] = -rest
        return out


def scaled(program: Program) -> Scaled:
    """Read a program; an error names what the engine does not take. A loss that is zero at zero is for the caller to handle."""
    loss, penalty, cones = _terms(program)
    function, layer = loss.function, loss.map
    X = layer.X
    columns = _column_sizes(X)
    row_norms = np.linalg.norm(X / columns, axis=1)
    live = row_norms > 0
    f0 = float((function.weights * function.loss.value(function.tau))[live].sum())
    sides = None if cones is None else cones.map.mask[:, live]
    group = X.shape[1] if isinstance(penalty.function, GroupNorm) else 1
    beta = penalty.function.beta
    # smaller penalties, zero included, are solved as this one: their own bound is out of reach of float64, the point is as good
    slopes = layer.adjoint(function.gradient(np.zeros(len(X)))).reshape(-1, X.shape[1]) * (columns.min() / columns)
    least = TINY * float(penalty.function.block_gauges(slopes.reshape(-1)).max())
    beta = max(beta, least) or 1.0
    return Scaled(
        program=program,
        live=live,
        X=np.ascontiguousarray(X[live]),
        columns=columns,
        row_norms=row_norms[live],
        masks=layer.mask[:, live],
        sides=sides,
        signs=np.array(layer.signs),
        sigma=function.sigma[live],
        loss=DualLoss.of(function, live, f0 or 1.0),
        group=group,
        f0=f0,
        beta=beta,
    )


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
        "loss": lambda f, K: isinstance(f, SampleLoss) and f.loss.smooth_conjugate and isinstance(K, MaskedProduct) and K.summed,
        "penalty": lambda f, K: isinstance(f, GroupNorm | L1Norm) and isinstance(K, Identity),
        "cones": lambda f, K: isinstance(f, Nonnegative) and isinstance(K, MaskedProduct) and not K.summed,
    }
    for term in program.terms:
        if term.name not in known or not known[term.name](term.function, term.map):
            return f"the term {term.name!r} ({type(term.function).__name__} of {type(term.map).__name__})"
    return None


def _terms(program: Program) -> tuple:
    """The loss, penalty and cone terms, or an error."""
    unknown = unknown_term(program)
    if unknown is not None:
        raise BackendError(f"The native engine takes two-layer programs without perturbation; it does not know {unknown}.")
    found = {term.name: term for term in program.terms}
    return found["loss"], found["penalty"], found.get("cones")
