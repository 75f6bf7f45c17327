"""Functions of the robust counterpart (Bai et al. 2023, section 4), over any perturbation set with support function h.

RobustLoss on (z, Q): z_k the prediction, q_k the weights that act on sample k. Margin losses are non-increasing, residual
losses even, so the worst case over x_k + Delta enters their argument alone:

    margin:    sum_k w_k phi( sigma_k z_k + tau_k - h(q_k) )          residual:   sum_k w_k phi( |z_k - y_k| + h(q_k) )

RobustCones on (S, U): the indicator of  s_bk >= h(u_b)  for all k, block by block: the neuron keeps its side on every box.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray
from scipy import sparse

from ..losses import positive
from ..perturbations import Ball
from .functions import Function, SampleLoss
from .rows import NONNEGATIVE, ConicRows, Rows, diagonal, empty

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RobustLoss(Function):
    """The worst-case loss on z = (prediction (n,), weights (n, d) flattened)."""

    clean: SampleLoss
    ball: Ball

    def split(self, z: Any) -> tuple[Any, Any]:
        """The prediction (n,) and the per-sample weights (n, d)."""
        xp = array_namespace(z)
        n = len(self.clean.weights)
        return z[:n], xp.reshape(z[n:], (n, len(self.ball.radii)))

    def argument(self, z: Any) -> Any:
        """The worst-case argument of phi."""
        prediction, Q = self.split(z)
        return self._worst(self.clean.argument(prediction), self.ball.support(Q))

    def _worst(self, s: Any, h: Any) -> Any:
        return s - h if self._margin else abs(s) + h

    @property
    def _margin(self) -> bool:
        return self.clean.loss.reads == "margin"

    def value(self, z: Any) -> Any:
        return (self.clean.weights * self.clean.loss.value(self.argument(z))).sum()

    def gradient(self, z: Any) -> Any:
        """A subgradient in (z, Q): the loss slope, and the worst perturbation times its size."""
        xp = array_namespace(z)
        prediction, Q = self.split(z)
        s = self.clean.argument(prediction)
        slope = self.clean.weights * self.clean.loss.slope(self.argument(z))
        on_s = slope if self._margin else slope * xp.sign(s)
        on_q = abs(slope)[:, None] * self.ball.worst(Q)
        return xp.concat([self.clean.sigma * on_s, xp.reshape(on_q, (-1,))])

    def conjugate(self, q: Any) -> Any:
        """margin: w phi*(m / w) where g in |m| Delta;  residual: w phi*(max(|m|, gauge of g) / w) + m y."""
        on_z, G = self.split(q)
        m = self.clean.sigma * on_z
        size = m
        if not self._margin:
            size = array_namespace(q).maximum(abs(m), self.ball.gauge(G))
        weights = self.clean.weights
        return (weights * self.clean.loss.conjugate(size / weights) - self.clean.tau * m).sum()

    def project_dual(self, q: Any) -> Any:
        """The loss multiplier clipped as without perturbation, then g scaled into what it allows; 0 on unperturbed columns."""
        xp = array_namespace(q)
        on_z, G = self.split(q)
        on_z = self.clean.project_dual(on_z)
        gauge = self.ball.gauge(G)
        room = abs(on_z) if self._margin else self.clean.weights * self.clean.loss.clip(gauge / self.clean.weights)
        scale = xp.where(gauge > room, room / xp.where(gauge > 0, gauge, 1.0 + 0 * gauge), 1.0 + 0 * gauge)
        G = xp.where(self.ball.radii > 0, scale[:, None] * G, 0 * G)
        return xp.concat([on_z, xp.reshape(G, (-1,))])

    def prox(self, z: Any, t: Any) -> Any:
        """One monotone scalar root a sample: lam = -+ t w phi'(worst argument at (s +- lam, prox of lam h at q))."""
        xp = array_namespace(z)
        prediction, Q0 = self.split(z)
        s0 = self.clean.argument(prediction)
        weights, loss = t * self.clean.weights, self.clean.loss
        if self._margin:
            # slack c = s0 + lam - h(prox_{lam h} q0); optimal when lam = -t w phi'(c)
            high = self._largest_step(loss, weights, s0 - self.ball.support(Q0))
            lam = _root(lambda lam: self._margin_slack(loss, weights, lam, s0, Q0), high)
            s = s0 + lam
        else:
            high = self._largest_step(loss, weights, abs(s0) + self.ball.support(Q0))
            lam = _root(lambda lam: self._residual_slack(loss, weights, lam, s0, Q0), high)
            s = xp.sign(s0) * positive(abs(s0) - lam)
        Q = self.ball.prox(Q0, lam)
        return xp.concat([self.clean.sigma * (s - self.clean.tau), xp.reshape(Q, (-1,))])

    @staticmethod
    def _largest_step(loss: Any, weights: Any, start: Any) -> Any:
        """At lam = 0 the slope is steepest, so its step bounds the root."""
        return weights * abs(loss.slope(start))

    def _margin_slack(self, loss: Any, weights: Any, lam: Any, s0: Any, Q0: Any) -> Any:
        """lam = -w phi'(c) exactly when c is the proximal point of c - lam; increasing in lam."""
        c = s0 + lam - self.ball.support(self.ball.prox(Q0, lam))
        return c - loss.prox(c - lam, weights)

    def _residual_slack(self, loss: Any, weights: Any, lam: Any, s0: Any, Q0: Any) -> Any:
        """lam = w phi'(c) exactly when c is the proximal point of c + lam; increasing in lam."""
        c = positive(abs(s0) - lam) + self.ball.support(self.ball.prox(Q0, lam))
        return loss.prox(c + lam, weights) - c

    def rows(self, m: int) -> ConicRows:
        """The clean loss's rows on s = worst argument, s itself an auxiliary; then h(q_k) <= p_k."""
        n, d = len(self.clean.weights), len(self.ball.radii)
        inner = self.clean.loss.rows(self.clean.weights)
        k_loss = len(inner.cost)
        k_set, set_pieces = self.ball.rows(n)
        k = n + k_loss + k_set  # auxiliaries: s, those of the loss, those of the set (p first)
        pieces = [self._on_s(piece, n, k_loss, k, m) for piece in inner.pieces]
        one = np.ones(n)
        on_s, on_p = diagonal(one, columns=k), diagonal(one, column=n + k_loss, columns=k)
        prediction = sparse.csr_array((one, np.arange(n), np.arange(n + 1)), shape=(n, m))
        if self._margin:  # sigma z + tau - p - s >= 0
            pieces.append(
                Rows(
                    NONNEGATIVE,
                    [n],
                    -(diagonal(self.clean.sigma) @ prediction).tocsr(),
                    (on_s + on_p).tocsr(),
                    self.clean.tau,
                )
            )
        else:  # s - p -+ (z - y) >= 0
            for sign in (1.0, -1.0):
                pieces.append(Rows(NONNEGATIVE, [n], (sign * prediction).tocsr(), (on_p - on_s).tocsr(), -sign * self.clean.tau))
        for piece in set_pieces:
            on_q = sparse.hstack([empty(piece.on_z.shape[0], n), piece.on_z], format="csr")  # type: ignore[union-attr]
            on_t = sparse.hstack([empty(piece.on_t.shape[0], n + k_loss), piece.on_t], format="csr")
            pieces.append(Rows(piece.kind, piece.sizes, on_q, on_t, piece.b))
        cost = np.concatenate([np.zeros(n), inner.cost, np.zeros(k_set)])
        quadratic = np.concatenate([np.zeros(n), inner.quadratic, np.zeros(k_set)])
        return ConicRows(cost, quadratic, tuple(pieces))

    @staticmethod
    def _on_s(piece: Rows, n: int, k_loss: int, k: int, m: int) -> Rows:
        """Rows of the clean loss with its argument an auxiliary instead of the map's output."""
        on_s = piece.on_z if not isinstance(piece.on_z, float) else diagonal(np.full(n, piece.on_z))
        rows = on_s.shape[0]
        on_t = sparse.hstack([on_s, piece.on_t, empty(rows, k - n - k_loss)], format="csr")
        return Rows(piece.kind, piece.sizes, empty(rows, m), on_t, piece.b)


