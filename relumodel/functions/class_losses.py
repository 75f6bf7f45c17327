"""Convex losses of several outputs together, one a class: what the user declares, and the mathematics every backend needs of it.

A class loss is one convex function phi of the c outputs z of a sample and its class y. Both losses here are a maximum over
probabilities p of the classes, phi(z) = max over p of (p - e_y).z - h(p), with another h each; so the domain of phi* is the simplex
moved by e_y, and phi*(p - e_y) = h(p). Arrays are (c, n), a column a sample; `own` (c, n) is 1 at the class of the sample, 0 elsewhere.

    value(z, own), slope(z, own)     phi (n,) and a subgradient (c, n)
    prox(z, own, t)                  argmin over p of  t phi(p) + |p - z|^2 / 2
    conjugate(q, own)                phi*(q) (n,) on its domain; `clip(q, own)` is the nearest point of it
    rows(weights, own)               the conic rows of  sum_k weights_k phi(z_k)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from .losses import Loss, positive, xlogx
from .roots import all_converged
from .rows import EXPONENTIAL, NONNEGATIVE, ZERO, ConicRows, Rows, empty

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class ClassLoss(Loss, abstract=True):
    """A loss of one output a class. y holds the labels, any two numbers or more that differ."""

    reads: ClassVar[str] = "classes"
    #: False where phi is smooth
    has_kink: ClassVar[bool] = True

    def value(self, z: Any, own: Any) -> Any:  # type: ignore[override]
        """phi of every sample, (n,)."""
        raise NotImplementedError

    def slope(self, z: Any, own: Any) -> Any:  # type: ignore[override]
        """A subgradient of phi at z, (c, n)."""
        raise NotImplementedError

    def prox(self, z: Any, own: Any, t: Any) -> Any:  # type: ignore[override]
        """argmin over p of t phi(p) + |p - z|^2 / 2, (c, n); t > 0 is a number or (n,)."""
        raise NotImplementedError

    def conjugate(self, q: Any, own: Any) -> Any:  # type: ignore[override]
        """phi*(q), (n,), for q in its domain."""
        raise NotImplementedError

    def clip(self, q: Any, own: Any) -> Any:  # type: ignore[override]
        """The nearest point of the domain of phi*: probabilities minus `own`."""
        return onto_simplex(q + own) - own

    def rows(self, weights: Vector, own: Matrix) -> ConicRows:  # type: ignore[override]
        """The epigraph of sum_k weights_k phi(z_k) in conic form, as rows on the flat z (c n,)."""
        raise NotImplementedError


@dataclass(frozen=True)
class MultiMargin(ClassLoss):
    """The multi-class hinge of Crammer & Singer (2001): max(0, 1 - (f_y(x) - max over j != y of f_j(x)))."""

    formula: ClassVar[str] = "max(0, 1 - min over j != y_k of (f_yk - f_j)({s}))"

    def value(self, z: Any, own: Any) -> Any:  # type: ignore[override]
        xp = array_namespace(z)
        return xp.max(z + (1 - own), axis=0) - xp.sum(own * z, axis=0)

    def slope(self, z: Any, own: Any) -> Any:  # type: ignore[override]
        xp = array_namespace(z)
        raised = z + (1 - own)
        classes = xp.reshape(xp.arange(z.shape[0], device=device(z)), (-1, 1))
        return xp.where(classes == xp.argmax(raised, axis=0), 1.0 + 0 * z, 0 * z) - own

    def prox(self, z: Any, own: Any, t: Any) -> Any:  # type: ignore[override]
        """By Moreau's identity: phi* is linear on its domain, so its own proximal map is a projection."""
        return z - t * (onto_simplex((z - own) / t + own) - own)

    def conjugate(self, q: Any, own: Any) -> Any:  # type: ignore[override]
        return array_namespace(q).sum(own * q, axis=0)

    def rows(self, weights: Vector, own: Matrix) -> ConicRows:  # type: ignore[override]
        """Auxiliaries (p, t): p = z, t_k >= 0 and t_k >= 1 + p_jk - p_yk for j != y, which is t_k >= (1 - own) + p_j - p_y for all j."""
        c, n = own.shape
        each, all_of = np.arange(c * n), scipy.sparse.csr_array
        at = np.tile(np.arange(n), c)
        mine = own.argmax(axis=0)[at] * n + at
        ones = np.ones(c * n)
        on_t = all_of(
            (np.concatenate([ones, -ones, -ones]), (np.tile(each, 3), np.concatenate([each, mine, c * n + at]))),
            shape=(c * n, c * n + n),
        )
        on_t.eliminate_zeros()  # what j = y leaves of p_j - p_y
        margin = Rows(NONNEGATIVE, [c * n], empty(c * n, c * n), on_t, own.reshape(-1) - 1.0)
        return ConicRows(np.concatenate([np.zeros(c * n), weights]), np.zeros(c * n + n), (_copied(c * n, n), margin))


