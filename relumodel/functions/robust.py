"""Functions of the robust counterpart (Bai et al. 2023, section 4), over any perturbation set with support function h.

RobustLoss on (z, Q): z_k the prediction, q_g the weights that act on every sample of group g, those that share their row of the
pattern matrix. Margin losses are non-increasing, residual losses even, so the worst case enters their argument alone:

    margin:    sum_k w_k phi( sigma_k z_k + tau_k - h(q_g(k)) )          residual:   sum_k w_k phi( |z_k - y_k| + h(q_g(k)) )

RobustCones on (S, U): the indicator of  s_bk >= h(u_b)  for all k, block by block: the neuron keeps its side on every box.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import scipy
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ..errors import InputError
from .base import Function, SampleLoss
from .losses import positive
from .one_sided import refuse_two_sided
from .roots import monotone_root, segment_sum
from .rows import NONNEGATIVE, ConicRows, Rows, diagonal, empty
from .support import SupportFunction

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RobustLoss(Function):
    """The worst-case loss on z = (prediction (n,), weights (groups, d) flattened). group : (n,), the group of every sample."""

    clean: SampleLoss
    ball: SupportFunction
    group: NDArray[np.intp]

    def __post_init__(self) -> None:
        refuse_two_sided(self.clean.loss)
        if self.clean.loss.reads == "residual" and not self.clean.loss.even:
            raise InputError(f"RobustLoss is for even losses; {type(self.clean.loss).__name__} does not say that it is.")

    @cached_property
    def groups(self) -> int:
        """The number of groups."""
        return int(self.group.max()) + 1

    @property
    def _margin(self) -> bool:
        return self.clean.loss.reads == "margin"

    def split(self, z: Any) -> tuple[Any, Any]:
        """The prediction (n,) and the weights of each group (groups, d)."""
        n = len(self.group)
        return z[:n], array_namespace(z).reshape(z[n:], (self.groups, len(self.ball.radii)))

    def argument(self, z: Any) -> Any:
        """The worst-case argument of phi, (n,)."""
        prediction, Q = self.split(z)
        s, h = self.clean.argument(prediction), self.ball.support(Q)[self.group]
        return s - h if self._margin else abs(s) + h

    def value(self, z: Any) -> Any:
        return (self.clean.weights * self.clean.loss.value(self.argument(z))).sum()

    def gradient(self, z: Any) -> Any:
        """A subgradient in (z, Q): the loss slope, and the worst perturbation times the slopes of its group."""
        xp = array_namespace(z)
        prediction, Q = self.split(z)
        slope = self.clean.weights * self.clean.loss.slope(self.argument(z))
        on_s = slope if self._margin else slope * xp.sign(self.clean.argument(prediction))
        on_q = segment_sum(abs(slope), self.group, self.groups)[:, None] * self.ball.worst(Q)
        return xp.concat([self.clean.sigma * on_s, xp.reshape(on_q, (-1,))])

    def conjugate(self, q: Any) -> Any:
        """margin: sum w phi*(m / w), on the domain gauge(g) <= sum of |m| in the group;
        residual: sum w phi*(max(|m|, L w) / w) + m y with the least level L >= 0 of the group that carries g."""
        on_z, G = self.split(q)
        m, weights = self.clean.sigma * on_z, self.clean.weights
        size = m if self._margin else self._carrying(abs(m), self.ball.gauge(G))
        return (weights * self.clean.loss.conjugate(size / weights) - self.clean.tau * m).sum()

    def _carrying(self, size: Any, gauge: Any) -> Any:
        """max(size_k, L_g w_k) with the least L_g for which every group sums to its gauge or more."""
        xp = array_namespace(size)
        weights = self.clean.weights

        def lack(level: Any) -> Any:
            return segment_sum(xp.maximum(size, level[self.group] * weights), self.group, self.groups) - gauge

        level = monotone_root(lack, gauge / segment_sum(weights, self.group, self.groups))
        return xp.maximum(size, level[self.group] * weights)

    def project_dual(self, q: Any) -> Any:
        """The loss multiplier clipped as without perturbation, then g scaled into what its group allows; 0 on fixed columns."""
        xp = array_namespace(q)
        on_z, G = self.split(q)
        on_z, weights = self.clean.project_dual(on_z), self.clean.weights
        gauge = self.ball.gauge(G)
        if self._margin:
            room = segment_sum(abs(on_z), self.group, self.groups)
        else:
            size = self._carrying(abs(on_z), gauge)
            room = segment_sum(weights * self.clean.loss.clip(size / weights), self.group, self.groups)
        scale = xp.where(gauge > room, room / xp.where(gauge > 0, gauge, 1.0 + 0 * gauge), 1.0 + 0 * gauge)
        G = xp.where(self.ball.radii > 0, scale[:, None] * G, 0 * G)
        return xp.concat([on_z, xp.reshape(G, (-1,))])

    def prox(self, z: Any, t: Any) -> Any:
        """One monotone scalar root a group, in its level b = h(q): given b every sample moves on its own, by lam_k(b), and
        q is the proximal point of (sum of lam) h at q0."""
        xp = array_namespace(z)
        prediction, Q0 = self.split(z)
        s0, weights, loss = self.clean.argument(prediction), t * self.clean.weights, self.clean.loss

        def steps(b: Any) -> Any:
            if self._margin:  # c = s0 + lam - b with lam = -w phi'(c): c is the proximal point of s0 - b
                start = s0 - b[self.group]
                return loss.prox(start, weights) - start
            # c = |s| + b with lam = w phi'(c): while s moves, c + lam = |s0| + b; once s = 0, c = b and lam is w phi'(b)
            start = abs(s0) + b[self.group]
            moving = start - loss.prox(start, weights)
            # (at b = 0 the slope of a kink may be any; |s0| is the least that keeps s = 0)
            return xp.where(moving < abs(s0), moving, xp.maximum(abs(s0), weights * loss.slope(b[self.group] + 0 * s0)))

        def pulled(b: Any) -> Any:
            return self.ball.prox(Q0, segment_sum(steps(b), self.group, self.groups))

        b = monotone_root(lambda b: b - self.ball.support(pulled(b)), self.ball.support(Q0))
        lam = steps(b)
        s = s0 + lam if self._margin else xp.sign(s0) * positive(abs(s0) - lam)
        return xp.concat([self.clean.sigma * (s - self.clean.tau), xp.reshape(pulled(b), (-1,))])

    def few_rows(self, m: int) -> ConicRows:
        return RobustLoss(self.clean.first(1), self.ball, self.group[:1] * 0).rows(1 + len(self.ball.radii))

    def rows(self, m: int) -> ConicRows:
        """The clean loss's rows on s = worst argument, s itself an auxiliary; then h(q_g) <= p_g."""
        n = len(self.clean.weights)
        inner = self.clean.loss.rows(self.clean.weights)
        k_loss = len(inner.cost)
        k_set, set_pieces = self.ball.rows(self.groups)
        k = n + k_loss + k_set  # auxiliaries: s, those of the loss, those of the set (p first)
        pieces = [self._on_s(piece, n, k_loss, k, m) for piece in inner.pieces]
        at, one = np.arange(n), np.ones(n)
        on_s = diagonal(one, columns=k)
        on_p = scipy.sparse.csr_array((one, (at, n + k_loss + self.group)), shape=(n, k))
        prediction = scipy.sparse.csr_array((one, at, np.arange(n + 1)), shape=(n, m))
        if self._margin:  # sigma z + tau - p - s >= 0
            on_z = -(diagonal(self.clean.sigma) @ prediction).tocsr()
            pieces.append(Rows(NONNEGATIVE, [n], on_z, (on_s + on_p).tocsr(), self.clean.tau))
        else:  # s - p -+ (z - y) >= 0
            for sign in (1.0, -1.0):
                below = (on_p - on_s).tocsr()
                pieces.append(Rows(NONNEGATIVE, [n], (sign * prediction).tocsr(), below, -sign * self.clean.tau))
        for piece in set_pieces:
            on_q = scipy.sparse.hstack([empty(piece.on_z.shape[0], n), piece.on_z], format="csr")  # type: ignore[union-attr]
            on_t = scipy.sparse.hstack([empty(piece.on_t.shape[0], n + k_loss), piece.on_t], format="csr")
            pieces.append(Rows(piece.kind, piece.sizes, on_q, on_t, piece.b))
        cost = np.concatenate([np.zeros(n), inner.cost, np.zeros(k_set)])
        quadratic = np.concatenate([np.zeros(n), inner.quadratic, np.zeros(k_set)])
        return ConicRows(cost, quadratic, tuple(pieces))

    @staticmethod
    def _on_s(piece: Rows, n: int, k_loss: int, k: int, m: int) -> Rows:
        """Rows of the clean loss with its argument an auxiliary instead of the map's output."""
        on_s = piece.on_z if not isinstance(piece.on_z, float) else diagonal(np.full(n, piece.on_z))
        rows = on_s.shape[0]
        on_t = scipy.sparse.hstack([on_s, piece.on_t, empty(rows, k - n - k_loss)], format="csr")
        return Rows(piece.kind, piece.sizes, empty(rows, m), on_t, piece.b)


