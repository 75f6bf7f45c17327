"""What the user pays for weights. On a network: the penalty of its neurons; on a convex block: a norm.

The two are linked by scaling: a neuron (u, a) computes the same after (c u, a / c), and the cheapest c turns the
penalty of a neuron into beta times the norm of the block |a| u (Pilanci & Ergen 2020, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..declared import Declared, number
from ..errors import InputError
from .base import GroupNorm, L1Norm

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Penalty(Declared, abstract=True):
    """Base of the penalties; beta >= 0 is the strength."""

    beta: float

    #: the penalty of the neurons in readable mathematics, with {beta}
    formula: ClassVar[str]
    #: that of parallel three-layer sub-networks, likewise
    formula_three_layer: ClassVar[str]
    #: the norm on convex blocks, "l2" or "l1"
    norm: ClassVar[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "beta", number(self.beta, "beta", low=0))

    def function(self, size: int) -> GroupNorm | L1Norm:
        """The norm on convex blocks of `size` entries."""
        raise NotImplementedError

    def of_network(self, hidden: Matrix, output: Matrix) -> float:
        """The penalty of the neurons: hidden (d, m), output (m,), or (m, c) for c outputs, |a_j| being the 1-norm then."""
        raise NotImplementedError

    def of_sub_networks(self, W1: Matrix, w2: Matrix, w3: Matrix) -> float:
        """The penalty of three-layer sub-networks ((x W1_g)_+ w2_g)_+ w3_g: W1 (G, d, m), w2 (G, m), w3 (G,) or (G, c)."""
        raise NotImplementedError

    def norms(self, blocks: Matrix) -> Matrix:
        """The norm of every row of `blocks`."""
        raise NotImplementedError

    # A norm as the cheapest square: |b| = min |z|^2 / 2 over the smooth factors z with fold(z) = b, attained by unfold(b).

    def unfold(self, blocks: Matrix) -> Matrix:
        """Factors (m, k) of the blocks (m, d), |z_j|^2 / 2 = |b_j|."""
        raise NotImplementedError

    def fold(self, z: Matrix) -> Matrix:
        """The blocks (m, d) of factors (m, k), |b_j| <= |z_j|^2 / 2."""
        raise NotImplementedError

    def pull(self, z: Matrix, gradient: Matrix) -> Matrix:
        """The gradient in z of a function whose gradient in the blocks fold(z) is given."""
        raise NotImplementedError


@dataclass(frozen=True)
class WeightDecay(Penalty):
    """beta / 2 sum_j (|u_j|_2^2 + a_j^2); beta |v|_2 on convex blocks. With several outputs a_j^2 is |a_j|_1^2, see `magnitudes`."""

    formula: ClassVar[str] = "{beta}/2 sum_j ( |u_j|_2^2 + a_j^2 )"
    norm: ClassVar[str] = "l2"
    formula_three_layer: ClassVar[str] = "{beta}/2 sum_g ( |w2_g|_2^2 + w3_g^2 )"

    def function(self, size: int) -> GroupNorm:
        return GroupNorm(self.beta, size)

    def of_network(self, hidden: Matrix, output: Matrix) -> float:
        return 0.5 * self.beta * float((hidden**2).sum() + (magnitudes(output) ** 2).sum())

    def of_sub_networks(self, W1: Matrix, w2: Matrix, w3: Matrix) -> float:
        """beta / 2 sum_g (|w2_g|^2 + w3_g^2) where |W1_g|_F = 1; other sub-networks are first scaled to that, which changes no output."""
        sizes = (W1**2).sum(axis=(1, 2)) * (w2**2).sum(axis=1)
        return 0.5 * self.beta * float(sizes.sum() + (magnitudes(w3) ** 2).sum())

    def norms(self, blocks: Matrix) -> Matrix:
        return np.linalg.norm(blocks, axis=1)

    def unfold(self, blocks: Matrix) -> Matrix:
        """The neurons (u, a) themselves, |u| = a."""
        size = np.sqrt(self.norms(blocks))[:, None]
        return np.hstack([np.divide(blocks, size, out=np.zeros_like(blocks), where=size > 0), size])

    def fold(self, z: Matrix) -> Matrix:
        return z[:, :-1] * z[:, -1:]

    def pull(self, z: Matrix, gradient: Matrix) -> Matrix:
        return np.hstack([gradient * z[:, -1:], np.einsum("jd,jd->j", gradient, z[:, :-1])[:, None]])


@dataclass(frozen=True)
class PathNorm(Penalty):
    """beta sum_j |u_j|_1 |a_j|, the l1 path norm; beta |v|_1 on convex blocks. With the hinge or absolute loss an LP."""

    formula: ClassVar[str] = "{beta} sum_j |u_j|_1 |a_j|"
    norm: ClassVar[str] = "l1"
    formula_three_layer: ClassVar[str] = "{beta} sum_g sum_j |W1_gj|_1 |w2_gj| |w3_g|"

    def function(self, size: int) -> L1Norm:
        return L1Norm(self.beta, size)

    def of_network(self, hidden: Matrix, output: Matrix) -> float:
        return self.beta * float((np.abs(hidden).sum(axis=0) * magnitudes(output)).sum())

    def of_sub_networks(self, W1: Matrix, w2: Matrix, w3: Matrix) -> float:
        return self.beta * float((np.abs(W1).sum(axis=1) * np.abs(w2) * magnitudes(w3)[:, None]).sum())

    def norms(self, blocks: Matrix) -> Matrix:
        return np.abs(blocks).sum(axis=1)

    def unfold(self, blocks: Matrix) -> Matrix:
        """(g, h) with b = (g^2 - h^2) / 2, the positive and the negative part (Hoff 2017)."""
        return np.sqrt(np.hstack([np.maximum(2 * blocks, 0), np.maximum(-2 * blocks, 0)]))

    def fold(self, z: Matrix) -> Matrix:
        g, h = np.split(z, 2, axis=1)
        return (g * g - h * h) / 2

    def pull(self, z: Matrix, gradient: Matrix) -> Matrix:
        g, h = np.split(z, 2, axis=1)
        return np.hstack([gradient * g, -gradient * h])


def known_norm(penalty: Penalty, who: str) -> str:
    """ "l2" or "l1" where beta times that norm is what a penalty is on blocks, else an `InputError` that says `who` needs it.

    It is read off the function on blocks, which is what programs minimise, not off the word `Penalty.norm`.
    """
    function = penalty.function(1)
    known = {GroupNorm: "l2", L1Norm: "l1"}.get(type(function))
    if known is None or function.beta != penalty.beta:
        raise InputError(
            f"{who} knows the dual norm of two penalties, rm.WeightDecay (beta |v|_2 on blocks) and rm.PathNorm (beta |v|_1); "
            f"{type(penalty).__name__} is {function!r} on blocks. Solve a program: model.compile(X, y, patterns=...).solve(), whose bound asks "
            "the penalty itself."
        )
    return known


def magnitudes(output: Matrix) -> Matrix:
    """|a_j| of output weights (m,), the 1-norm over the outputs of (m, c): (m,).

    The 1-norm is what separates the outputs: beta/2 (|u|_2^2 + |a|_1^2) is beta sum_r |u|_2 |a_r| at its cheapest scaling, the penalty
    of one neuron an output. Plain weight decay, with |a|_2 <= |a|_1 in its place, is never more.
    """
    sizes = np.abs(output)
    return sizes if sizes.ndim == 1 else sizes.sum(axis=1)
