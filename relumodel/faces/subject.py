"""Losses, class losses, penalties and functions as the checks see them: one function f of columns z, with faces by their users' names.

Elementwise losses are functions of one number; class losses of c numbers, one function a class; functions of programs, the norms of
penalties among them, of m numbers. What a class does not define is not there; a face that raises is a fault.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .report import FailedError, SkippedError

if TYPE_CHECKING:
    from ..functions.base import Function
    from ..functions.losses import Loss

Matrix = NDArray[np.float64]

#: Arguments of elementwise losses: where kinks are likely, between them, and far out, where a domain too large shows.
NEAR = np.concatenate([np.linspace(-4, 4, 33), [-0.7, 0.7, 1 - 1e-6, 1 + 1e-6, -1e-3, 1e-3, 0.311, -2.713]])
FAR = np.concatenate([np.geomspace(5, 1e6, 12), -np.geomspace(5, 1e6, 12)])

#: Points of functions of several numbers, at each of the sizes; classes that a class loss is tried with.
POINTS, SIZES, CLASSES = 6, (1e-2, 1.0, 30.0), 3


@dataclass(frozen=True, eq=False)
class Faces:
    """f with its faces on columns.

    owner : what was declared.  Z : (m, n) points.  Q : (m, k) dual arguments, not yet in the domain.  words : our names of faces -> those
    of the class.  near : (n,) the points whose values are of moderate size.
    """

    owner: Any
    Z: Matrix
    Q: Matrix
    words: dict[str, str]
    calls: dict[str, Callable[..., Any]]
    near: NDArray[np.bool_]
    label: str = ""
    give: Callable[[Callable[[Any], Any]], Faces] | None = None

    def on(self, give: Callable[[Any], Any]) -> Faces:
        """The same faces asked in another library's arrays, answers being made NumPy's again. give : makes these of NumPy's."""
        assert self.give is not None
        return self.give(give)

    def has(self, face: str) -> bool:
        """Whether the class has a face."""
        try:
            self.ask(face, self.Z[:, :1], *([1.0] if face == "prox" else []))
        except SkippedError:
            return False
        except FailedError:
            return True
        return True

    def ask(self, face: str, *arguments: Any) -> Any:
        """The answer of a face, in float64. Raises SkippedError where it is not there, FailedError where it cannot answer."""
        word = self.words.get(face, face)
        if face not in self.calls:
            raise SkippedError(f"it has no {word}")
        try:
            with np.errstate(all="ignore"):
                return self.calls[face](*arguments)
        except NotImplementedError as error:
            raise SkippedError(f"it has no {word}") from error
        except Exception as error:
            raise FailedError(f"{word} raised {type(error).__name__}: {error}") from error


@dataclass(frozen=True, eq=False)
class Subject:
    """What is checked. names : of the faces, for messages.  parts : see `Faces`, one for each class or size."""

    title: str
    owner: Any
    parts: tuple[Faces, ...] = field(default=())

    def each(self) -> Iterator[Faces]:
        yield from self.parts


LOSS = {"project": "clip", "gradient": "slope"}
FUNCTION = {"project": "project_dual"}


def of_loss(loss: Loss) -> Subject:
    """A loss of margins, residuals or classes."""
    title = f"loss {loss}"
    if loss.reads == "classes":
        return Subject(title, loss, tuple(_of_class(loss, label, _as_is) for label in range(CLASSES)))
    return Subject(title, loss, (_of_numbers(loss, _as_is),))


def _as_is(array: Any) -> Any:
    return array


def _of_numbers(loss: Loss, give: Callable[[Any], Any]) -> Faces:
    """An elementwise loss."""
    kinks = [sign * value for value in _numbers(loss) for sign in (1.0, -1.0)]
    near = np.concatenate([NEAR, kinks])
    Z = np.concatenate([near, FAR])[None, :]
    calls: dict[str, Callable[..., Any]] = {
        "value": lambda z: _shaped(loss.value(give(z[0])), z[0]),
        "gradient": lambda z: _shaped(loss.slope(give(z[0])), z[0])[None],
        "prox": lambda z, t: _shaped(loss.prox(give(z[0]), t), z[0])[None],
        "conjugate": lambda q: _shaped(loss.conjugate(give(q[0])), q[0]),
        "project": lambda q: _shaped(loss.clip(give(q[0])), q[0])[None],
        "conjugate_slopes": lambda q: tuple(_shaped(part, q[0]) for part in loss.conjugate_slopes(give(q[0]))),
        "rows": lambda z: loss.rows(np.ones(1)),
    }
    at = np.zeros(Z.shape[1], dtype=bool)
    at[: len(near)] = True
    return Faces(loss, Z, Z, LOSS, calls, at, give=lambda g: _of_numbers(loss, g))


