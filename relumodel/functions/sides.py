"""A loss in its worst case over an interval of predictions, as a maximum of sides that only fall.

Every sample has one or two bounds G_i <= min over its perturbations of s_i f, and its worst-case loss is Phi of them:

    margin      one bound, s = y:          phi( G )
    residual    two bounds, s = +1, -1:    max over both of phi on its half beyond a minimiser m,   with  r = - G - s tau
                                           s = -1 (f is high):  up(r) = phi(max(r, m)),    s = +1 (f is low):  down(r) = phi(min(-r, m))

since a convex phi is the larger of its halves, and the largest value on an interval is at an end of it. For even phi both halves are
phi(max(r, 0)), and the larger r decides.

`rates` >= 0 are minus the derivatives of the loss in the bounds: with them q.z of any multiplier q is written, so the faces of what is made
of bounds follow from those here. For uneven phi with rates (a, b) of the sides -1 and +1

    Phi*(a, b) = min over 0 <= l <= 1 of  l phi*(a / l) + (1 - l) phi*(-b / (1 - l))

the conjugate of a maximum of two functions of different variables (Rockafellar 1970, Theorem 16.5). Any l gives no less, which a bound
may use.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import scipy
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ..errors import InputError
from .one_sided import SIZES
from .rows import NONNEGATIVE, SECOND_ORDER, ConicRows, Rows, diagonal, empty

Vector = NDArray[np.float64]

#: Steps of the golden section, which leaves 0.618^STEPS of the interval; the value there is right to the square of that.
STEPS = 50

#: Multipliers beyond this are taken to be unbounded.
UNBOUNDED = 1e100

#: Beside a limit, the other side has one that is so much larger, if it has none; shares of the sum below SLIGHT are rounding.
FAR, SLIGHT = 1e9, 1e-9


def sides(loss: Any, y: Vector) -> tuple[NDArray[np.intp], Vector]:
    """The sample k(i) and the sign s_i of every bound that a loss needs, m of them: (m,) each. Residuals: s = +1 for all, then -1."""
    every = np.arange(len(y))
    if loss.reads == "margin":
        return every, y
    return np.concatenate([every, every]), np.repeat([1.0, -1.0], len(y))


class SideRows(NamedTuple):
    """The conic face on auxiliaries, the arguments first. Bound i is tied to argument at[i] by
    sense * (G_i - argument) + offset_i >= 0 where sense = +1, and G_i + argument + offset_i >= 0 where it is -1."""

    arguments: int
    at: NDArray[np.intp]
    sense: float
    offset: Vector
    rows: ConicRows


@dataclass(frozen=True, eq=False)
class Sides:
    """loss : phi.  weights, tau : (n,) those of a `SampleLoss`."""

    loss: Any
    weights: Any
    tau: Any

    def each(self, G: Any) -> Any:
        """The worst-case losses (n,) at bounds G (m,), without weights."""
        raise NotImplementedError

    def rates(self, G: Any) -> Any:
        """(m,) >= 0: minus a subgradient of the weighed sum in G."""
        raise NotImplementedError

    def conjugate(self, rates: Any) -> Any:
        """sup over G of - rates . G - sum_k w_k Phi_k(G), for rates in the domain of `project`."""
        raise NotImplementedError

    def project(self, rates: Any) -> Any:
        """Rates in that domain near to some >= 0."""
        raise NotImplementedError

    def rows(self) -> SideRows:
        """The conic face."""
        raise NotImplementedError


class Margins(Sides):
    """One side."""

    def each(self, G: Any) -> Any:
        return self.loss.value(G)

    def rates(self, G: Any) -> Any:
        return -self.weights * self.loss.slope(G)

    def conjugate(self, rates: Any) -> Any:
        return (self.weights * self.loss.conjugate(-rates / self.weights)).sum()

    def project(self, rates: Any) -> Any:
        return -self.weights * self.loss.clip(-rates / self.weights)

    def rows(self) -> SideRows:
        n = len(self.weights)
        return SideRows(n, np.arange(n), 1.0, np.zeros(n), on_arguments(self.loss.rows(self.weights), n))


class Residuals(Sides):
    """Two sides of an even phi: the larger excess decides."""

    def excess(self, G: Any) -> Any:
        """r (2, n), for s = +1 and -1."""
        xp = array_namespace(G)
        return -xp.reshape(G, (2, -1)) - xp.stack([self.tau, -self.tau])

    def shared(self, rate: Any, over: Any) -> Any:
        """Rates where the first or the second side decides."""
        xp = array_namespace(rate)
        first = over[0, :] >= over[1, :]
        return xp.concat([xp.where(first, rate, 0 * rate), xp.where(first, 0 * rate, rate)])

    def _size(self, over: Any) -> Any:
        xp = array_namespace(over)
        return xp.maximum(xp.maximum(over[0, :], over[1, :]), 0 * self.tau)

    def each(self, G: Any) -> Any:
        return self.loss.value(self._size(self.excess(G)))

    def rates(self, G: Any) -> Any:
        over = self.excess(G)
        size = self._size(over)
        # at 0 a kink's slope may be any; none is right where both sides are below
        rate = self.weights * self.loss.slope(size)
        xp = array_namespace(G)
        return self.shared(xp.where(size > 0, rate, 0 * rate), over)

    def conjugate(self, rates: Any) -> Any:
        plus, minus = self._both(rates)
        conjugates = self.weights * self.loss.conjugate((plus + minus) / self.weights)
        return (conjugates + (plus - minus) * self.tau).sum()

    def project(self, rates: Any) -> Any:
        xp = array_namespace(rates)
        plus, minus = self._both(rates)
        total = plus + minus
        kept = self.weights * self.loss.clip(total / self.weights)
        share = xp.where(kept == total, 1.0 + 0 * total, kept / xp.where(total > 0, total, 1.0 + 0 * total))
        return xp.concat([share * plus, share * minus])

    @staticmethod
    def _both(rates: Any) -> tuple[Any, Any]:
        n = rates.shape[0] // 2
        return rates[:n], rates[n:]

    def rows(self) -> SideRows:
        n = len(self.weights)
        at, offset = np.tile(np.arange(n), 2), np.concatenate([self.tau, -self.tau])
        return SideRows(n, at, -1.0, offset, on_arguments(self.loss.rows(self.weights), n))


class Halves(Residuals):
    """Two sides of any convex phi, each with a half of its own."""

    @cached_property
    def least(self) -> float:
        """A minimiser m of phi."""
        return minimiser(self.loss)

    def _halves(self, over: Any) -> tuple[Any, Any]:
        """The argument of phi on each side (2, n), and phi there."""
        xp = array_namespace(over)
        arguments = xp.stack(
            [xp.minimum(-over[0, :], self.least + 0 * self.tau), xp.maximum(over[1, :], self.least + 0 * self.tau)]
        )
        return arguments, self.loss.value(arguments)

    def each(self, G: Any) -> Any:
        _, values = self._halves(self.excess(G))
        return array_namespace(G).maximum(values[0, :], values[1, :])

    def rates(self, G: Any) -> Any:
        xp = array_namespace(G)
        over = self.excess(G)
        arguments, values = self._halves(over)
        beyond = xp.stack([-over[0, :] < self.least, over[1, :] > self.least])
        slopes = self.loss.slope(arguments) * xp.reshape(xp.asarray([-1.0, 1.0], dtype=G.dtype), (2, 1))
        slopes = xp.where(beyond, slopes, 0 * slopes)
        first = values[0, :] >= values[1, :]
        return xp.concat(
            [xp.where(first, self.weights * slopes[0, :], 0 * self.tau), xp.where(first, 0 * self.tau, self.weights * slopes[1, :])]
        )

    def conjugate(self, rates: Any) -> Any:
        down, up = self._both(rates)
        return (self.weights * self._joint(up / self.weights, down / self.weights) + (down - up) * self.tau).sum()

    def _joint(self, a: Vector, b: Vector) -> Vector:
        """Phi*(a, b), by a golden section in l, whose ends count too."""
        low, high = self._limits
        first = a / high if high > 0 else 0 * a
        last = np.maximum(first, 1 - b / -low if low < 0 else 1 + 0 * b)  # rounding

        def at(share: Vector) -> Vector:
            return self._part(a, share) + self._part(-b, 1 - share)

        golden = (np.sqrt(5) - 1) / 2
        left, right = first, last
        for _ in range(STEPS):
            width = golden * (right - left)
            lower = at(right - width) <= at(left + width)
            left, right = np.where(lower, left, right - width), np.where(lower, left + width, right)
        return np.minimum(np.minimum(at(first), at(last)), at(0.5 * (left + right)))

    def _part(self, m: Vector, share: Vector) -> Vector:
        """share phi*(m / share), 0 where both are."""
        some = share > 0
        inside = self.loss.clip(np.where(some, m / np.where(some, share, 1.0), 0.0))
        return np.where(some, share * self.loss.conjugate(inside), np.where(m == 0, 0.0, np.inf))

    @cached_property
    def _limits(self) -> tuple[float, float]:
        """The domain of phi*."""
        low, high = self.loss.clip(np.array([-2 * UNBOUNDED, 2 * UNBOUNDED]))
        return (-np.inf if low < -UNBOUNDED else float(low)), (np.inf if high > UNBOUNDED else float(high))

    def project(self, rates: Any) -> Any:
        """Scaled to a / high + b / -low <= 1; a side that phi does not have carries nothing. A side without a limit needs a
        share of its own all the same, when the other one is at its limit."""
        low, high = self._limits
        down, up = self._both(rates)
        up, down = (up if high > 0 else 0 * up), (down if low < 0 else 0 * down)
        slight = SLIGHT * (up + down)
        if np.isinf(low) and np.isfinite(high):
            down, low = np.where(down <= slight, 0.0, down), -FAR * high
        elif np.isinf(high) and np.isfinite(low):
            up, high = np.where(up <= slight, 0.0, up), -FAR * low
        total = (up / high if high > 0 else 0 * up) + (down / -low if low < 0 else 0 * down)
        over = np.maximum(total / self.weights, 1.0)
        # what a projection returned is not touched again for its rounding
        over = np.where(over <= 1 + 8 * np.finfo(float).eps, 1.0, over)
        return np.concatenate([down / over, up / over])

    def rows(self) -> SideRows:
        """Arguments c (2n) >= r and beyond the minimiser; T_k >= the cost of phi's own rows at -c (low) and c (high); sum w_k T_k."""
        n = len(self.weights)
        inner = self.loss.rows(np.ones(1))
        k, curved = len(inner.cost), np.flatnonzero(inner.quadratic)
        copies, signs = 2 * n, np.repeat([-1.0, 1.0], n)
        own, squares = 2 * n, 2 * n + copies * k  # first columns of the rows' auxiliaries, of the squares of some of them
        epigraph = squares + copies * len(curved)
        width = epigraph + n
        pieces = [Rows(NONNEGATIVE, [copies], empty(copies, 0), diagonal(-np.ones(copies), columns=width), -signs * self.least)]
        for piece in inner.pieces:
            on_z = scipy.sparse.csr_array([[piece.on_z]]) if isinstance(piece.on_z, float) else piece.on_z
            r = on_z.shape[0]
            blocks = [scipy.sparse.kron(diagonal(signs), on_z), scipy.sparse.kron(diagonal(np.ones(copies)), piece.on_t)]
            on_t = scipy.sparse.hstack([*blocks, empty(copies * r, width - squares)], format="csr")
            pieces.append(Rows(piece.kind, list(piece.sizes) * copies, empty(copies * r, 0), on_t, np.tile(piece.b, copies)))
        each = np.arange(copies)
        for j, column in enumerate(curved):  # u >= t^2:  |(2 t, u - 1)| <= u + 1
            u, t = squares + j * copies + each, own + each * k + column
            at, cols = np.concatenate([3 * each, 3 * each + 1, 3 * each + 2]), np.concatenate([u, t, u])
            on_t = scipy.sparse.csr_array((np.repeat([-1.0, -2.0, -1.0], copies), (at, cols)), shape=(3 * copies, width))
            pieces.append(Rows(SECOND_ORDER, [3] * copies, empty(3 * copies, 0), on_t, np.tile([1.0, 0.0, -1.0], copies)))
        entries = [(epigraph + each % n, np.full(copies, -1.0))]
        entries += [(own + each * k + j, np.full(copies, cost)) for j, cost in enumerate(inner.cost)]
        entries += [(squares + j * copies + each, np.full(copies, 0.5 * inner.quadratic[c])) for j, c in enumerate(curved)]
        cols, values = (np.concatenate(parts) for parts in zip(*entries, strict=True))
        above = scipy.sparse.csr_array((values, (np.tile(each, len(entries)), cols)), shape=(copies, width))
        pieces.append(Rows(NONNEGATIVE, [copies], empty(copies, 0), above, np.zeros(copies)))
        cost = np.concatenate([np.zeros(epigraph), self.weights])
        at, offset = np.arange(copies), np.concatenate([self.tau, -self.tau])
        return SideRows(copies, at, -1.0, offset, ConicRows(cost, np.zeros(width), tuple(pieces)))


