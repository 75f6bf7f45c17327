"""Reading what the user passes: features and targets, checked before any work. Nothing is silently clipped, cast or dropped."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError, InputTypeError
from .frames import as_numbers, columns_of, names_of, of_floats, refuse_names, stacked
from .functions.base import SampleLoss
from .functions.class_sample_loss import ClassSampleLoss
from .functions.losses import Loss

Matrix = NDArray[np.float64]

#: The largest number in training data: sums of fourth powers, which quadratic neurons under a squared loss have, are below 1e308.
LARGEST = 1e75


@dataclass(frozen=True, eq=False)
class Data:
    """Checked training data. X : (n, d) float64 without the bias column.  y : (n,) float64, or (n, c) for c outputs.
    names : d feature names or None.  weights : (n,) positive sample weights, or None where all are 1.
    classes : (c,) the labels in y, in order, one output each, where the loss is one of classes; else None.
    total : what a "mean" divides by where other ranks hold more rows: the sum of the weights of all; None where these are all."""

    X: Matrix
    y: Matrix
    names: tuple[str, ...] | None
    weights: Matrix | None = None
    classes: Matrix | None = None
    total: float | None = None

    @property
    def outputs(self) -> int:
        """How many outputs a network for these targets has."""
        if self.classes is not None:
            return len(self.classes)
        return 1 if self.y.ndim == 1 else self.y.shape[1]


def read(X: Any, y: Any, loss: Loss, sample_weight: Any = None, classes: Matrix | None = None, part: bool = False) -> Data:
    """Features and targets for training with `loss`. sample_weight : (n,) numbers >= 0; samples of weight 0 are left out.
    classes : the labels that a network knows; those found in y by default.
    part : other ranks hold more rows, so it is too early to ask which classes there are."""
    features, names = read_features(X)
    targets = _targets(y, len(features))
    weights = None
    if sample_weight is not None:
        weights = read_weights(sample_weight, len(features))
        used = weights > 0
        features, targets, weights = features[used], targets[used], weights[used]
    targets = read_targets(targets, len(features), loss, part)
    _refuse_large(features, targets, weights)
    classes = read_classes(targets, loss, classes) if loss.reads == "classes" and not part else None
    # copies, so that a program stays what it was when the caller's arrays change
    return Data(np.array(features, order="C"), np.array(targets, order="C"), names, weights, classes)


def _refuse_large(X: Matrix, y: Matrix, weights: Matrix | None) -> None:
    """An error for training data whose powers would overflow on the way."""
    for name, values in (("X", X), ("y", y), ("sample_weight", weights)):
        largest = 0.0 if values is None else float(np.abs(values).max(initial=0.0))
        if largest > LARGEST:
            raise InputError(
                f"{name} holds numbers up to {largest:.3g}, whose powers are beyond float64; rescale them, for example to unit variance. "
                f"Training takes numbers up to {LARGEST:g}."
            )


def read_classes(y: Matrix, loss: Loss, known: Matrix | None) -> Matrix:
    """The labels in y (n,), in order; those that are known where they are, and then no other may occur."""
    found = np.unique(y)
    if known is None:
        if len(found) < 2:
            raise InputError(f"{type(loss).__name__} needs two classes at least; every label in y is {found[0]:g}.")
        if (found != np.round(found)).any():
            raise InputError(
                f"{type(loss).__name__} needs whole numbers as class labels; y holds {_few(found[found != np.round(found)])}. For other "
                "targets use rm.Squared, rm.Absolute or rm.Huber."
            )
        return found
    _refuse_strange(found, known)
    return known


def read_weights(sample_weight: Any, n: int) -> Matrix:
    """(n,) numbers >= 0, one positive at least, or an error."""
    weights = _vector(sample_weight, n, "sample_weight")
    if (weights < 0).any():
        raise InputError(f"sample_weight must not be negative; its smallest entry is {weights.min():g}.")
    if not weights.any():
        raise InputError("sample_weight is zero for every sample; at least one must count.")
    return weights


def read_features(X: Any, width: int | None = None) -> tuple[Matrix, tuple[str, ...] | None]:
    """X as a finite float64 (n, d) array and its column names (pandas and alike), or an error. `width`: the d expected."""
    names = names_of(X, "X")
    if names is not None:
        refuse_names(names, "X")
    out = _floats(X, "X")
    if out.ndim != 2:
        hint = " Use X.reshape(-1, 1) for one feature or X.reshape(1, -1) for one sample." if out.ndim == 1 else ""
        raise InputError(f"X must be two-dimensional, (samples, features); got shape {out.shape}.{hint}")
    if out.shape[0] == 0 or out.shape[1] == 0:
        raise InputError(f"X must hold at least one sample and one feature; got shape {out.shape}.")
    if width is not None and out.shape[1] != width:
        raise InputError(f"X must have {width} features, as in training (the bias column is added inside); got {out.shape[1]}.")
    _finite(out, "X", names)
    return out, names


def read_as_trained(X: Any, width: int, trained: tuple[str, ...] | None) -> Matrix:
    """X checked against the columns of training, `trained` where they had names."""
    features, names = read_features(X, width=width)
    same_names(names, trained, " Reorder or rename them: X[list(network.feature_names)].")
    return features


def same_names(names: tuple[str, ...] | None, before: tuple[str, ...] | None, hint: str = "") -> None:
    """An error where columns have names, had some before, and they are others or in another order."""
    if names is not None and before is not None and names != before:
        at = next(i for i, pair in enumerate(zip(names, before, strict=True)) if pair[0] != pair[1])
        raise InputError(
            f"X has other columns than the training data: column {at} is {names[at]!r}, in training it was {before[at]!r}.{hint}"
        )


def read_targets(y: Any, n: int, loss: Loss, part: bool = False) -> Matrix:
    """y as a finite float64 (n,) array, or (n, c); labels -1/+1 where the loss reads margins, with both classes in every column unless
    this is `part` of them."""
    out = _read_labels(y, n, loss)
    if loss.reads == "margin" and not part:
        both_classes(out.min(axis=0), out.max(axis=0), loss)
    return out


def _read_labels(y: Any, n: int, loss: Loss) -> Matrix:
    """The same for some of the samples, in which a class may be missing."""
    if loss.reads == "residual":
        return _targets(y, n)
    if loss.reads == "classes":
        return _vector(y, n)
    hint = "; for other targets use rm.Squared, rm.Absolute or rm.Huber, for class labels rm.MultiMargin or rm.SoftmaxCrossEntropy"
    return _signs(_targets(y, n), type(loss).__name__, hint)


def both_classes(smallest: Matrix, largest: Matrix, loss: Loss) -> None:
    """An error where a column of labels -1/+1, of which the smallest and the largest are given, has one class only."""
    alike = np.atleast_1d(smallest == largest)
    if alike.any():
        where = "" if np.ndim(smallest) == 0 else f" in column {int(alike.argmax())}"
        raise InputError(
            f"{type(loss).__name__} needs both classes; every label in y{where} is {np.atleast_1d(smallest)[alike.argmax()]:+g}."
        )


@dataclass(frozen=True, eq=False)
class BatchData:
    """Some checked samples. X : (n, d) without the bias column.  y : (n,), or (n, c).  weights : (n,) positive.
    names : d feature names or None."""

    X: Matrix
    y: Matrix
    weights: Matrix
    names: tuple[str, ...] | None


def read_batch(X: Any, y: Any, sample_weight: Any, loss: Loss, width: int | None) -> BatchData | None:
    """A batch for training with `loss`, in which classes may be missing; None where every sample has weight 0.
    X : (n, d), or (n, ...) whose other axes are made one, in C order: images.  width : the d expected, if known."""
    if np.ndim(X) > 2:
        X = as_array(X)
        X = X.reshape(len(X), math.prod(X.shape[1:]))
    features, names = read_features(X, width)
    targets = _targets(y, len(features))
    weights = np.ones(len(features))
    if sample_weight is not None:
        weights = _vector(sample_weight, len(features), "sample_weight")
        if (weights < 0).any():
            raise InputError(f"sample_weight must not be negative; its smallest entry is {weights.min():g}.")
        used = weights > 0
        if not used.any():
            return None
        features, targets, weights = features[used], targets[used], weights[used]
    _refuse_large(features, targets, weights)
    return BatchData(features, _read_labels(targets, len(features), loss), weights, names)


def read_classes_of(y: Any, n: int, classes: Matrix) -> Matrix:
    """y as (n,) labels, all of them among the classes of a network."""
    out = _vector(y, n)
    _refuse_strange(out, classes)
    return out


def _refuse_strange(y: Matrix, classes: Matrix) -> None:
    strange = np.setdiff1d(y, classes)
    if len(strange):
        raise InputError(f"The network knows the classes {_few(classes)}; y holds {_few(strange)}.")


def read_labels(y: Any, n: int, who: str, otherwise: str = "") -> Matrix:
    """y as (n,) labels -1/+1, or an error that says who needs them."""
    return _signs(_vector(y, n), who, otherwise)


def _signs(y: Matrix, who: str, otherwise: str) -> Matrix:
    wrong = y[(y != 1) & (y != -1)]
    if len(wrong):
        raise InputError(f"{who} needs labels -1 and +1; y holds {_few(wrong)}. For labels 0/1 pass 2 * y - 1{otherwise}.")
    return y


def _targets(y: Any, n: int) -> Matrix:
    """y as a finite float64 array, (n,) or, with several columns, (n, c)."""
    return _vector(y, n, several=True)


def _vector(y: Any, n: int, name: str = "y", several: bool = False) -> Matrix:
    """y as a finite float64 (n,) array; (n, c) too where there may be several columns."""
    out = _floats(y, name)
    if out.ndim == 2 and out.shape[1] == 1:
        out = out[:, 0]
    if out.ndim != 1 and not (several and out.ndim == 2 and out.shape[1]):
        also = ", or two-dimensional, one column an output" if several else ""
        raise InputError(
            f"{name} must be one-dimensional, one {'target' if name == 'y' else 'number'} a sample{also}; got shape {out.shape}."
        )
    if len(out) != n:
        raise InputError(f"X has {n} samples and {name} has {len(out)}; they must agree.")
    _finite(out, name, None)
    return out


def _floats(values: Any, name: str) -> Matrix:
    """A float64 copy-or-view; text, complex numbers and objects that are no numbers are refused, integers beyond 2^53 too."""
    if values is None:
        raise InputTypeError(f"{name} must be an array of numbers; got None.")
    if hasattr(values, "toarray"):
        raise InputTypeError(f"{name} is a sparse matrix; pass {name}.toarray() if it fits in memory.")
    if "strided" not in str(getattr(values, "layout", "strided")):
        raise InputTypeError(f"{name} is a sparse tensor; pass {name}.to_dense() if it fits in memory.")
    if np.ma.is_masked(values):
        raise InputError(f"{name} holds masked values; fill or drop them first (relumodel never does so silently).")
    try:
        raw = as_array(values, name)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name} must be a rectangular array of numbers: {error}") from error
    with np.errstate(over="ignore"):  # what overflows becomes infinite, and is refused as such
        return np.asarray(raw, dtype=np.float64)


def as_array(values: Any, name: str = "The data") -> NDArray[Any]:
    """The values as NumPy holds them: real numbers of any type; torch tensors and tables of pandas, polars and pyarrow included."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values if values.dtype.itemsize != 2 else values.float()  # NumPy has no bfloat16
        return as_numbers(values.numpy(), name)
    table = None if of_floats(values) else columns_of(values, name)
    return as_numbers(values, name) if table is None else stacked(*table, name)