def _of_class(loss: Any, label: int, give: Callable[[Any], Any]) -> Faces:
    """A class loss on samples of one class."""
    Z, near = _points(CLASSES, np.random.default_rng(label))

    def own(z: Matrix) -> Matrix:
        out = np.zeros_like(z)
        out[label] = 1.0
        return give(out)

    calls: dict[str, Callable[..., Any]] = {
        "value": lambda z: _shaped(loss.value(give(z), own(z)), z[0]),
        "gradient": lambda z: _shaped(loss.slope(give(z), own(z)), z),
        "prox": lambda z, t: _shaped(loss.prox(give(z), own(z), t), z),
        "conjugate": lambda q: _shaped(loss.conjugate(give(q), own(q)), q[0]),
        "project": lambda q: _shaped(loss.clip(give(q), own(q)), q),
        "rows": lambda z: loss.rows(np.ones(1), np.eye(CLASSES)[:, label : label + 1]),
    }
    return Faces(loss, Z, Z, LOSS, calls, near, f"class {label} of {CLASSES}: ", lambda g: _of_class(loss, label, g))


def of_function(function: Function, m: int = 6) -> Subject:
    """A function of a program, on m numbers: a multiple of the size of its blocks, if it has any."""
    return Subject(f"function {function!r}", function, (faces_of_function(function, m),))


def faces_of_function(function: Any, m: int, label: str = "", give: Callable[[Any], Any] = _as_is) -> Faces:
    """See `of_function`. give : makes another library's arrays of NumPy's; the function's own are made such, too."""
    Z, near = _points(m, np.random.default_rng(m))
    if give is not _as_is:
        own = (
            {x.name: getattr(function, x.name) for x in dataclasses.fields(function)} if dataclasses.is_dataclass(function) else {}
        )
        arrays = {name: give(value) for name, value in own.items() if isinstance(value, np.ndarray)}
        function = dataclasses.replace(function, **arrays) if arrays else function

    def columns(call: Callable[[Any], Any]) -> Callable[[Matrix], Matrix]:
        return lambda z: np.array([_shaped(call(give(column)), column[0]) for column in np.ascontiguousarray(z.T)])

    def same(call: Callable[..., Any]) -> Callable[..., Matrix]:
        return lambda z, *more: np.stack([_shaped(call(give(c), *more), c) for c in np.ascontiguousarray(z.T)], axis=1)

    calls: dict[str, Callable[..., Any]] = {
        "value": columns(function.value),
        "violation": columns(function.violation),
        "conjugate": columns(function.conjugate),
        "project": same(function.project_dual),
        "prox": same(function.prox),
        "rows": lambda z: function.rows(m),
    }
    if hasattr(function, "gradient"):
        calls["gradient"] = same(function.gradient)
    if hasattr(function, "dual_gauge"):
        calls["dual_gauge"] = columns(function.dual_gauge)
    return Faces(function, Z, Z, FUNCTION, calls, near, label, lambda g: faces_of_function(function, m, label, g))


def _points(m: int, rng: np.random.Generator) -> tuple[Matrix, NDArray[np.bool_]]:
    """(m, n) Gaussian points of several sizes, sparse ones, constant ones and zero; and which are of moderate size."""
    dense = [size * rng.standard_normal((m, POINTS)) for size in SIZES]
    sparse = rng.standard_normal((m, POINTS)) * (rng.random((m, POINTS)) < 0.4)
    Z = np.hstack([*dense, sparse, np.ones((m, 1)), -np.ones((m, 1)), np.zeros((m, 1)), 1e5 * rng.standard_normal((m, 2))])
    return Z, np.arange(Z.shape[1]) < Z.shape[1] - 2


def _numbers(owner: Any) -> list[float]:
    """The numbers that an object was declared with: where its kinks may be."""
    fields = dataclasses.fields(owner) if dataclasses.is_dataclass(owner) else ()
    values = [getattr(owner, f.name) for f in fields]
    return [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool) and 0 < abs(v) < 1e3]


def _shaped(values: Any, like: Any) -> Matrix:
    """The values in float64, with the shape they must have."""
    out = np.asarray(values, dtype=np.float64)
    if out.shape != np.shape(like):
        raise ValueError(f"it returned the shape {out.shape}, where {np.shape(like)} is right")
    return out
