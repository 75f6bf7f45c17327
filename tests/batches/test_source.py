"""What data may be given by batches, what is refused, and that arrays are never read whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import relumodel as rm
from relumodel.batches.source import Source

RELU = rm.TwoLayer(rm.ReLU(), bias=True)
MODEL = rm.Model(RELU, rm.Squared(), rm.WeightDecay(0.01))
CLASSES = rm.Model(RELU, rm.MultiMargin(), rm.WeightDecay(0.01))
MARGINS = rm.Model(RELU, rm.Hinge(), rm.WeightDecay(0.01))
PATTERNS = rm.SamplePatterns(3, seed=0)


def data(n: int = 90, d: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    return X, np.abs(X[:, 0])


def batches(X: np.ndarray, y: np.ndarray, size: int = 40) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(X[i : i + size], y[i : i + size]) for i in range(0, len(X), size)]


class Sliced:
    """An array on a disk, of which few rows may be read at a time."""

    def __init__(self, array: np.ndarray, most: int) -> None:
        self.array, self.most, self.shape = array, most, array.shape

    def __getitem__(self, rows: slice) -> np.ndarray:
        assert isinstance(rows, slice)
        out = self.array[rows]
        assert len(out) <= self.most, f"{len(out)} rows read at once"
        return out


def test_arrays_are_read_a_batch_at_a_time() -> None:
    X, y = data(1000)
    program = MODEL.compile_batches((Sliced(X, 50), Sliced(y, 50)), patterns=PATTERNS, batch_size=50)
    assert program.found.totals.batches == 20
    solution = program.solve(epochs=2, device=None)
    assert np.isclose(solution.objective, solution.network().objective(MODEL, X, y), rtol=1e-12)


def test_a_memory_map_of_images(tmp_path: Path) -> None:
    X = np.random.default_rng(0).integers(0, 256, (60, 1, 4, 4)).astype(np.uint8)
    y = (X[:, 0, 0, 0] > 100).astype(np.int64)
    X.tofile(tmp_path / "X")
    images = np.memmap(tmp_path / "X", np.uint8, "r", shape=X.shape)
    solution = CLASSES.compile_batches((images, y), patterns=PATTERNS, batch_size=16).solve(epochs=1, device=None)
    flat = X.reshape(60, 16)
    assert np.isclose(solution.objective, solution.network().objective(CLASSES, flat, y), rtol=1e-12)


def test_every_form_gives_the_same_program() -> None:
    X, y = data()
    parts = batches(X, y)
    forms: list[Any] = [(X, y), parts, lambda: iter(parts), lambda: (b for b in parts), (X, y, np.ones(len(y)))]
    programs = [MODEL.compile_batches(form, patterns=PATTERNS, batch_size=40) for form in forms]
    for program in programs:
        assert program.n_samples == len(X)
        np.testing.assert_array_equal(program.gates, programs[0].gates)
        np.testing.assert_allclose(program.found.gram, programs[0].found.gram, atol=1e-12)
    assert len({str(program).split("size  ")[1] for program in programs}) == 1


def test_a_data_loader_serves() -> None:
    torch = pytest.importorskip("torch")
    X, y = data()
    pairs = torch.utils.data.TensorDataset(torch.tensor(X.reshape(-1, 3, 1)), torch.tensor(y))
    loader = torch.utils.data.DataLoader(pairs, batch_size=32, shuffle=True)
    solution = MODEL.compile_batches(loader, patterns=PATTERNS).solve(epochs=2)
    assert np.isclose(solution.objective, solution.network().objective(MODEL, X, y), rtol=1e-9)
    MODEL.compile_batches(torch.utils.data.DataLoader(pairs, batch_size=30, drop_last=True), patterns=PATTERNS)

    class Stream(torch.utils.data.IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            return iter(pairs)

    sampler = torch.utils.data.BatchSampler(range(len(pairs)), 32, True)
    for dataset, leaving in ((pairs, {"drop_last": True}), (Stream(), {"drop_last": True}), (pairs, {"batch_sampler": sampler})):
        size = {} if "batch_sampler" in leaving else {"batch_size": 32}
        with pytest.raises(rm.InputError, match="drop_last"):
            MODEL.compile_batches(torch.utils.data.DataLoader(dataset, **size, **leaving), patterns=PATTERNS)


def test_classes_and_signs_may_be_missing_in_a_batch() -> None:
    X, y = data()
    order = np.argsort(y)
    labels = np.digitize(y[order], [0.5, 1.0]) + 3.0
    program = CLASSES.compile_batches(batches(X[order], labels, 20), patterns=PATTERNS)
    assert program.found.classes is not None
    assert program.found.classes.tolist() == [3, 4, 5]
    signs = np.where(y[order] > 0.5, 1.0, -1.0)
    assert MARGINS.compile_batches(batches(X[order], signs, 20), patterns=PATTERNS).outputs == 1


def test_samples_without_weight_are_absent() -> None:
    X, y = data()
    weight = np.arange(len(y)) % 3.0
    weight[:40] = 0  # a whole batch of them
    parts = [(X[i : i + 20], y[i : i + 20], weight[i : i + 20]) for i in range(0, 90, 20)]
    program = MODEL.compile_batches(parts, patterns=PATTERNS)
    assert program.n_samples == (weight > 0).sum()
    solution = program.solve(epochs=2, device=None)
    assert np.isclose(solution.objective, solution.network().objective(MODEL, X, y, sample_weight=weight), rtol=1e-12)


def _once() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    yield data()


BAD: dict[str, tuple[rm.Model, Any, type[Exception], str]] = {
    "a generator": (MODEL, _once(), rm.InputTypeError, "can be gone through once.*callable"),
    "text": (MODEL, "data.csv", rm.InputTypeError, "data must be a pair"),
    "a callable without batches": (MODEL, lambda: 3, rm.InputTypeError, "must return an iterable"),
    "no batches": (MODEL, [], rm.InputError, "no batch"),
    "a batch of one": (MODEL, [(data()[0],)], rm.InputTypeError, "Batch 0 must be"),
    "a dictionary": (MODEL, [{"X": 1, "y": 2}], rm.InputTypeError, "Batch 0 must be"),
    "other columns": (MODEL, [data(), data(d=2)], rm.InputError, "Batch 1: X must have 3 features"),
    "other outputs": (MODEL, [data(), (data()[0], np.zeros((90, 2)))], rm.InputError, "Batch 1: y has shape"),
    "NaN": (MODEL, [data(), (np.full((2, 3), np.nan), np.zeros(2))], rm.InputError, "Batch 1: X holds 6 NaN"),
    "an empty batch": (MODEL, [data(), (np.zeros((0, 3)), np.zeros(0))], rm.InputError, "Batch 1: X must hold"),
    "too few targets": (MODEL, [(data()[0], np.zeros(4))], rm.InputError, "Batch 0: X has 90 samples and y has 4"),
    "lists in a pair": (MODEL, (data()[0], data()[1].tolist()), rm.InputTypeError, "must all be arrays; got .*a list of 90"),
    "an empty batch of images": (MODEL, [data(), (np.zeros((0, 3, 1)), np.zeros(0))], rm.InputError, "Batch 1: X must hold"),
    "huge numbers": (MODEL, (1e160 * data()[0], data()[1]), rm.InputError, "beyond float64; rescale"),
    "huge targets": (MODEL, (data()[0], 1e160 * data()[1]), rm.InputError, "beyond float64; rescale"),
    "unequal arrays": (MODEL, (data()[0], np.zeros(4)), rm.InputError, r"one row a sample.*\[90, 4\]"),
    "negative weights": (MODEL, (*data(), np.full(90, -1.0)), rm.InputError, "Batch 0: sample_weight must not be negative"),
    "one class": (CLASSES, (data()[0], np.ones(90)), rm.InputError, "two classes at least"),
    "broken classes": (CLASSES, data(), rm.InputError, "whole numbers"),
    "one sign": (MARGINS, (data()[0], np.ones(90)), rm.InputError, "needs both classes"),
    "labels 0 and 1": (MARGINS, (data()[0], np.arange(90) % 2), rm.InputError, "Batch 0: Hinge needs labels -1 and"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_are_refused_by_batch(case: str) -> None:
    model, given, kind, message = BAD[case]
    with pytest.raises(kind, match=message):
        model.compile_batches(given, patterns=PATTERNS)


def test_shuffled_arrays_are_read_as_batches_are() -> None:
    X, y = data()
    given: list[Any] = [(X, y, None)]
    pandas, torch = pytest.importorskip("pandas"), pytest.importorskip("torch")
    columns = {"a": pandas.array(X[:, 0], dtype="Float64"), "b": X[:, 1] > 0, "c": pandas.array(y > 1, dtype="boolean")}
    given.append((pandas.DataFrame(columns), pandas.Series(y)))
    given.append((torch.tensor(X, dtype=torch.bfloat16), torch.tensor(y, dtype=torch.bfloat16)))
    for form in given:
        plain = [np.asarray(part.float() if hasattr(part, "float") else part, dtype=float) for part in form[:2]]
        solution = MODEL.compile_batches(form, patterns=PATTERNS, batch_size=20).solve(epochs=1, device=None)
        assert np.isclose(solution.objective, solution.network().objective(MODEL, *plain), rtol=1e-12)


def test_columns_keep_their_order() -> None:
    pandas = pytest.importorskip("pandas")
    X, y = data()
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    assert MODEL.compile_batches([(frame, y), (X, y)], patterns=PATTERNS).source.names == ("a", "b", "c")
    with pytest.raises(rm.InputError, match=r"Batch 1: X has other columns.*column 0 is 'c'.*the same order"):
        MODEL.compile_batches([(frame, y), (frame[["c", "b", "a"]], y)], patterns=PATTERNS)


def swapped_halves(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    out = images.copy()
    out[:, :3] = out[rng.permutation(len(out)), :3]
    return out


AUGMENTED = {
    "flips": lambda images, rng: np.where(rng.random((len(images), 1, 1)) < 0.5, images, images[:, :, ::-1]),
    "rotations": lambda images, rng: np.stack([np.rot90(image, int(rng.integers(4))) for image in images]),
    "shifts": lambda images, rng: np.stack([np.roll(image, int(rng.integers(-1, 2)), axis=1) for image in images]),
    "signs": lambda images, rng: images * rng.choice([-1.0, 1.0], (len(images), 1, 1)),
    "permuted pixels": lambda images, rng: images.reshape(len(images), -1)[:, rng.permutation(36)],
    "pasted halves": swapped_halves,
    "one sample of all": lambda images, rng: np.concatenate([images[:1, ::-1] if rng.random() < 0.5 else images[:1], images[1:]]),
}


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("kind", AUGMENTED)
def test_a_loader_that_changes_its_samples_is_refused(kind: str, centred: bool) -> None:
    """All of these keep the sum of the absolute entries of every sample, or of all of them."""
    images = np.random.default_rng(0).uniform(-1 if centred else 0, 1, (300, 6, 6))
    y, rng = np.where(images[:, 0, 0] > 0.5, 1.0, -1.0), np.random.default_rng(1)
    source = Source(lambda: [(AUGMENTED[kind](images, rng), y)], rm.Hinge(), 64)
    with pytest.raises(rm.InputError, match="gave other samples"):
        any(not list(source.batches()) for _ in range(20))


def test_the_same_samples_in_another_order_and_other_batches_are_the_same() -> None:
    rng = np.random.default_rng(0)
    for scale, offset in ((1.0, 0.0), (1e-12, 0.0), (1e6, 0.0), (1.0, 1e6)):
        X, y = scale * rng.standard_normal((500, 40)) + offset, scale * rng.standard_normal((500, 3))

        def shuffled(X: np.ndarray = X, y: np.ndarray = y) -> Any:
            order = rng.permutation(500)
            ends = np.sort(rng.integers(1, 500, 5))
            return [(X[part], y[part], 1.0 + part) for part in np.split(order, ends) if len(part)]

        source = Source(shuffled, rm.Squared(), 1)
        for _ in range(5):
            list(source.batches())


def test_weights_that_change_hands_are_seen() -> None:
    X, y = data()
    source = Source(lambda: [(X, y, rng.permutation(np.arange(1.0, len(X) + 1)))], rm.Squared(), 1)
    rng = np.random.default_rng(0)
    list(source.batches())
    with pytest.raises(rm.InputError, match="gave other samples"):
        list(source.batches())


def test_data_that_change_are_refused() -> None:
    X, y = data()
    rng = np.random.default_rng(0)
    noisy = MODEL.compile_batches(lambda: iter([(X + 0.01 * rng.standard_normal(X.shape), y)]), patterns=PATTERNS)
    with pytest.raises(rm.InputError, match="gave other samples"):
        noisy.solve(epochs=1, device=None)
    torn = iter([(X, y), (X, y[::-1])])
    with pytest.raises(rm.InputError, match="gave other samples"):
        MODEL.compile_batches(lambda: iter([next(torn)]), patterns=PATTERNS).solve(epochs=1, device=None)
    wider = iter([(X, y), (X, np.column_stack([y, y]))])
    with pytest.raises(rm.InputError, match=r"Batch 0: y has shape .*other columns"):
        MODEL.compile_batches(lambda: iter([next(wider)]), patterns=PATTERNS).solve(epochs=1, device=None)
    passes = iter([batches(X, y), batches(X, y)[:1]])
    fewer = MODEL.compile_batches(lambda: next(passes), patterns=PATTERNS)
    with pytest.raises(rm.InputError, match="40 of them, first 90"):
        fewer.solve(epochs=1, device=None)


@pytest.mark.parametrize(
    ("model", "patterns", "message"),
    [
        (MODEL, None, "needs directions"),
        (MODEL, rm.EnumeratePatterns(), "EnumeratePatterns lists patterns of samples"),
        (MODEL, rm.GivenPatterns(np.ones((90, 1), bool)), "GivenPatterns lists patterns"),
        (rm.Model(RELU, rm.Hinge(), rm.WeightDecay(0.1), rm.LInf(0.1)), PATTERNS, "without a perturbation"),
        (rm.Model(rm.TwoLayer(rm.Polynomial()), rm.Hinge(), rm.WeightDecay(0.1)), PATTERNS, "Batches train"),
        (rm.Model(rm.RandomFeatures(), rm.Hinge(), rm.WeightDecay(0.1)), PATTERNS, "Batches train"),
        (rm.Model(rm.ParallelThreeLayer(2), rm.Squared(), rm.WeightDecay(0.1)), rm.EnumeratePatterns(), "sub-networks"),
    ],
)
def test_what_is_not_trained_by_batches(model: rm.Model, patterns: Any, message: str) -> None:
    with pytest.raises((rm.InputError, rm.InputTypeError), match=message):
        model.compile_batches(data(), patterns=patterns)
