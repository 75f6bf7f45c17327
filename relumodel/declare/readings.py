"""Readings: affine functions of the values of a network that is to be found, written as f(X), A @ f(X), f(X).mean(), f(A) - f(B), ...

A reading knows the points at which the network is read and a sparse matrix on its values there; with several outputs the values of a block
of points are ordered output by output. Comparing readings makes constraints, applying a loss makes a term.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from ..data import as_array, read_classes, read_features, read_targets, read_weights
from ..declared import number
from ..errors import InputError, InputTypeError
from ..functions.base import SampleLoss
from ..functions.class_sample_loss import ClassSampleLoss
from .box import Box
from .constraints import Constraint, NormOf
from .everywhere import BoxReading, read_box, refuse_other, slopes_in_box
from .terms import Term

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Block:
    """Points (n, d), with the names of their columns if any, and the matrix (m, n c) on the network's values there. groups : (g, k) rows of
    points between which the network is to have no kink, or None."""

    points: Matrix
    names: tuple[str, ...] | None
    matrix: scipy.sparse.csr_array
    groups: NDArray[np.intp] | None = None


@dataclass(frozen=True, eq=False)
class Reading:
    """sum over blocks of matrix @ f(points) + offset, of shape () or (n,) or (n, c); flat in column order. text : how it prints."""

    network: Any
    blocks: tuple[Block, ...]
    offset: Matrix
    shape: tuple[int, ...]
    text: str

    __array_ufunc__ = None  # so that arrays leave `A @ reading` and `y - reading` to readings
    __hash__ = None  # type: ignore[assignment]

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return int(np.prod(self.shape))

    def _mapped(self, M: Any, shape: tuple[int, ...], text: str) -> Reading:
        """M @ this, M (m, size)."""
        M = scipy.sparse.csr_array(M)
        blocks = tuple(dataclasses.replace(b, matrix=(M @ b.matrix).tocsr()) for b in self.blocks)
        return Reading(self.network, blocks, M @ self.offset, shape, text)

    def __getitem__(self, key: Any) -> Reading:
        index = np.arange(self.size).reshape(self.shape, order="F")
        try:
            chosen = index[key]
        except IndexError as error:
            raise InputError(f"A reading of shape {self.shape} has no entries [{key!r}]: {error}") from error
        M = scipy.sparse.eye_array(self.size, format="csr")[np.atleast_1d(chosen).ravel(order="F")]
        return self._mapped(M, np.shape(chosen), f"{self.text}[{_key(key)}]")

    def __len__(self) -> int:
        if not self.shape:
            raise InputTypeError("A reading at one point is a number, without a length.")
        return self.shape[0]

    def __iter__(self) -> Iterator[Reading]:
        return (self[i] for i in range(len(self)))

    def __pow__(self, other: Any) -> Reading:
        raise InputError(
            "A power of a reading is no reading; terms are losses, rm.Squared()(f(X), y), and norms, rm.norm(f(X) - y, 2)."
        )

    def __abs__(self) -> Reading:
        raise InputError("abs(f(X)) is no reading; use rm.norm(f(X), 1), rm.Absolute()(f(X)), or two constraints.")

    def sum(self) -> Reading:
        """The sum of all entries."""
        return self._mapped(np.ones((1, self.size)), (), f"sum {self.text}")

    def mean(self) -> Reading:
        """The mean of all entries."""
        return self._mapped(np.full((1, self.size), 1 / self.size), (), f"mean {self.text}")

    def __neg__(self) -> Reading:
        return self._mapped(-scipy.sparse.eye_array(self.size), self.shape, f"-{self._factor()}")

    def __mul__(self, other: Any) -> Reading:
        if isinstance(other, Reading):
            raise InputError("A product of two readings is not convex in the network; only numbers and arrays multiply readings.")
        c = _numbers(other, "The factor of a reading")
        scaled = np.broadcast_to(c, self.shape) if c.ndim <= len(self.shape) else c
        if scaled.shape != self.shape:
            raise InputError(f"A factor of shape {c.shape} does not fit a reading of shape {self.shape}.")
        return self._mapped(scipy.sparse.diags_array(scaled.ravel(order="F")), self.shape, f"{_shown(c)} {self._factor()}")

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Reading:
        return self * (1 / number(other, "The divisor of a reading"))

    def __rmatmul__(self, A: Any) -> Reading:
        if not self.shape:
            raise InputError("A matrix multiplies readings of one or two dimensions, and this one is a number.")
        M = scipy.sparse.csr_array(A) if scipy.sparse.issparse(A) else _numbers(A, "The matrix of a reading")
        M2 = M if M.ndim == 2 else M.reshape(1, -1)
        if M2.shape[1] != self.shape[0]:
            raise InputError(f"A matrix of shape {M.shape} does not fit a reading of shape {self.shape}.")
        columns = self.shape[1] if len(self.shape) == 2 else 1
        shape = (*(M.shape[:1] if M.ndim == 2 else ()), *self.shape[1:])
        return self._mapped(
            scipy.sparse.kron(scipy.sparse.eye_array(columns), scipy.sparse.csr_array(M2)), shape, f"A @ {self._factor()}"
        )

    def __add__(self, other: Any) -> Reading:
        if isinstance(other, Reading):
            if other.network is not self.network:
                raise InputError(
                    "Readings of two networks do not add; a problem is about one network. Use outputs=2 for two functions."
                )
            if other.shape != self.shape:
                if not other.shape or not self.shape:  # a number and an array
                    one, many = (self, other) if not self.shape else (other, self)
                    return one._mapped(np.ones((many.size, 1)), many.shape, one.text) + many
                raise InputError(f"Readings of shapes {self.shape} and {other.shape} do not add.")
            return Reading(
                self.network, self.blocks + other.blocks, self.offset + other.offset, self.shape, f"{self.text} + {other.text}"
            )
        b = _numbers(other, "What is added to a reading")
        try:
            full = np.broadcast_to(b, self.shape)
        except ValueError as error:
            raise InputError(f"An array of shape {b.shape} does not add to a reading of shape {self.shape}.") from error
        text = self.text if not b.any() else f"{self.text} + {_shown(b)}"
        return Reading(self.network, self.blocks, self.offset + full.ravel(order="F"), self.shape, text)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Reading:
        if isinstance(other, Reading):
            out = self + (-other)
            return Reading(out.network, out.blocks, out.offset, out.shape, f"{self.text} - {other._factor()}")
        b = _numbers(other, "What is subtracted from a reading")
        out = self + (-b)
        return Reading(out.network, out.blocks, out.offset, out.shape, f"{self.text} - {_shown(b)}" if b.any() else self.text)

    def __rsub__(self, other: Any) -> Reading:
        return (-self) + other

    def __le__(self, other: Any) -> Constraint:
        return Constraint(self - other, "nonpositive", f"{self.text} <= {_text(other)}")

    def __ge__(self, other: Any) -> Constraint:
        return Constraint(self - other, "nonnegative", f"{self.text} >= {_text(other)}")

    def __eq__(self, other: Any) -> Constraint:  # type: ignore[override]
        return Constraint(self - other, "zero", f"{self.text} == {_text(other)}")

    def __ne__(self, other: Any) -> bool:
        raise InputError("f(x) != b is no convex constraint; use ==, <= or >=.")

    def __lt__(self, other: Any) -> Constraint:
        raise InputError("Use <= and >=: a strict inequality has no optimum at its edge.")

    __gt__ = __lt__

    def __bool__(self) -> bool:
        raise InputTypeError("A reading is not known before the problem is solved; it is neither true nor false.")

    def under(self, loss: Any, y: Any, weight: Any) -> Term:
        """The loss of this reading and targets y of its shape (labels (n,) for losses of classes); 0 where y is None. weight : (n,)."""
        n = self.shape[0] if self.shape else 1
        w = None if weight is None else read_weights(np.atleast_1d(weight) if not self.shape else weight, n)
        if w is not None and not w.all():
            raise InputError("The weights of a term are > 0; leave out the points that do not count.")
        if y is None:
            if loss.reads != "residual":
                raise InputError(f"{type(loss).__name__} needs the labels: {type(loss).__name__}()(f(X), y).")
            y = np.zeros(self.shape)
        targets = np.atleast_1d(np.asarray(as_array(y), dtype=float)) if not self.shape else y
        if loss.reads == "classes":
            if len(self.shape) != 2:
                raise InputError(f"{type(loss).__name__} reads one output a class, (n, c); this reading has shape {self.shape}.")
            labels = read_targets(targets, n, loss, part=True)
            classes = read_classes(labels, loss, None)
            if len(classes) != self.shape[1]:
                raise InputError(f"y holds {len(classes)} classes, and the reading has {self.shape[1]} outputs.")
            function: Any = ClassSampleLoss.bind(loss, labels, classes, w)
        else:
            given = read_targets(targets, n, loss, part=True)
            if given.shape != (self.shape or (1,)):
                raise InputError(f"The targets have shape {given.shape}, the reading {self.shape}; they must agree.")
            function = SampleLoss.bind(loss, given, w)
        argument = {"margin": f"y {self._factor()}", "residual": f"{self.text} - y", "classes": self.text}[loss.reads]
        over = "mean" if loss.reduction == "mean" else "sum"
        return Term(self, function, f"{over} {loss.formula.format(s=argument)}", loss=loss)

    def _factor(self) -> str:
        return f"({self.text})" if " + " in self.text or " - " in self.text else self.text

    def __repr__(self) -> str:
        return f"<Reading {self.text}, shape {self.shape}>"


def read(network: Any, X: Any, outputs: int) -> Any:
    """f(X): the values at the rows of X, (n,), or (n, c) for c > 1 outputs; a single point (d,) gives () or (c,)."""
    if isinstance(X, Reading | Constraint):
        raise InputTypeError("A network reads points, not readings.")
    if isinstance(X, Box):
        return read_box(network, X, outputs)
    one = np.ndim(X) == 1 and not hasattr(X, "columns")
    points, names = read_features(np.asarray(as_array(X))[None] if one else X)
    n = len(points)
    shape = (*(() if one else (n,)), *(() if outputs == 1 else (outputs,)))
    eye = scipy.sparse.eye_array(n * outputs, format="csr")
    text = f"f({_points(points)})"
    return Reading(network, (Block(np.array(points), names, eye),), np.zeros(n * outputs), shape, text)


def slopes(network: Any, Z: Any, h: Any, outputs: int) -> Reading:
    """Central differences (f(z + h_j e_j) - f(z - h_j e_j)) / (2 h_j), (n, d). h : a step > 0, or one a feature."""
    if outputs != 1:
        raise InputError(f"slope is for networks with one output; this one has {outputs}.")
    points, names = read_features(np.asarray(as_array(Z))[None] if np.ndim(Z) == 1 else Z)
    n, d = points.shape
    step = _numbers(h, "h")
    if step.shape not in ((), (d,)) or not (step > 0).all():
        raise InputError(f"h must be a step > 0, or {d} of them; got {h!r}.")
    step = np.broadcast_to(step, (d,))
    moved = (np.eye(d) * step)[:, None, :]
    both = np.concatenate([(points + moved).reshape(n * d, d), (points - moved).reshape(n * d, d)])
    scale = scipy.sparse.diags_array(1 / (2 * np.repeat(step, n)))
    matrix = scipy.sparse.hstack([scale, -scale], format="csr")
    return Reading(network, (Block(both, names, matrix),), np.zeros(n * d), (n, d), f"slope({_points(points)})")


def gradient_of(network: Any, where: Any, radius: Any, outputs: int) -> Any:
    """f.gradient."""
    if isinstance(where, Box):
        if radius is not None:
            raise InputError("radius= is for gradients at points; those in a box are everywhere.")
        return slopes_in_box(network, where, outputs)
    refuse_other(network, "f.gradient")
    if radius is None:
        raise InputError(
            "f.gradient(Z) needs a radius > 0 around the points in which the network has no kink, for a program would move its kinks onto "
            "the points. Central differences, f.slope(Z, h), need none."
        )
    return _gradients(network, where, radius, outputs)


def _gradients(network: Any, Z: Any, radius: Any, outputs: int) -> Reading:
    """The gradient of f at the rows of Z, (n, d), for networks without kinks within |x - z|_1 < radius of any of them: central differences,
    which are the gradient there."""
    r = number(radius, "radius", above=0)
    reading = slopes(network, Z, r, outputs)
    n, d = reading.shape
    around = np.arange(n)[:, None] * d + np.arange(d)
    block = dataclasses.replace(reading.blocks[0], groups=np.hstack([around, n * d + around]))
    return dataclasses.replace(reading, blocks=(block,), text=reading.text.replace("slope", "gradient"))


def norm(reading: Any, p: Any = 2) -> NormOf:
    """|reading|_p, p in {1, 2, inf}, of all its entries: a term when multiplied or added, a constraint when compared with a number from above."""
    if isinstance(reading, BoxReading):
        reading._refused()
    if not isinstance(reading, Reading):
        raise InputTypeError(f"rm.norm is of a reading such as f(X) - y; got {type(reading).__name__}.")
    return NormOf.of(reading, p)


def _numbers(values: Any, name: str) -> Matrix:
    if isinstance(values, str) or values is None:
        raise InputTypeError(f"{name} must be a number or an array; got {values!r}.")
    out = np.asarray(as_array(values), dtype=np.float64)
    if not np.isfinite(out).all():
        raise InputError(f"{name} holds NaN or infinite values.")
    return out


def _points(points: Matrix) -> str:
    return (
        "[" + ", ".join(f"{v:g}" for v in points[0]) + "]" if len(points) == 1 and points.shape[1] <= 4 else f"{len(points)} points"
    )


def _shown(values: Any) -> str:
    values = np.asarray(values)
    return f"{values:g}" if not values.ndim else f"[{values.size} numbers]"


def _text(other: Any) -> str:
    return other.text if isinstance(other, Reading) else _shown(_numbers(other, "What a reading is compared with"))


def _key(key: Any) -> str:
    if isinstance(key, tuple):
        return ", ".join(_key(part) for part in key)
    if isinstance(key, slice):
        return ":" if key == slice(None) else f"{key.start or ''}:{key.stop or ''}"
    return f"{key}" if np.ndim(key) == 0 else f"{np.size(key)} indices"
