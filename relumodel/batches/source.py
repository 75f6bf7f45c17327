"""Data a batch at a time: what a user may give, checked at every pass, never read whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import BatchData, as_array, both_classes, read_batch, read_classes, same_names, with_bias
from ..errors import InputError, InputTypeError, RelumodelError
from ..functions.losses import Loss

Matrix = NDArray[np.float64]

#: Consecutive rows of sliced arrays that stay together: a batch is so many pages in random order, each of them one slice.
PAGES = 16

#: Relative rounding up to which sums over the data of two passes are equal.
SAME = 1e-6

FORMS = (
    "a pair (X, y) or (X, y, sample_weight) of arrays that can be sliced (numpy.memmap, for example), a torch DataLoader or another "
    "iterable that can be gone through again, or a callable that returns a new iterator; batches are (X, y) or (X, y, sample_weight)"
)


@dataclass(frozen=True)
class Totals:
    """Sums over all samples, by which a pass knows whether it saw the same ones, in whatever order and batches.

    Every sample is projected on a random vector of fixed seed, p = x.g and q = y.h, so that what moves numbers within a sample (flips,
    rotations, shifts) moves p; the sums are of functions that are not linear, so that changes do not cancel, and not even, so that
    signs count. rows : of positive weight.  positive, squares : sums of max(p, 0) and p^2.  targets : of (q + 1/2)^2.
    pairs : of weight |p| |q + 1/2|, which ties the parts of a sample together.
    """

    rows: int
    batches: int
    weight: float
    positive: float
    squares: float
    targets: float
    pairs: float

    def same(self, other: Totals) -> bool:
        """Whether the data are the same."""
        names = ("weight", "positive", "squares", "targets", "pairs")
        sums = ((getattr(self, name), getattr(other, name)) for name in names)
        return self.rows == other.rows and all(abs(a - b) <= SAME * (abs(a) + abs(b)) for a, b in sums)


def _sums(batch: BatchData) -> Matrix:
    """The `Totals` of some samples, without their numbers."""
    y = batch.y.reshape(len(batch.y), -1)
    p = batch.X @ np.random.default_rng(0).standard_normal(batch.X.shape[1])
    q = y @ np.random.default_rng(1).uniform(1.0, 2.0, y.shape[1]) + 0.5
    weights = batch.weights
    return np.array([weights.sum(), np.maximum(p, 0.0).sum(), p @ p, q @ q, (weights * np.abs(p)) @ np.abs(q)])


class Source:
    """Batches of checked data. One pass after another must give the same samples, in any order."""

    def __init__(self, data: Any, loss: Loss, batch_size: int) -> None:
        self.loss = loss
        self.arrays = _pair(data)
        self.batch_size = batch_size
        if self.arrays is None:
            _refuse_strange(data)
        else:
            _same_length(self.arrays)
        self.data = data
        self.width: int | None = None
        self.totals: Totals | None = None
        self.names: tuple[str, ...] | None = None
        self.columns: tuple[int, ...] | None = None

    @property
    def described(self) -> str:
        """One phrase for the report."""
        if self.arrays is not None:
            return "slices of arrays"
        return f"batches of a {type(self.data).__name__}" if hasattr(self.data, "__iter__") else "batches of a callable"

    def batches(self, order: np.random.Generator | None = None) -> Iterator[BatchData]:
        """One pass. order : shuffles arrays; an iterable has its own order. Raises `InputError` naming the batch, and after the last one
        where the data are not those of the first pass."""
        rows = batches = 0
        sums = np.zeros(5)
        for number, parts in enumerate(self._parts(order)):
            try:
                X, y, weights = parts
                batch = read_batch(X, y, weights, self.loss, self.width)
                if batch is not None:
                    self._same_columns(batch)
            except RelumodelError as error:
                raise type(error)(f"Batch {number}: {error}") from error
            if batch is None:  # every sample has weight 0
                continue
            rows, batches = rows + len(batch.X), batches + 1
            with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused
                sums += _sums(batch)
            yield batch
        if not rows:
            raise InputError("The data have no batch with a sample of positive weight.")
        totals = Totals(rows, batches, *map(float, sums))
        if self.totals is None:
            self.totals = totals
        elif not self.totals.same(totals):
            raise InputError(
                f"This pass through the data gave other samples than the first ({totals.rows:,} of them, first {self.totals.rows:,}; sums over "
                "random projections of X, y and both are compared too). Every pass must give all of the same samples, in any order: no drop_last, no sampler that "
                "leaves some out, no random augmentation."
            )

    def _same_columns(self, batch: BatchData) -> None:
        """An error where columns are others than those of the first batch."""
        same_names(batch.names, self.names, " All batches must have the same columns in the same order.")
        if self.columns is not None and batch.y.shape[1:] != self.columns:
            raise InputError(f"y has shape {batch.y.shape}, other columns than the first batch, {(len(batch.y), *self.columns)}.")

    def _parts(self, order: np.random.Generator | None) -> Iterator[tuple[Any, ...]]:
        if self.arrays is not None:
            yield from _slices(self.arrays, self.batch_size, order)
            return
        for number, batch in enumerate(_iterate(self.data)):
            if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
                raise InputTypeError(f"Batch {number} must be (X, y) or (X, y, sample_weight); got {_shown(batch)}.")
            yield (*batch, None)[:3]


@dataclass(frozen=True, eq=False)
class Survey:
    """What the first pass finds. gram : (d, d) the mean of x x', the ones column included; its diagonal alone (d,) where d is large.
    classes : (c,) the labels for losses of classes, else None.  outputs : how many the network has.  spread : the size of what the
    network has to tell apart, root mean square of the residuals' targets, 1 for margins and classes."""

    totals: Totals
    features: int
    gram: Matrix
    classes: Matrix | None
    outputs: int
    spread: float
    first: BatchData


