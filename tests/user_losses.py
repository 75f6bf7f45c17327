"""Losses and penalties as users write them, outside of relumodel: right ones, and ones that lie."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from array_api_compat import array_namespace

import relumodel as rm
from relumodel.functions.base import Function, Norm
from relumodel.functions.losses import ResidualLoss, positive, soft
from relumodel.functions.penalties import Penalty
from relumodel.functions.rows import NONNEGATIVE, ConicRows, Rows, diagonal, empty
from relumodel.program.program import Term


@dataclass(frozen=True)
class Pinball(ResidualLoss):
    """The quantile loss max(-q s, (1 - q) s) of s = f(x) - y: even at q = 1/2 only."""

    q: float = 0.1
    formula: ClassVar[str] = "pinball({s})"

    def value(self, s):
        return array_namespace(s).maximum(-self.q * s, (1 - self.q) * s)

    def slope(self, s):
        return array_namespace(s).where(s < 0, -self.q + 0 * s, 1 - self.q + 0 * s)

    def prox(self, s, t):
        high, low = s - t * (1 - self.q), s + t * self.q
        return array_namespace(s).where(high > 0, high, array_namespace(s).where(low < 0, low, 0 * s))

    def conjugate(self, m):
        return 0 * m

    def clip(self, m):
        return array_namespace(m).clip(m, -self.q, 1 - self.q)

    def conjugate_slopes(self, m):
        return 0 * m, 0 * m

    def rows(self, weights):
        n = len(weights)
        below, on_s = -diagonal(np.ones(n)), -self.q * diagonal(np.ones(n))
        pieces = (
            Rows(NONNEGATIVE, [n], on_s, below, np.zeros(n)),
            Rows(NONNEGATIVE, [n], (1 - self.q) * diagonal(np.ones(n)), below, np.zeros(n)),
        )
        return ConicRows(weights, np.zeros(n), pieces)


@dataclass(frozen=True)
class EvenPinball(Pinball):
    """Declares what it is not, unless q = 1/2."""

    even: ClassVar[bool] = True


@dataclass(frozen=True, eq=False)
class ElasticNorm(Norm):
    """beta sum_b ( |u_b|_2 + |u_b|_1 ): a norm, whose dual norm is neither of the two built in."""

    def value(self, z):
        return self.beta * (self._lengths(abs(self._blocks(z))) + abs(self._blocks(z)).sum(1)).sum()

    def prox(self, z, t):
        U = self._blocks(z)
        U = soft(U, t * self.beta)
        sizes = self._lengths(U)
        share = positive(sizes - t * self.beta) / array_namespace(z).where(sizes > 0, sizes, 1.0 + 0 * sizes)
        return array_namespace(z).reshape(U * share[:, None], (-1,))

    def block_gauges(self, q):
        """The least s with |soft(q, s)|_2 <= s: by bisection from above, to the last digit."""
        xp, A = array_namespace(q), abs(self._blocks(q))
        low, high = 0 * A[:, 0], xp.max(A, axis=1)
        for _ in range(50):
            middle = 0.5 * (low + high)
            inside = self._lengths(positive(A - middle[:, None])) <= middle
            low, high = xp.where(inside, low, middle), xp.where(inside, middle, high)
        return high

    def project_dual(self, q):
        over = (self.block_gauges(q) / self.beta).clip(1.0)
        return array_namespace(q).reshape(self._blocks(q) / over[:, None], (-1,))

    def _blocks(self, z):
        return array_namespace(z).reshape(z, (-1, self.size))

    @staticmethod
    def _lengths(U):
        return array_namespace(U).sqrt((U * U).sum(1))

    def rows(self, m):
        two, one = rm.WeightDecay(self.beta).function(self.size).rows(m), rm.PathNorm(self.beta).function(self.size).rows(m)
        k, j = len(two.cost), len(one.cost)
        pieces = [Rows(p.kind, p.sizes, p.on_z, _beside(p.on_t, 0, j), p.b) for p in two.pieces]
        pieces += [Rows(p.kind, p.sizes, p.on_z, _beside(p.on_t, k, 0), p.b) for p in one.pieces]
        return ConicRows(np.concatenate([two.cost, one.cost]), np.zeros(k + j), tuple(pieces))


def _beside(on_t, left, right):
    from scipy import sparse

    rows = on_t.shape[0]
    return sparse.hstack([empty(rows, left), on_t, empty(rows, right)], format="csr")


@dataclass(frozen=True)
class Elastic(Penalty):
    """beta sum_j (|u_j|_2 + |u_j|_1) |a_j|."""

    formula: ClassVar[str] = "{beta} sum_j (|u_j|_2 + |u_j|_1) |a_j|"
    formula_three_layer: ClassVar[str] = formula
    norm: ClassVar[str] = "elastic"

    def function(self, size):
        return ElasticNorm(self.beta, size)

    def of_network(self, hidden, output):
        sizes = np.abs(output) if np.ndim(output) == 1 else np.abs(output).sum(axis=1)
        return self.beta * float(self.norms(hidden.T) @ sizes)

    def norms(self, blocks):
        return np.linalg.norm(blocks, axis=1) + np.abs(blocks).sum(axis=1)


@dataclass(frozen=True)
class HeavierHuber(rm.Huber):
    """Another value, with the conjugate it inherits: the bound it proves is one of another loss."""

    def value(self, s):
        return 0.5 * super().value(s)


@dataclass(frozen=True)
class WrongFar(rm.Squared):
    """Right for residuals up to 1e7, where the checks of faces look; a tenth of itself beyond."""

    def value(self, s):
        return array_namespace(s).where(abs(s) <= 1e7, super().value(s), 0.1 * super().value(s))


@dataclass(frozen=True, eq=False)
class AtMost(Function):
    """The indicator of z <= level: a constraint as a user puts it in."""

    level: float
    indicator: ClassVar[bool] = True

    def value(self, z):
        return 0.0

    def violation(self, z):
        return max(0.0, float(z.max()) - self.level)

    def prox(self, z, t):
        return array_namespace(z).clip(z, max=self.level)

    def conjugate(self, q):
        return self.level * q.sum()

    def project_dual(self, q):
        return positive(q)

    def rows(self, m):
        return ConicRows(np.zeros(0), np.zeros(0), (Rows(NONNEGATIVE, [m], 1.0, empty(m, 0), np.full(m, self.level)),))


def with_term(program, name, function, K):
    """The program with one more term put in by hand."""
    return dataclasses.replace(program, terms=(*program.terms, Term(name, function, K)))
