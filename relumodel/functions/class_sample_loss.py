"""A class loss bound to its labels, and the loss of a model bound to data of either kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from .base import Function
from .rows import ConicRows

if TYPE_CHECKING:
    from .class_losses import ClassLoss

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClassSampleLoss(Function):
    """sum_k weights_k phi(z_k, y_k) on the outputs of n samples, flat z = (those of the first output, of the second, ...).

    own : (c, n), 1 at the class of every sample, 0 elsewhere.  classes : (c,) the labels, one an output.
    weights : (n,).  sample_weights : (n,) those before the reduction; None where all are 1.
    """

    loss: ClassLoss
    own: Matrix
    classes: Vector
    weights: Vector
    sample_weights: Vector | None = None

    @classmethod
    def bind(
        cls, loss: ClassLoss, y: Vector, classes: Vector, sample_weights: Vector | None = None, total: float | None = None
    ) -> ClassSampleLoss:
        """y : (n,) labels, all of them among the classes (c,). total : as for `SampleLoss`."""
        w = np.ones(len(y)) if sample_weights is None else sample_weights
        weights = w / (w.sum() if total is None else total) if loss.reduction == "mean" else w
        return cls(loss, (y == classes[:, None]).astype(float), classes, weights, sample_weights)

    @property
    def outputs(self) -> int:
        """The number of classes."""
        return len(self.classes)

    @property
    def targets(self) -> Vector:
        """The labels it was bound to, (n,)."""
        return self.classes[self.own.argmax(axis=0)]

    def _columns(self, z: Any) -> Any:
        return array_namespace(z).reshape(z, self.own.shape)

    @property
    def has_kink(self) -> bool:
        """Whether phi has one."""
        return self.loss.has_kink

    def rounded(self, z: Any, width: float) -> tuple[float, Any]:
        """As for `SampleLoss`."""
        if width == 0:
            return self.value(z), self.gradient(z)
        Z = self._columns(z)
        near = self.loss.prox(Z, self.own, width)
        value = self.loss.value(near, self.own) + ((Z - near) ** 2).sum(axis=0) / (2 * width)
        return float(self.weights @ value), (self.weights * (Z - near) / width).reshape(-1)

    def value(self, z: Any) -> Any:
        return (self.weights * self.loss.value(self._columns(z), self.own)).sum()

    def gradient(self, z: Any) -> Any:
        """A subgradient in z."""
        return array_namespace(z).reshape(self.weights * self.loss.slope(self._columns(z), self.own), (-1,))

    def prox(self, z: Any, t: Any) -> Any:
        return array_namespace(z).reshape(self.loss.prox(self._columns(z), self.own, t * self.weights), (-1,))

    def conjugate(self, q: Any) -> Any:
        return (self.weights * self.loss.conjugate(self._columns(q) / self.weights, self.own)).sum()

    def project_dual(self, q: Any) -> Any:
        inside = self.weights * self.loss.clip(self._columns(q) / self.weights, self.own)
        return array_namespace(q).reshape(inside, (-1,))

    def few_rows(self, m: int) -> ConicRows:
        return self.loss.rows(self.weights[:1], self.own[:, :1])

    def rows(self, m: int) -> ConicRows:
        return self.loss.rows(self.weights, self.own)