def _root(slack: Any, high: Any) -> Any:
    """The root in [0, high] of an increasing elementwise function, by bisection to full precision."""
    xp = array_namespace(high)
    low = 0 * high
    for _ in range(100):
        middle = 0.5 * (low + high)
        above = slack(middle) >= 0
        low, high = xp.where(above, low, middle), xp.where(above, middle, high)
        if bool(xp.all(high - low <= 1e-16 * (1 + high))):
            break
    return 0.5 * (low + high)


@dataclass(frozen=True, eq=False)
class RobustCones(Function):
    """The indicator of s_bk >= h(u_b) on z = (S (B, n), U (B, d)), both flattened."""

    n: int
    ball: Ball
    indicator: ClassVar[bool] = True

    def split(self, z: Any) -> tuple[Any, Any]:
        """S (B, n) and U (B, d)."""
        xp = array_namespace(z)
        d = len(self.ball.radii)
        B = z.shape[0] // (self.n + d)
        return xp.reshape(z[: B * self.n], (B, self.n)), xp.reshape(z[B * self.n :], (B, d))

    def value(self, z: Any) -> Any:
        return 0.0

    def violation(self, z: Any) -> float:
        S, U = self.split(z)
        return max(0.0, float((self.ball.support(U) - S.min(axis=1)).max()))

    def conjugate(self, q: Any) -> Any:
        return 0.0

    def project_dual(self, q: Any) -> Any:
        """a <= 0 on S, and g on U within |a|_1 Delta."""
        xp = array_namespace(q)
        A, G = self.split(q)
        A = -positive(-A)
        room = xp.sum(-A, axis=1)
        gauge = self.ball.gauge(G)
        scale = xp.where(gauge > room, room / xp.where(gauge > 0, gauge, 1.0 + 0 * gauge), 1.0 + 0 * gauge)
        G = xp.where(self.ball.radii > 0, scale[:, None] * G, 0 * G)
        return xp.concat([xp.reshape(A, (-1,)), xp.reshape(G, (-1,))])

    def prox(self, z: Any, t: Any) -> Any:
        """Projection: s = max(s0, h), u = prox of theta h at u0, one scalar root theta = sum_k (h - s0_k)_+ a block."""
        xp = array_namespace(z)
        S0, U0 = self.split(z)

        def level(theta: Any) -> Any:
            return self.ball.support(self.ball.prox(U0, theta))

        def slack(theta: Any) -> Any:
            return theta - xp.sum(positive(level(theta)[:, None] - S0), axis=1)

        high = xp.sum(positive(self.ball.support(U0)[:, None] - S0), axis=1)
        theta = _root(slack, high)
        U = self.ball.prox(U0, theta)
        S = xp.maximum(S0, level(theta)[:, None])
        return xp.concat([xp.reshape(S, (-1,)), xp.reshape(U, (-1,))])

    def rows(self, m: int) -> ConicRows:
        """s_bk - p_b >= 0 and h(u_b) <= p_b."""
        d = len(self.ball.radii)
        B = m // (self.n + d)
        k, set_pieces = self.ball.rows(B)
        rows = B * self.n
        on_z = sparse.csr_array((-np.ones(rows), np.arange(rows), np.arange(rows + 1)), shape=(rows, m))
        on_t = sparse.csr_array((np.ones(rows), np.repeat(np.arange(B), self.n), np.arange(rows + 1)), shape=(rows, k))
        pieces = [Rows(NONNEGATIVE, [rows], on_z, on_t, np.zeros(rows))]
        for piece in set_pieces:
            on_u = sparse.hstack([empty(piece.on_z.shape[0], rows), piece.on_z], format="csr")  # type: ignore[union-attr]
            pieces.append(Rows(piece.kind, piece.sizes, on_u, piece.on_t, piece.b))
        return ConicRows(np.zeros(k), np.zeros(k), tuple(pieces))