def _finite(values: Matrix, name: str, columns: tuple[str, ...] | None) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        where = np.argwhere(bad)[0]
        place = ", ".join(map(str, where))
        column = f" (column {columns[where[1]]!r})" if columns is not None and len(where) == 2 else ""
        kinds = "NaN" if np.isnan(values[bad]).all() else "infinite" if np.isinf(values[bad]).all() else "NaN and infinite"
        raise InputError(f"{name} holds {int(bad.sum())} {kinds} values, the first at [{place}]{column}; fill or drop them first.")


def _few(values: Matrix) -> str:
    distinct = np.unique(values)
    shown = ", ".join(f"{v:g}" for v in distinct[:4])
    return shown + (", ..." if len(distinct) > 4 else "")


def with_bias(X: Matrix, bias: bool) -> Matrix:
    """X as the library computes with it: C order, a ones column last where there is a bias."""
    return np.column_stack([X, np.ones(len(X))]) if bias else np.ascontiguousarray(X)


def bound(loss: Loss, data: Data) -> SampleLoss | ClassSampleLoss:
    """The loss on the targets of data."""
    if data.classes is None:
        return SampleLoss.bind(loss, data.y, data.weights, data.total)
    return ClassSampleLoss.bind(loss, data.y, data.classes, data.weights, data.total)  # type: ignore[arg-type]


def merged_samples(X: Matrix, y: NDArray[Any], sample_weight: Any) -> tuple[Matrix, Matrix, Matrix]:
    """The distinct samples (X, y) in lexicographic order, with their weights summed; those of weight 0 left out."""
    weights = None if sample_weight is None else read_weights(sample_weight, len(X))
    rows, which = np.unique(np.column_stack([X, y]), axis=0, return_inverse=True)
    total = np.bincount(which.reshape(-1), weights).astype(np.float64)
    used = total > 0
    return np.ascontiguousarray(rows[used, :-1]), rows[used, -1], total[used]