def sides_of(loss: Any, weights: Any, tau: Any) -> Sides:
    """The sides of a loss: by what it reads and whether it is even."""
    if loss.reads == "margin":
        return Margins(loss, weights, tau)
    return (Residuals if loss.even else Halves)(loss, weights, tau)


def minimiser(loss: Any) -> float:
    """A point where a convex phi of residuals is least, 0 where that is one.

    Raises InputError where there is none: phi only rises, or only falls.
    """
    s = np.concatenate([[0.0], SIZES, -SIZES])
    with np.errstate(all="ignore"):
        value = np.asarray(loss.value(s))
    k = int(np.nanargmin(value))
    if abs(s[k]) == SIZES[-1]:
        raise InputError(
            f"With a perturbation, a loss of residuals needs a residual where it is least; {type(loss).__name__} still falls at {s[k]:.3g}. "
            "Train without a perturbation, or declare a loss of margins."
        )
    if k == 0:
        return 0.0
    order = np.sort(s)
    at = int(np.searchsorted(order, s[k]))
    low, high = order[at - 1], order[at + 1]
    for _ in range(200):  # to full precision: 2^-200 of the bracket
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (middle, high) if loss.slope(np.array([middle]))[0] < 0 else (low, middle)
    return float(high)


def on_arguments(inner: ConicRows, n: int) -> ConicRows:
    """A loss's rows with its argument as the first n auxiliaries, its own after them."""
    pieces = []
    for piece in inner.pieces:
        on_s = piece.on_z if not isinstance(piece.on_z, float) else diagonal(np.full(n, piece.on_z))
        on_t = scipy.sparse.hstack([on_s, piece.on_t], format="csr")
        pieces.append(Rows(piece.kind, piece.sizes, empty(on_t.shape[0], 0), on_t, piece.b))
    zeros = np.zeros(n)
    return ConicRows(np.concatenate([zeros, inner.cost]), np.concatenate([zeros, inner.quadratic]), tuple(pieces))
