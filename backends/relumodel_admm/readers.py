"""What the loss of a program reads of its blocks, and the pencil that a term adds to the normal matrix.

The loss reads D, for every pattern the signed sum of the copies of its block. A pencil is a term's K'K seen as  A0 (x) I + A1 (x) X'X  between
blocks, where X' D X is replaced by its mean (trace of D-weighted rows) X'X: the form that normal_system.py can invert.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@dataclass
class Pencil:
    """K'K of a term:  own0 I + own1 X'X  on every block, and  s s' (x) (A0 (x) I + A1 (x) X'X)  on the copies of an output, whose signs
    are s, the same for every output. So what predictions do not read of the copies needs nothing but X'X; A0 and A1 are of order P,
    or 0 where a term has no such part. Then the diagonal of the variables after the blocks. share : (n,) |x_k|^2 / |X|_F^2."""

    share: NDArray[np.float64]
    signs: tuple[float, ...]
    A0: Any = 0.0
    A1: Any = 0.0
    own0: float = 0.0
    own1: float = 0.0
    rest: Any = 0.0

    def mean(self, curvature: float) -> float:
        """The mean of its diagonal over the blocks. curvature : that of the diagonal of X'X."""
        read = sum(factor * np.diagonal(A).mean() for A, factor in ((self.A0, 1.0), (self.A1, curvature)) if np.ndim(A))
        return float(self.own0 + self.own1 * curvature + np.square(self.signs).mean() * read)

    def on_weights(self, slopes: Matrix) -> None:
        """sum_k |sum_b slopes_bk u_b|^2, u the signed sum of the copies; slopes (P, n)."""
        self.A0 = self.A0 + slopes @ slopes.T

    def on_products(self, slopes: Matrix, rows: Any = slice(None)) -> None:
        """sum_k (sum_b slopes_bk x_k.u_b)^2 over some rows of X; slopes (P, rows)."""
        self.A1 = self.A1 + (slopes * self.share[rows]) @ slopes.T


class Reader:
    """What the loss reads of D (outputs, P, d), the weights that act in predictions, and of S = D X' (outputs, P, n)."""

    def read(self, D: Any, S: Any) -> Any:
        """The image, flat, in memory of its own; S may be changed in place."""
        raise NotImplementedError

    def back(self, q: Any) -> tuple[Any, Any]:
        """The adjoint's parts on D, None being nothing, and on S."""
        raise NotImplementedError

    def pencil(self, out: Pencil, norms: Matrix) -> None:
        """Add K'K. norms : (n,) what the rows of X were divided by."""
        raise NotImplementedError


@dataclass(eq=False)
class ReadPrediction(Reader):
    """sum over patterns of slopes * S, one output after another; slopes (P, n)."""

    slopes: Any

    def read(self, D: Any, S: Any) -> Any:
        xp = array_namespace(S)
        S *= self.slopes
        return xp.reshape(xp.sum(S, axis=1), (-1,))

    def back(self, q: Any) -> tuple[Any, Any]:
        return None, array_namespace(q).reshape(q, (-1, 1, self.slopes.shape[1])) * self.slopes

    def pencil(self, out: Pencil, norms: Matrix) -> None:
        out.on_products(self.slopes / norms)


@dataclass(eq=False)
class ReadSampleWeights(Reader):
    """The prediction, then the weights of each group of samples; on_group (P, groups)."""

    prediction: ReadPrediction
    on_group: Any

    def read(self, D: Any, S: Any) -> Any:
        xp = array_namespace(D)
        return xp.concat([self.prediction.read(D, S), xp.reshape(self.on_group.T @ D[0, ...], (-1,))])

    def back(self, q: Any) -> tuple[Any, Any]:
        xp, n = array_namespace(q), self.prediction.slopes.shape[1]
        on_d = self.on_group @ xp.reshape(q[n:], (self.on_group.shape[1], -1))
        return xp.reshape(on_d, (1, *on_d.shape)), self.prediction.back(q[:n])[1]

    def pencil(self, out: Pencil, norms: Matrix) -> None:
        self.prediction.pencil(out, norms)
        out.on_weights(self.on_group)


def signed_sum(U: Any, signs: tuple[float, ...]) -> Any:
    """sum_c signs_c U[:, c], of signs +-1; a view of U where there is nothing to add."""
    total = U[:, 0, ...] if signs[0] == 1 else -U[:, 0, ...]
    for c in range(1, len(signs)):
        total = total + U[:, c, ...] if signs[c] == 1 else total - U[:, c, ...]
    return total


def add_signed(U: Any, D: Any, signs: tuple[float, ...]) -> None:
    """U[:, c] += signs_c D in place, of signs +-1."""
    for c, sign in enumerate(signs):
        part = U[:, c, ...]
        if sign == 1:
            part += D
        else:
            part -= D