@dataclass(frozen=True)
class SoftmaxCrossEntropy(ClassLoss):
    """Minus the logarithm of the probability that the softmax of the outputs gives to the class: log sum_j exp f_j(x) - f_y(x)."""

    formula: ClassVar[str] = "( log sum_j exp f_j - f_yk )({s})"
    likelihood: ClassVar[bool] = True
    has_kink: ClassVar[bool] = False

    def value(self, z: Any, own: Any) -> Any:  # type: ignore[override]
        xp = array_namespace(z)
        top = xp.max(z, axis=0)
        return xp.log(xp.sum(xp.exp(z - top), axis=0)) + top - xp.sum(own * z, axis=0)

    def slope(self, z: Any, own: Any) -> Any:  # type: ignore[override]
        return softmax(z) - own

    def prox(self, z: Any, own: Any, t: Any) -> Any:  # type: ignore[override]
        """p = z - t (r - own) with probabilities r: log r_j = z_j + t own_j - t r_j - m. For any m each r_j is one root, decreasing in
        m; m is where they sum to one, found by Newton's method from below, on which side its steps are monotone."""
        xp = array_namespace(z)
        shifted = z + t * own
        # sum r = 1 lies between the m at which the largest r is 1, and that at which all are as large as it
        top = xp.max(shifted, axis=0)
        m = top - t
        for k in range(100):
            w = _omega(shifted - m + xp.log(t + 0 * m))
            total, slope = xp.sum(w, axis=0) / t, xp.sum(w / (1 + w), axis=0) / t
            step = (total - 1) / slope
            m = m + step
            if all_converged(abs(step) <= 0.1 * xp.finfo(m.dtype).eps ** 0.5, k):  # the next step would be its square
                break
        r = _omega(shifted - m + xp.log(t + 0 * m)) / t
        return z - t * (r / xp.sum(r, axis=0) - own)

    def conjugate(self, q: Any, own: Any) -> Any:  # type: ignore[override]
        return array_namespace(q).sum(xlogx(positive(q + own)), axis=0)

    def rows(self, weights: Vector, own: Matrix) -> ConicRows:  # type: ignore[override]
        """Auxiliaries (p, t, u): p = z, u_jk >= exp(p_jk - t_k), sum_j u_jk <= 1, at cost weights_k (t_k - p_yk)."""
        c, n = own.shape
        each, at = np.arange(c * n), np.tile(np.arange(n), c)
        ones, width = np.ones(c * n), 2 * c * n + n
        rows = np.concatenate([3 * each, 3 * each, 3 * each + 2])
        cols = np.concatenate([each, c * n + at, c * n + n + each])
        exponents = scipy.sparse.csr_array((np.concatenate([-ones, ones, -ones]), (rows, cols)), shape=(3 * c * n, width))
        b = np.tile([0.0, 1.0, 0.0], c * n)
        budget = scipy.sparse.csr_array((ones, (at, c * n + n + each)), shape=(n, width))
        pieces = (
            _copied(c * n, c * n + n),
            Rows(EXPONENTIAL, [3] * (c * n), empty(3 * c * n, c * n), exponents, b),
            Rows(NONNEGATIVE, [n], empty(n, c * n), budget, np.ones(n)),
        )
        cost = np.concatenate([-(own * weights).reshape(-1), weights, np.zeros(c * n)])
        return ConicRows(cost, np.zeros(width), pieces)


def _copied(m: int, more: int) -> Rows:
    """z = the first m of m + more auxiliaries, so that a large map is written down once."""
    return Rows(ZERO, [m], -1.0, scipy.sparse.csr_array(scipy.sparse.eye_array(m, m + more)), np.zeros(m))


def softmax(z: Any) -> Any:
    """The probabilities exp z_j / sum_i exp z_i of every column of z (c, n)."""
    xp = array_namespace(z)
    e = xp.exp(z - xp.max(z, axis=0))
    return e / xp.sum(e, axis=0)


def onto_simplex(z: Any) -> Any:
    """Every column of z (c, n) projected on the probabilities: positive(z - m) with the m at which they sum to one."""
    xp = array_namespace(z)
    c = z.shape[0]
    # an equal shift of all classes changes nothing, and keeps digits where z is large
    z = z - xp.max(z, axis=0)
    ordered = xp.sort(z, axis=0, descending=True)
    count = xp.reshape(xp.astype(xp.arange(1, c + 1, device=device(z)), z.dtype), (-1, 1))
    levels = (xp.cumulative_sum(ordered, axis=0) - 1) / count
    m = xp.max(levels, axis=0)  # the level of the first k entries is largest at the k that stay positive
    out = positive(z - m)
    return out / xp.sum(out, axis=0)


def _omega(x: Any) -> Any:
    """The w > 0 with w + log w = x, elementwise (Wright's omega), by Newton's method on log w, which is convex and monotone."""
    xp = array_namespace(x)
    v = xp.where(x > 1, xp.log(xp.clip(x, 1.0, None)), x)  # exp v + v >= x on both sides
    for k in range(60):
        w = xp.exp(v)
        step = (w + v - x) / (1 + w)
        v = v - step
        if all_converged(abs(step) <= 0.1 * xp.finfo(v.dtype).eps ** 0.5, k):
            break
    return xp.exp(v)