def survey(source: Source, bias: bool, largest: int, enough: int) -> Survey:
    """The first pass. largest : columns up to which the whole Gram matrix is summed.  enough : samples to keep of the first batches."""
    gram: Any = 0.0
    labels: set[float] = set()
    squares = 0.0
    least, most = np.full((), np.inf), np.full((), -np.inf)
    kept: list[BatchData] = []
    for batch in source.batches():
        if source.width is None:
            source.width, source.names, source.columns = batch.X.shape[1], batch.names, batch.y.shape[1:]
        X = with_bias(batch.X, bias)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused below
            weighted = batch.weights[:, None] * X
            gram = gram + (weighted.T @ X if X.shape[1] <= largest else (weighted * X).sum(axis=0))
            if source.loss.reads == "residual":
                squares += float((batch.weights * (batch.y**2).reshape(len(batch.y), -1).mean(axis=1)).sum())
        if source.loss.reads == "classes":
            labels.update(np.unique(batch.y).tolist())
        elif source.loss.reads == "margin":
            least, most = np.minimum(least, batch.y.min(axis=0)), np.maximum(most, batch.y.max(axis=0))
        if sum(len(b.X) for b in kept) < enough:
            kept.append(batch)
    totals = source.totals
    assert totals is not None
    assert source.width is not None
    columns = source.columns
    assert columns is not None
    if not (math.isfinite(totals.squares + totals.targets + totals.pairs + squares) and np.isfinite(gram).all()):
        raise InputError(
            "X or y holds numbers whose squares, or their sums, are beyond float64; rescale them, for example to unit variance."
        )
    classes = None
    if source.loss.reads == "classes":
        classes = read_classes(np.array(sorted(labels)), source.loss, None)
    elif source.loss.reads == "margin":
        both_classes(least, most, source.loss)
    outputs = len(classes) if classes is not None else columns[0] if columns else 1
    spread = float(np.sqrt(squares / totals.weight)) if source.loss.reads == "residual" else 1.0
    X, y, weights = (np.concatenate(parts) for parts in zip(*((b.X, b.y, b.weights) for b in kept), strict=True))
    first = BatchData(X, y, weights, source.names)
    return Survey(totals, source.width, gram / totals.weight, classes, outputs, spread or 1.0, first)


