"""The functions a program sums. Each has faces, and a backend looks at the ones it understands:

value(z)             f(z); an indicator is 0 where it is finite, and tells how far outside by violation(z)
prox(z, t)           argmin over p of  t f(p) + |p - z|^2 / 2
conjugate(q)         f*(q) on its domain; project_dual(q) is a point of that domain near q
dual_gauge(q)        norms only: the smallest s >= 0 with q in s times the domain of f*
rows(m)              the epigraph in conic form
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import scipy
from array_api_compat import array_namespace
from numpy.typing import NDArray

from .losses import Loss, positive, soft
from .rows import NONNEGATIVE, SECOND_ORDER, ZERO, ConicRows, Rows, diagonal, empty

Vector = NDArray[np.float64]


class Function:
    """Base of the functions; the faces a subclass does not define are not there to be used."""

    #: True for an indicator: it contributes to violation(), never to the objective
    indicator: ClassVar[bool] = False

    #: True for the indicator of a cone: the domain of f* is a cone, too, and f* is 0 on it, so a multiplier may be scaled by any s >= 0
    cone: ClassVar[bool] = False

    #: False where prox is not there for what a function was made of
    proximal: ClassVar[bool] = True

    def value(self, z: Any) -> Any:
        """f(z), a scalar."""
        raise NotImplementedError

    def violation(self, z: Any) -> Any:
        """How far z is outside the domain: 0 for a function that is finite everywhere."""
        return 0.0

    def prox(self, z: Any, t: Any) -> Any:
        """argmin over p of t f(p) + |p - z|^2 / 2."""
        raise NotImplementedError

    def conjugate(self, q: Any) -> Any:
        """f*(q), a scalar, for q in its domain."""
        raise NotImplementedError

    def project_dual(self, q: Any) -> Any:
        """A point of the domain of f* near q."""
        raise NotImplementedError

    def rows(self, m: int) -> ConicRows:
        """The epigraph on R^m in conic form."""
        raise NotImplementedError

    def few_rows(self, m: int) -> ConicRows:
        """`rows` on as few entries as have all its kinds of cones: what is asked of a program before there is memory for all."""
        return self.rows(m)


@dataclass(frozen=True, eq=False)
class SampleLoss(Function):
    """sum_k weights_k phi(sigma_k z_k + tau_k): a loss bound to its targets, sigma_k = +-1.

    sample_weights : (n,) those it was bound with, before the reduction; None where all are 1.
    outputs : how many predictions a sample has; the losses of all add up, z holds those of one output after those of another.
    """

    loss: Loss
    sigma: Vector
    tau: Vector
    weights: Vector
    sample_weights: Vector | None = None
    outputs: int = 1

    @classmethod
    def bind(cls, loss: Loss, y: Vector, sample_weights: Vector | None = None, total: float | None = None) -> SampleLoss:
        """Margin losses read s = y z, residual losses s = z - y; weights are w_k / sum w ("mean") or w_k ("sum"), w_k = 1 if None.
        y : (n,), or (n, c) for c outputs. total : in place of sum w, where there are more samples elsewhere."""
        w = np.ones(len(y)) if sample_weights is None else sample_weights
        outputs = 1 if y.ndim == 1 else y.shape[1]
        weights = np.tile(w / (w.sum() if total is None else total) if loss.reduction == "mean" else w, outputs)
        flat = np.ascontiguousarray(y.T).reshape(-1)
        sigma, tau = (flat, np.zeros(len(flat))) if loss.reads == "margin" else (np.ones(len(flat)), -flat)
        return cls(loss, sigma, tau, weights, sample_weights, outputs)

    @property
    def targets(self) -> Vector:
        """The y that it was bound to: (n,), or (n, c)."""
        flat = self.sigma if self.loss.reads == "margin" else -self.tau
        return flat if self.outputs == 1 else np.ascontiguousarray(flat.reshape(self.outputs, -1).T)

    @property
    def has_kink(self) -> bool:
        """Whether phi has a kink: exactly where its conjugate is straight."""
        return bool((self.loss.conjugate_slopes(self.loss.clip(np.array([-0.5])))[1] == 0).any())

    def rounded(self, z: Any, width: float) -> tuple[float, Any]:
        """The value with phi replaced by its Moreau envelope of a width, or phi itself for 0, and a gradient in z."""
        if width == 0:
            return self.value(z), self.gradient(z)
        s = self.argument(z)
        near = self.loss.prox(s, width)
        value = self.loss.value(near) + (s - near) ** 2 / (2 * width)
        return float(self.weights @ value), self.weights * self.sigma * (s - near) / width

    def of_output(self, r: int) -> SampleLoss:
        """The part of output r."""
        n = len(self.weights) // self.outputs
        at = slice(r * n, (r + 1) * n)
        return SampleLoss(self.loss, self.sigma[at], self.tau[at], self.weights[at], self.sample_weights)

    def argument(self, z: Any) -> Any:
        """s = sigma z + tau."""
        return self.sigma * z + self.tau

    def value(self, z: Any) -> Any:
        return (self.weights * self.loss.value(self.argument(z))).sum()

    def gradient(self, z: Any) -> Any:
        """A subgradient in z."""
        return self.weights * self.sigma * self.loss.slope(self.argument(z))

    def prox(self, z: Any, t: Any) -> Any:
        return self.sigma * (self.loss.prox(self.argument(z), t * self.weights) - self.tau)

    def conjugate(self, q: Any) -> Any:
        m = self.sigma * q
        return (self.weights * self.loss.conjugate(m / self.weights) - self.tau * m).sum()

    def project_dual(self, q: Any) -> Any:
        return self.sigma * self.weights * self.loss.clip(self.sigma * q / self.weights)

    def few_rows(self, m: int) -> ConicRows:
        return self.first(1).rows(1)

    def first(self, count: int) -> SampleLoss:
        """The loss of the first `count` samples alone."""
        return replace(self, sigma=self.sigma[:count], tau=self.tau[:count], weights=self.weights[:count], sample_weights=None)

    def rows(self, m: int) -> ConicRows:
        inner = self.loss.rows(self.weights)
        return ConicRows(inner.cost, inner.quadratic, tuple(self._on_prediction(piece) for piece in inner.pieces))

    def _on_prediction(self, piece: Rows) -> Rows:
        """Rows on s become rows on z: on_s (sigma z + tau) = (on_s sigma) z + on_s tau."""
        on_s = piece.on_z
        if isinstance(on_s, float):
            on_z: scipy.sparse.csr_array | float = on_s if (self.sigma == 1).all() else diagonal(on_s * self.sigma)
            return Rows(piece.kind, piece.sizes, on_z, piece.on_t, piece.b - on_s * self.tau)
        return Rows(piece.kind, piece.sizes, on_s @ diagonal(self.sigma), piece.on_t, piece.b - on_s @ self.tau)


@dataclass(frozen=True, eq=False)
class Norm(Function):
    """beta times a norm of every block of `size` entries, summed. Its conjugate is 0 where every dual norm is at most beta."""

    beta: float
    size: int

    def conjugate(self, q: Any) -> Any:
        return 0.0

    def block_gauges(self, q: Any) -> Any:
        """The dual norm of every block of q; feasible where at most beta."""
        raise NotImplementedError

    def dual_gauge(self, q: Any) -> float:
        """The smallest s >= 0 with every dual norm at most s beta."""
        worst = float(self.block_gauges(q).max())
        if worst == 0:
            return 0.0
        return worst / self.beta if self.beta > 0 else float("inf")


@dataclass(frozen=True, eq=False)
class GroupNorm(Norm):
    """beta sum_b |u_b|_2 over blocks of equal size."""

    def value(self, z: Any) -> Any:
        return self.beta * block_norms(z, self.size).sum()

    def prox(self, z: Any, t: Any) -> Any:
        xp = array_namespace(z)
        norms = block_norms(z, self.size)
        keep = positive(norms - t * self.beta) / xp.where(norms > 0, norms, 1.0 + 0 * norms)
        return xp.reshape(xp.reshape(z, (-1, self.size)) * keep[:, None], (-1,))

    def block_gauges(self, q: Any) -> Any:
        return block_norms(q, self.size)

    def project_dual(self, q: Any) -> Any:
        xp = array_namespace(q)
        norms = block_norms(q, self.size)
        scale = xp.where(norms > self.beta, self.beta / xp.where(norms > 0, norms, 1.0 + 0 * norms), 1.0 + 0 * norms)
        return xp.reshape(xp.reshape(q, (-1, self.size)) * scale[:, None], (-1,))

    def few_rows(self, m: int) -> ConicRows:
        return self.rows(self.size)

    def rows(self, m: int) -> ConicRows:
        """One cone (t_b, u_b) a block."""
        blocks, size = m // self.size, self.size
        row = np.arange(m) + np.arange(m) // size + 1
        head = np.arange(blocks) * (size + 1)
        on_z = scipy.sparse.csr_array((-np.ones(m), (row, np.arange(m))), shape=(m + blocks, m))
        on_t = scipy.sparse.csr_array((-np.ones(blocks), (head, np.arange(blocks))), shape=(m + blocks, blocks))
        cones = Rows(SECOND_ORDER, [size + 1] * blocks, on_z, on_t, np.zeros(m + blocks))
        return ConicRows(np.full(blocks, self.beta), np.zeros(blocks), (cones,))


@dataclass(frozen=True, eq=False)
class L1Norm(Norm):
    """beta sum_b |u_b|_1 over blocks of equal size (the blocks matter to the certificate only)."""

    def value(self, z: Any) -> Any:
        return self.beta * abs(z).sum()

    def prox(self, z: Any, t: Any) -> Any:
        return soft(z, t * self.beta)

    def block_gauges(self, q: Any) -> Any:
        xp = array_namespace(q)
        return xp.max(abs(xp.reshape(q, (-1, self.size))), axis=1)

    def project_dual(self, q: Any) -> Any:
        return array_namespace(q).clip(q, -self.beta, self.beta)

    def few_rows(self, m: int) -> ConicRows:
        return self.rows(1)

    def rows(self, m: int) -> ConicRows:
        below = -diagonal(np.ones(m))
        pieces = (Rows(NONNEGATIVE, [m], 1.0, below, np.zeros(m)), Rows(NONNEGATIVE, [m], -1.0, below, np.zeros(m)))
        return ConicRows(np.full(m, self.beta), np.zeros(m), pieces)


@dataclass(frozen=True, eq=False)
class Linear(Function):
    """beta times the sum of the entries. Its conjugate is 0 at beta, and infinite elsewhere."""

    beta: float

    def value(self, z: Any) -> Any:
        return self.beta * z.sum()

    def prox(self, z: Any, t: Any) -> Any:
        return z - t * self.beta

    def conjugate(self, q: Any) -> Any:
        return 0.0

    def project_dual(self, q: Any) -> Any:
        return 0 * q + self.beta

    def few_rows(self, m: int) -> ConicRows:
        return self.rows(1)

    def rows(self, m: int) -> ConicRows:
        """z = t at cost beta t."""
        pieces = (Rows(ZERO, [m], -1.0, diagonal(np.ones(m)), np.zeros(m)),)
        return ConicRows(np.full(m, self.beta), np.zeros(m), pieces)


@dataclass(frozen=True, eq=False)
class ZeroIndicator(Function):
    """The indicator of z = 0; its conjugate is 0 everywhere."""

    indicator: ClassVar[bool] = True
    cone: ClassVar[bool] = True

    def value(self, z: Any) -> Any:
        return 0.0

    def violation(self, z: Any) -> float:
        return float(abs(z).max()) if z.shape[0] else 0.0

    def prox(self, z: Any, t: Any) -> Any:
        return 0 * z

    def conjugate(self, q: Any) -> Any:
        return 0.0

    def project_dual(self, q: Any) -> Any:
        return q

    def few_rows(self, m: int) -> ConicRows:
        return self.rows(1)

    def rows(self, m: int) -> ConicRows:
        return ConicRows(np.zeros(0), np.zeros(0), (Rows(ZERO, [m], -1.0, empty(m, 0), np.zeros(m)),))


@dataclass(frozen=True, eq=False)
class Nonnegative(Function):
    """The indicator of z >= 0; its conjugate is the indicator of q <= 0."""

    indicator: ClassVar[bool] = True
    cone: ClassVar[bool] = True

    def value(self, z: Any) -> Any:
        return 0.0

    def violation(self, z: Any) -> float:
        return max(0.0, -float(z.min())) if z.shape[0] else 0.0  # no rows where every sample is zero

    def prox(self, z: Any, t: Any) -> Any:
        return positive(z)

    def conjugate(self, q: Any) -> Any:
        return 0.0

    def project_dual(self, q: Any) -> Any:
        return -positive(-q)

    def few_rows(self, m: int) -> ConicRows:
        return self.rows(1)

    def rows(self, m: int) -> ConicRows:
        return ConicRows(np.zeros(0), np.zeros(0), (Rows(NONNEGATIVE, [m], -1.0, empty(m, 0), np.zeros(m)),))


def block_norms(z: Any, size: int) -> Any:
    """The 2-norms of consecutive blocks of z."""
    xp = array_namespace(z)
    U = xp.reshape(z, (-1, size))
    return xp.sqrt(xp.sum(U * U, axis=1))
