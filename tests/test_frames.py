"""Tables of pandas, polars and pyarrow: columns by their names, every kind of number right, everything else refused by name."""

from __future__ import annotations

import datetime
import io
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import relumodel as rm
from relumodel.data import read_features, read_targets

COLUMNS = {"a": [1.0, 3.0, 5.5], "b": [2, 4, 7]}
VALUES = [[1, 2], [3, 4], [5.5, 7]]


class Column:
    """A column that NumPy can read, as those of pyarrow and polars are, and that shows its values where it is printed."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype=dtype)

    def __repr__(self):
        return f"[\n  {self.values}\n]"


class LikeArrow:
    """The protocol of a pyarrow Table or RecordBatch: `columns` are the values."""

    def __init__(self, columns, names=None):
        self.columns = [Column(values) for values in columns.values()]
        self.schema = SimpleNamespace(names=list(names or columns))

    def __array__(self, dtype=None, copy=None):
        return np.column_stack([np.asarray(column) for column in self.columns])


class LikePolars:
    """The protocol of a polars DataFrame: `columns` are names, `schema.names` is a method."""

    def __init__(self, columns):
        self.columns, self.parts = list(columns), [Column(values) for values in columns.values()]
        self.schema = SimpleNamespace(names=lambda: self.columns)

    def get_columns(self):
        return self.parts

    def collect_schema(self):
        return self.schema

    def __array__(self, dtype=None, copy=None):
        return np.column_stack([np.asarray(column, dtype=object) for column in self.parts])


class LikeLazy(LikePolars):
    def collect(self):
        raise AssertionError("work that nobody asked for")


def polars(columns):
    return pytest.importorskip("polars").DataFrame(columns, strict=False)


def arrow(columns):
    return pytest.importorskip("pyarrow").table(columns)


def arrow_batch(columns):
    return pytest.importorskip("pyarrow").RecordBatch.from_pydict(columns)


KINDS = [pd.DataFrame, LikeArrow, LikePolars, polars, arrow, arrow_batch]


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_and_names(kind):
    for columns in (
        COLUMNS,
        {"a": [1.0, 3.0, 5.5], "b": [Decimal(2), Decimal(4), Decimal(7)]},
        {"a": [1.0, 3.0, 5.5], "b": [2.0, 4.0, 7.0]},
    ):
        values, names = read_features(kind(columns))
        assert names == ("a", "b")
        assert values.tolist() == VALUES
    assert read_targets(kind({"y": [Decimal("0.5"), Decimal(2), Decimal(3)]}), 3, rm.Squared()).tolist() == [0.5, 2, 3]
    assert read_targets(kind(COLUMNS), 3, rm.Squared()).tolist() == VALUES


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        (["x", "y", "z"], rm.InputTypeError, "X must hold real numbers; .*columns b"),
        ([1.0, None, 2.0], rm.InputError, r"X holds 1 NaN values, the first at \[1, 1\] \(column 'b'\)"),
        ([1, 2**53 + 1, 2], rm.InputError, r"integers beyond 2\^53.*columns b"),
        ([datetime.datetime(2020, 1, d) for d in (1, 2, 3)], rm.InputTypeError, "X must hold real numbers; .*columns b"),
    ],
    ids=["text", "missing", "large", "dates"],
)
def test_a_column_that_holds_anything_else_is_named(kind, column, error, message):
    with pytest.raises(error, match=message):
        read_features(kind({"a": [0.5, 1.5, 2.5], "b": column}))


def test_objects_that_are_numbers_are_read_and_others_refused():
    mixed = np.array([[Decimal("0.5"), Fraction(1, 4)], [np.float32(2), True]], dtype=object)
    assert read_features(mixed)[0].tolist() == [[0.5, 0.25], [2, 1]]
    for value, error in (
        (1j, rm.InputTypeError),
        (Decimal("1e400"), rm.InputError),
        (Decimal("sNaN"), rm.InputError),
        (10**30, rm.InputError),
    ):
        with pytest.raises(error):
            read_features(np.array([[value, 1.0]], dtype=object))


def test_categories_are_not_numbers_even_where_their_labels_are():
    with pytest.raises(rm.InputTypeError, match=r"got dtype category .columns b"):
        read_features(pd.DataFrame({"a": [1.0, 2.0], "b": pd.Categorical([7, 8])}))


@pytest.mark.parametrize("kind", [LikeLazy, lambda columns: polars(columns).lazy()])
def test_a_lazy_table_is_refused_before_it_computes(kind):
    with pytest.raises(rm.InputTypeError, match=r"has no values yet; pass X\.collect\(\)"):
        read_features(kind(COLUMNS))


def test_names_that_occur_twice_are_refused():
    """With `fixed=` only the first of them was fixed."""
    twice = [
        pd.DataFrame(np.eye(2), columns=["a", "a"]),
        pd.DataFrame(np.eye(2), columns=[7, "7"]),
        LikeArrow({"a": [1.0], "b": [2.0]}, names=["a", "a"]),
    ]
    for table in twice:
        with pytest.raises(rm.InputError, match=r"more than one column '.'; names must differ"):
            read_features(table)
    with pytest.raises(rm.InputError, match="2 columns of that name"):
        rm.LInf(0.1, fixed=("a",)).radii(3, ("a", "b", "a"))


def with_row_numbers():
    X = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    frame = pd.DataFrame(X, columns=["a", "b"])
    return pd.read_csv(io.StringIO(frame.to_csv())), np.sign(X[:, 0])


def test_the_row_numbers_of_a_csv_file_are_no_feature():
    frame, y = with_row_numbers()
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge(), rm.WeightDecay(1e-2))
    for table in (frame, frame.rename(columns={"Unnamed: 0": ""}), LikePolars({"": [0, 1], "a": [0.5, 1.5]})):
        with pytest.raises(rm.InputError, match=r"Column 0 of X has no name .*it may be the row numbers"):
            model.compile(table, y, patterns=rm.SamplePatterns(3, seed=0))
    assert read_features(frame.rename(columns={"Unnamed: 0": "age"}))[1] == ("age", "a", "b")


def test_estimators_refuse_row_numbers():
    sk = pytest.importorskip("relumodel.sklearn")
    frame, y = with_row_numbers()
    with pytest.raises(rm.InputError, match="Column 0 of X has no name"):
        sk.ConvexReLUClassifier().fit(frame, y)


@pytest.mark.parametrize("kind", [pd.DataFrame, polars, arrow])
def test_tables_come_by_batches_too(kind):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 2))
    table = kind({"a": X[:, 0].tolist(), "b": X[:, 1].tolist()})
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(1e-2))
    program = model.compile_batches((table, X[:, 0]), patterns=rm.SamplePatterns(3, seed=0), batch_size=16)
    assert program.found.first.names == ("a", "b")
    np.testing.assert_array_equal(program.found.first.X, X)
    assert sum(len(batch.X) for batch in program.source.batches(np.random.default_rng(1))) == 40
