"""Tables of pandas, polars and pyarrow, a column at a time: every column has a name of its own and holds numbers, or an error names it.

None of these packages is imported; their objects are known by what they offer.
"""

from __future__ import annotations

import numbers
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError, InputTypeError

#: What pandas calls the column of a CSV file that has no name there, such as the row numbers that its `to_csv` writes.
NAMELESS = re.compile(r"(Unnamed: \d+)?")

#: Values that stand for a missing one, by the name of their type: pandas' NA and NaT.
MISSING = {"NoneType", "NAType", "NaTType"}

#: Whole numbers up to here are float64 numbers.
WHOLE = 2**53


def columns_of(values: Any, name: str) -> tuple[tuple[str, ...], Iterable[Any]] | None:
    """Names and columns of a table (a pandas or polars DataFrame, a pyarrow Table or RecordBatch), or None for anything else. name : of
    the argument, for errors."""
    if hasattr(values, "collect") and hasattr(values, "collect_schema"):
        raise InputTypeError(f"{name} is a {type(values).__name__}, which has no values yet; pass {name}.collect().")
    schema = getattr(getattr(values, "schema", None), "names", None)
    if isinstance(schema, list | tuple) and isinstance(getattr(values, "columns", None), list | tuple):  # pyarrow
        return tuple(map(str, schema)), values.columns
    if hasattr(values, "get_columns"):  # polars
        return tuple(map(str, values.columns)), values.get_columns()
    if hasattr(values, "iloc") and hasattr(values, "columns"):  # pandas
        return tuple(map(str, values.columns)), (values.iloc[:, i] for i in range(len(values.columns)))
    return None


def names_of(values: Any, name: str) -> tuple[str, ...] | None:
    """The column names of a table, or of anything with `columns`; None where there are none."""
    found = columns_of(values, name)
    if found is not None:
        return found[0]
    return tuple(map(str, values.columns)) if isinstance(getattr(values, "columns", None), Iterable) else None


def refuse_names(names: Iterable[str], name: str) -> None:
    """An error where a column has no name, or the name of another."""
    seen: set[str] = set()
    for at, column in enumerate(names):
        if NAMELESS.fullmatch(column):
            raise InputError(
                f"Column {at} of {name} has no name ({column!r}); it may be the row numbers that pandas' to_csv writes. Leave it out "
                "(index_col=0 in pandas.read_csv), or give it a name if it is a feature."
            )
        if column in seen:
            raise InputError(f"{name} has more than one column {column!r}; names must differ, as text. Rename or drop one.")
        seen.add(column)


def of_floats(values: Any) -> bool:
    """Whether every column of a pandas frame holds floats as NumPy does, so that it is one array already."""
    return hasattr(values, "iloc") and all(getattr(kind, "kind", "O") == "f" for kind in np.atleast_1d(values.dtypes))


def stacked(names: tuple[str, ...], columns: Iterable[Any], name: str) -> NDArray[Any]:
    """The columns beside each other, (n, d)."""
    if not names:
        return np.zeros((0, 0))
    return np.column_stack([as_numbers(column, name, f" (columns {which})") for which, column in zip(names, columns, strict=True)])


def as_numbers(values: Any, name: str, which: str = "") -> NDArray[Any]:
    """One array of real numbers that float64 can hold, as NumPy has them; missing values become NaN. which : more about it, for errors."""
    kind = getattr(values, "dtype", None)
    raw = np.asarray(values)
    if str(kind) == "category" or raw.dtype.kind not in "fiubO":
        shown = kind if str(kind) == "category" else raw.dtype
        raise InputTypeError(f"{name} must hold real numbers; got dtype {shown}{which}. Encode categories as numbers first.")
    if raw.dtype.kind == "O":
        raw = np.array([_number(value, name, which) for value in raw.reshape(-1)], dtype=np.float64).reshape(raw.shape)
    elif raw.dtype.kind in "iu" and raw.size and max(int(raw.max()), -int(raw.min())) > WHOLE:
        raise InputError(f"{name} holds integers beyond 2^53, which float64 cannot represent{which}; rescale them.")
    return raw


def _number(value: Any, name: str, which: str) -> float:
    """An object (Python's numbers, Decimal, Fraction, a missing value) as a number."""
    if type(value).__name__ in MISSING:
        return np.nan
    if not isinstance(value, numbers.Real | Decimal | np.bool_):
        shown = f" with {value!r}" if isinstance(value, str | bytes) else ""
        raise InputTypeError(f"{name} must hold real numbers; got dtype object{shown}{which}. Encode categories as numbers first.")
    if isinstance(value, numbers.Integral) and abs(int(value)) > WHOLE:
        raise InputError(f"{name} holds integers beyond 2^53, which float64 cannot represent{which}; rescale them.")
    try:
        return float(value)
    except OverflowError:
        return np.inf
    except ValueError:  # Decimal's signalling NaN
        return np.nan
