"""The hidden layer of a convex program on one batch: patterns from fixed directions, hidden values, and their gradient.

Every term of a two- or three-layer program but the penalty is a function of the hidden values S = U X', all blocks times all samples:

    H_rcg = sum over j of active_gj * S_rcgj          (r an output, c a copy, g a sub-network, j a neuron; two layers: one g, all neurons)
    z_r   = sum over c, g of sign_c outer_g * H_rcg   the prediction;   cones:  side * S >= 0,  (2 outer - 1) * H >= 0

So a step takes two matrix products, U X' and the gradient in S times X, whatever the terms. Blocks U are (c, C, G m, d), hidden values
(c, C, G m, n). Written against the operators that NumPy and torch share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from array_api_compat import array_namespace

Array = Any


@dataclass(frozen=True, eq=False)
class Patterns:
    """What the directions say of n samples. active : (G m, n) the factor of every hidden value, the sign of the second layer included.
    on : (G m, n) bool, their sides.  outer : (G, n) bool, the sides of sub-networks; None for two layers.
    products : (G m, n) the directions times the samples."""

    active: Array
    on: Array
    outer: Array | None
    products: Array


@dataclass(frozen=True, eq=False)
class Layer:
    """gates : (G m, d) the directions whose sides are the patterns.  weights : (G, m) the second layer of the sub-networks that the
    directions were drawn with; None for two layers.  inactive : the slope of the activation on the inactive side.  copies : 2 where
    there are sign cones, else 1."""

    gates: Array
    weights: Array | None
    inactive: float
    copies: int

    @property
    def blocks(self) -> int:
        """G m, blocks of one copy and one output."""
        return int(self.gates.shape[0])

    @property
    def sub_networks(self) -> int:
        """G; 1 for two layers."""
        return 1 if self.weights is None else int(self.weights.shape[0])

    def patterns(self, X: Array) -> Patterns:
        """Those of the samples X (n, d)."""
        xp = array_namespace(X)
        products = self.gates @ X.T
        on = products >= 0
        active = xp.astype(on, X.dtype)
        if self.inactive:
            active = active + self.inactive * (1 - active)
        if self.weights is None:
            return Patterns(active, on, None, products)
        second = self._grouped(products * active) * self.weights[:, :, None]
        signed = self._grouped(active) * xp.sign(self.weights)[:, :, None]
        return Patterns(xp.reshape(signed, tuple(active.shape)), on, xp.sum(second, axis=1) >= 0, products)

    def hidden(self, U: Array, X: Array) -> Array:
        """S, the hidden values of blocks U. Products of blocks that are zero are not computed."""
        xp = array_namespace(X)
        flat = xp.reshape(U, (-1, U.shape[-1]))
        rows = xp.any(flat != 0, axis=1)
        used = int(xp.sum(xp.astype(rows, xp.int64)))
        if used > SPARSE * len(flat):
            S = flat @ X.T
        else:
            S = xp.zeros((flat.shape[0], X.shape[0]), dtype=X.dtype, device=X.device)
            S[rows, :] = flat[rows, :] @ X.T
        return xp.reshape(S, (*U.shape[:-1], X.shape[0]))

    def sums(self, values: Array) -> Array:
        """Sums over the neurons of every sub-network of values (G m, n): (G, n)."""
        xp = array_namespace(values)
        return xp.sum(values, axis=0, keepdims=True) if self.weights is None else xp.sum(self._grouped(values), axis=1)

    def spread(self, slope: Array, patterns: Patterns) -> Array:
        """The gradient in the hidden values (G m, n) of one in H (G, n)."""
        if self.weights is None:
            return slope * patterns.active
        xp = array_namespace(slope)
        return xp.reshape(self._grouped(patterns.active) * slope[:, None, :], tuple(patterns.active.shape))

    def network(self, S: Array, patterns: Patterns) -> Array:
        """The prediction (c n,) of the network that the blocks become, whatever side its neurons are on: every one has its own pattern."""
        xp = array_namespace(S)
        out = []
        for r in range(S.shape[0]):
            z = 0.0
            for k in range(S.shape[1]):
                if self.copies == 1:
                    z = z + xp.sum(S[r, k, ...] * patterns.active, axis=0)
                    continue
                neurons = xp.clip(S[r, k, ...], min=0.0)
                if self.inactive:
                    neurons = neurons + self.inactive * xp.clip(S[r, k, ...], max=0.0)
                if self.weights is not None:
                    neurons = xp.clip(xp.sum(self._grouped(neurons) * xp.sign(self.weights)[:, :, None], axis=1), min=0.0)
                z = z + (-1) ** k * xp.sum(neurons, axis=0)
            out.append(z)
        return xp.concat(out)

    def _grouped(self, values: Array) -> Array:
        """(G m, n) as (G, m, n)."""
        G, m = self.weights.shape  # type: ignore[union-attr]
        return array_namespace(values).reshape(values, (G, m, values.shape[-1]))


#: Where a larger share of the blocks is not zero, all are multiplied: choosing rows copies them.
SPARSE = 0.7


class Batch(NamedTuple):
    """A batch in the arrays of an engine. weights : (n,) of the samples, those in the loss.  exact : the loss in NumPy's float64."""

    X: Array
    patterns: Patterns
    loss: Any
    weights: Array
    exact: Any


class Smoothed(NamedTuple):
    """Of one batch, weighted by samples: the loss, half the squared distance to the cones (not multiplied by rho), the multiplier of the
    loss (c n,), and the gradient in S, with the distance multiplied by rho."""

    loss: float
    distance: float
    multiplier: Array
    gradient: Array


def smoothed(S: Array, batch: Batch, layer: Layer, rho: float, width: float) -> Smoothed:
    """Loss, rounded to `width`, plus rho times the distance, at hidden values S, which become the gradient."""
    xp = array_namespace(S)
    c, C, _, n = S.shape
    patterns, weights = batch.patterns, batch.weights
    outer = 1.0 if patterns.outer is None else xp.astype(patterns.outer, S.dtype)
    H = [[layer.sums(S[r, k, ...] * patterns.active) for k in range(C)] for r in range(c)]
    z = xp.concat([sum((-1) ** k * xp.sum(h * outer, axis=0) for k, h in enumerate(of_output)) for of_output in H])
    value, multiplier = batch.loss.rounded(z, width)
    q = xp.reshape(multiplier, (c, 1, n))
    distance = 0.0
    for r in range(c):
        for k in range(C):
            slope = (-1) ** k * outer * q[r, ...]
            if C == 2 and patterns.outer is not None:
                outside = beyond(H[r][k], patterns.outer)
                distance += 0.5 * float(xp.sum(outside * outside, axis=0) @ weights)
                slope = slope + (rho * weights) * outside
            gradient = layer.spread(slope, patterns)
            if C == 2:
                outside = beyond(S[r, k, ...], patterns.on)
                distance += 0.5 * float(xp.sum(outside * outside, axis=0) @ weights)
                outside *= rho * weights
                gradient += outside
            S[r, k, ...] = gradient
    return Smoothed(float(value), distance, multiplier, S)


def beyond(S: Array, on: Array) -> Array:
    """What of S is on the wrong side: its negative part where `on`, its positive part elsewhere."""
    return S * (on == (S < 0))


def pull(gradient: Array, X: Array) -> Array:
    """The gradient in U of one in the hidden values: the adjoint of `hidden`."""
    xp = array_namespace(X)
    flat = xp.reshape(gradient, (-1, X.shape[0]))
    return xp.reshape(flat @ X, (*gradient.shape[:-1], X.shape[1]))