@dataclass(frozen=True, eq=False)
class RobustCones(Function):
    """The indicator of s_bk >= h(u_b) on z = (S (B, n), U (B, d)), both flattened."""

    n: int
    ball: SupportFunction
    indicator: ClassVar[bool] = True
    cone: ClassVar[bool] = True

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
        theta = monotone_root(slack, high)
        U = self.ball.prox(U0, theta)
        S = xp.maximum(S0, level(theta)[:, None])
        return xp.concat([xp.reshape(S, (-1,)), xp.reshape(U, (-1,))])

    def few_rows(self, m: int) -> ConicRows:
        return RobustCones(1, self.ball).rows(1 + len(self.ball.radii))

    def rows(self, m: int) -> ConicRows:
        """s_bk - p_b >= 0 and h(u_b) <= p_b."""
        d = len(self.ball.radii)
        B = m // (self.n + d)
        k, set_pieces = self.ball.rows(B)
        rows = B * self.n
        on_z = scipy.sparse.csr_array((-np.ones(rows), np.arange(rows), np.arange(rows + 1)), shape=(rows, m))
        on_t = scipy.sparse.csr_array((np.ones(rows), np.repeat(np.arange(B), self.n), np.arange(rows + 1)), shape=(rows, k))
        pieces = [Rows(NONNEGATIVE, [rows], on_z, on_t, np.zeros(rows))]
        for piece in set_pieces:
            on_u = scipy.sparse.hstack([empty(piece.on_z.shape[0], rows), piece.on_z], format="csr")  # type: ignore[union-attr]
            pieces.append(Rows(piece.kind, piece.sizes, on_u, piece.on_t, piece.b))
        return ConicRows(np.zeros(k), np.zeros(k), tuple(pieces))