def _pair(data: Any) -> tuple[Any, ...] | None:
    """The arrays of a pair, or None."""
    if isinstance(data, tuple | list) and len(data) == 3 and data[2] is None:
        data = data[:2]
    if isinstance(data, tuple | list) and len(data) in (2, 3) and all(hasattr(part, "shape") for part in data):
        return tuple(data)
    return None


def _same_length(arrays: tuple[Any, ...]) -> None:
    lengths = [int(part.shape[0]) if len(part.shape) else 0 for part in arrays]
    if len(set(lengths)) > 1 or not lengths[0]:
        raise InputError(f"X, y and sample_weight must have one row a sample, as many in each and one at least; got {lengths}.")


def _slices(arrays: tuple[Any, ...], size: int, order: np.random.Generator | None) -> Iterator[tuple[Any, ...]]:
    """Batches of about `size` rows, as equal as they can be: consecutive ones, or so many pages in random order."""
    n = int(arrays[0].shape[0])
    count = -(-n // size)
    pages = np.linspace(0, n, count * (1 if order is None else min(PAGES, max(1, n // count))) + 1).round().astype(int)
    spans = list(zip(pages[:-1].tolist(), pages[1:].tolist(), strict=True))
    if order is not None:
        spans = [spans[i] for i in order.permutation(len(spans))]
    for group in np.array_split(np.arange(len(spans)), count):
        chosen = [tuple(_rows(part, *spans[i]) for part in arrays) for i in group]
        joined = tuple(
            parts[0] if len(parts) == 1 else np.concatenate([as_array(p) for p in parts]) for parts in zip(*chosen, strict=True)
        )
        yield (*joined, None)[:3]


def _rows(array: Any, start: int, stop: int) -> Any:
    return array.iloc[start:stop] if hasattr(array, "iloc") else array[start:stop]


def _refuse_strange(data: Any) -> None:
    """An error for what cannot be gone through twice."""
    if _leaves_out(data):
        raise InputError("This DataLoader has drop_last=True, so a pass leaves samples out; make it with drop_last=False.")
    if callable(data) and not hasattr(data, "__iter__"):
        return
    if isinstance(data, tuple) and len(data) in (2, 3) and not all(isinstance(batch, tuple | list) for batch in data):
        raise InputTypeError(
            f"X, y and sample_weight must all be arrays; got {', '.join(_shown(part) for part in data)}. Lists become arrays by numpy.asarray."
        )
    if not isinstance(data, Iterable) or isinstance(data, str | bytes | dict):
        raise InputTypeError(f"data must be {FORMS}; got {_shown(data)}.")
    if isinstance(data, Iterator):
        raise InputTypeError(
            f"This {type(data).__name__} can be gone through once, and training takes many passes; pass a callable that makes a new one, "
            "for example compile_batches(lambda: batches(file), ...)."
        )


def _leaves_out(loader: Any) -> bool:
    """Whether a DataLoader, or its batch sampler, drops the samples that do not fill a batch; true where their number is not known."""
    makers = [maker for maker in (loader, getattr(loader, "batch_sampler", None)) if getattr(maker, "drop_last", False)]
    if not makers:
        return False
    known = hasattr(loader, "dataset") and hasattr(loader.dataset, "__len__")
    return not known or len(loader.dataset) % (getattr(makers[-1], "batch_size", None) or 1) != 0


def _iterate(data: Callable[[], Any] | Iterable[Any]) -> Iterator[Any]:
    made = data if hasattr(data, "__iter__") else data()
    if not isinstance(made, Iterable):
        raise InputTypeError(f"The callable must return an iterable of batches; it returned {_shown(made)}.")
    return iter(made)


def _shown(value: Any) -> str:
    length = f" of {len(value)} entries" if hasattr(value, "__len__") else ""
    return f"a {type(value).__name__}{length}"
