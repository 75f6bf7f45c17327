"""The worst-case loss of a quadratic prediction over an ellipsoid around each sample, exactly.

On z = (svec S, G, f) (see relumodel.maps.quadratic_maps), with m quadratics of signs s_i around their samples k(i),

    h_i = min over |e|_2 <= 1 of  s_i ( f_i + G_i.e + e'S e )

which are the bounds that the sides of a loss read (relumodel.functions.sides), here exact.

h_i >= v holds exactly when some lam >= 0 makes [s S + lam, s G/2; ., s f - v - lam] positive semidefinite (S-procedure). The convex
hull of the (e e', e) is { (E, e) : E >= e e', tr E <= 1 }, which gives the conjugate (Kuelbs et al. 2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from ..maps.symmetric import packed_size, smat, svec
from .base import Function, SampleLoss
from .losses import positive
from .one_sided import refuse_two_sided
from .rows import NONNEGATIVE, SEMIDEFINITE, ConicRows, Rows, diagonal, empty, shifted
from .sides import SideRows, Sides, sides_of
from .trust_region import unit_ball_minimum

Vector = NDArray[np.float64]


def worst_over_ball(S: Vector, G: Vector, f: Vector, signs: Vector) -> tuple[Vector, Vector]:
    """h (m,) and the worst e (m, p), for S (p, p), G (m, p), f (m,)."""
    values, vectors = np.linalg.eigh(S)
    h, points = np.empty(len(f)), np.empty_like(G)
    for sign in (1.0, -1.0):
        at = np.flatnonzero(signs == sign)
        if len(at):
            found = unit_ball_minimum(sign * values, sign * (G[at] @ vectors))
            h[at], points[at] = sign * f[at] + found.value, found.point @ vectors.T
    return h, points


@dataclass(frozen=True, eq=False)
class BallLoss(Function):
    """See above. clean : the loss without perturbation.  samples, signs : (m,), from `sides`.  p : the length of e."""

    clean: SampleLoss
    samples: NDArray[np.intp]
    signs: Vector
    p: int

    def __post_init__(self) -> None:
        refuse_two_sided(self.clean.loss)

    @property
    def sides(self) -> Sides:
        """What becomes of the bounds h."""
        return sides_of(self.clean.loss, self.clean.weights, self.clean.tau)

    def split(self, z: Vector) -> tuple[Vector, Vector, Vector]:
        """svec S, G (m, p) and f (m,)."""
        s, m = packed_size(self.p), len(self.samples)
        return z[:s], z[s : s + m * self.p].reshape(m, self.p), z[s + m * self.p :]

    def worst(self, z: Vector) -> tuple[Vector, Vector]:
        """h (m,) and the worst e (m, p)."""
        S, G, f = self.split(z)
        return worst_over_ball(smat(S), G, f, self.signs)

    def value(self, z: Any) -> float:
        sides = self.sides
        return float((sides.weights * sides.each(self.worst(z)[0])).sum())

    def gradient(self, z: Any) -> Vector:
        """A subgradient, at the worst points."""
        h, e = self.worst(z)
        return self._multiplier(-self.sides.rates(h), e)

    def _multiplier(self, c: Vector, e: Vector) -> Vector:
        """sum of c times the gradients of h at the points e."""
        on_f = self.signs * c
        return np.concatenate([svec((on_f[:, None] * e).T @ e), (on_f[:, None] * e).reshape(-1), on_f])

    def conjugate(self, q: Any) -> float:
        """That of the sides at the rates that stand on s f."""
        return float(self.sides.conjugate(-self.signs * self.split(q)[2]))

    def project_dual(self, q: Any) -> Vector:
        """q_f to rates that the sides allow, then |q_G| <= |q_f|, then q_S - sum q_G q_G' / q_f into what the slack of its sign carries."""
        on_S, on_G, on_f = self.split(q)
        c = -self.sides.project(positive(-self.signs * on_f))
        on_f = self.signs * c
        size = np.linalg.norm(on_G, axis=1)
        on_G = on_G * np.where(size > abs(c), abs(c) / np.where(size > 0, size, 1.0), 1.0)[:, None]
        inverse = np.divide(1.0, on_f, out=np.zeros_like(on_f), where=on_f != 0)
        carried = (inverse[:, None] * on_G).T @ on_G
        slack = positive(abs(c) - (on_G**2).sum(axis=1) * abs(inverse))
        return np.concatenate([self._within(on_S, carried, slack, on_f), on_G.reshape(-1), on_f])

    def _within(self, on_S: Vector, carried: Vector, slack: Vector, on_f: Vector) -> Vector:
        """svec of `carried` plus a matrix whose positive and negative parts have the traces that the slacks allow."""
        values, vectors = np.linalg.eigh(smat(on_S) - carried)
        scale = np.ones(len(values))
        for sign in (1.0, -1.0):
            trace, room = positive(sign * values).sum(), slack[sign * on_f > 0].sum()
            if trace > room:
                scale = np.where(sign * values > 0, room / trace, scale)
        return on_S if (scale == 1).all() else svec(carried + (vectors * (scale * values)) @ vectors.T)

    def few_rows(self, m: int) -> ConicRows:
        p = min(self.p, 1)
        first = self.samples == 0
        few = BallLoss(self.clean.first(1), self.samples[first], self.signs[first], p)
        return few.rows(packed_size(p) + int(first.sum()) * (p + 1))

    def rows(self, m: int) -> ConicRows:
        """Auxiliaries: those of the sides, lam; lam >= 0, and one matrix of order p + 1 for every quadratic."""
        tied, sides = self.sides.rows(), len(self.samples)
        own = len(tied.rows.cost)
        k = own + sides
        pieces = [shifted(piece, 0, m, 0, k) for piece in tied.rows.pieces]
        lam = diagonal(-np.ones(sides), column=own, columns=k)
        pieces.append(Rows(NONNEGATIVE, [sides], empty(sides, m), lam, np.zeros(sides)))
        pieces.append(self._matrices(m, tied, own, k))
        none = np.zeros(sides)
        cost, quadratic = (np.concatenate([part, none]) for part in (tied.rows.cost, tied.rows.quadratic))
        return ConicRows(cost, quadratic, tuple(pieces))

    def _matrices(self, m: int, tied: SideRows, first_lam: int, k: int) -> Rows:
        """[s S + lam, s G/2; ., s f + offset - sense argument - lam] >= 0."""
        p, sides, s = self.p, len(self.samples), packed_size(self.p)
        size, side = packed_size(p + 1), np.arange(sides)
        # an svec of order p + 1 is that of order p, then the last column: s G / 2 times sqrt 2, and the corner
        source = np.hstack(
            [np.tile(np.arange(s), (sides, 1)), s + np.arange(sides * p).reshape(sides, p), (s + sides * p + side)[:, None]]
        )
        factor = np.concatenate([np.ones(s), np.full(p, np.sqrt(0.5)), [1.0]])
        values = -(self.signs[:, None] * factor).reshape(-1)
        on_z = scipy.sparse.csr_array((values, source.reshape(-1), np.arange(sides * size + 1)), shape=(sides * size, m))
        j = np.arange(p)
        corner = side * size + size - 1
        on_diagonal = (side[:, None] * size + j * (j + 3) // 2).reshape(-1)
        argument = np.full(sides, tied.sense)
        on_t = scipy.sparse.csr_array(
            (
                np.concatenate([-np.ones(sides * p), np.ones(sides), argument]),
                (
                    np.concatenate([on_diagonal, corner, corner]),
                    np.concatenate([np.repeat(first_lam + side, p), first_lam + side, tied.at]),
                ),
            ),
            shape=(sides * size, k),
        )
        b = np.zeros(sides * size)
        b[corner] = tied.offset
        return Rows(SEMIDEFINITE, [size] * sides, on_z, on_t, b)
