"""What the command line trains on: a model as JSON, a table as CSV. Errors name the line and the column."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .api import Model
from .errors import FileError, InputError, RelumodelError
from .files import parse_json, read_text
from .frames import refuse_names


def read_model(path: Path) -> Model:
    """A model from the JSON of its `to_dict`."""
    path, text = read_text(path, "model")
    try:
        return Model.from_dict(parse_json(text))
    except json.JSONDecodeError as error:
        raise FileError(f"{path}, line {error.lineno}, column {error.colno}: not JSON ({error.msg}).") from error
    except RelumodelError as error:
        raise FileError(f"{path} does not declare a model: {error}") from error
    except ValueError as error:
        raise FileError(f"{path} is not JSON that can be read: {error}.") from error


@dataclass(frozen=True, eq=False)
class Table:
    """Feature columns with their names, as `Model.compile` takes them."""

    columns: tuple[str, ...]
    values: NDArray[np.float64]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)


def read_table(path: Path, target: str | None) -> tuple[Table, NDArray[np.float64]]:
    """Features and targets of a CSV file: a header, then numbers only. Errors name the line and the column."""
    path, text = read_text(path, "table")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = (cells for cells in reader if cells)
        header = [name.strip() for name in next(lines, [])]
        chosen = _target_column(path, header, target)
        values = np.array([_numbers(path, reader.line_num, header, cells) for cells in lines])
    except csv.Error as error:
        raise FileError(f"{path}, line {reader.line_num}: {error}.") from error
    if not len(values):
        raise FileError(f"{path} has a header and no samples below it.")
    features = tuple(name for i, name in enumerate(header) if i != chosen)
    return Table(features, np.delete(values, chosen, axis=1)), values[:, chosen]


def _target_column(path: Path, header: list[str], target: str | None) -> int:
    """The index of the target; the header is checked on the way."""
    if not header:
        raise FileError(f"{path} is empty; it must start with a line of column names.")
    if all(_is_number(name) for name in header):
        raise FileError(f"{path}, line 1: numbers where column names are expected; add a header.")
    if len(header) < 2:
        hint = " Columns are separated by commas." if any(mark in header[0] for mark in ";\t") else ""
        raise FileError(f"{path}, line 1: one column only; a feature and a target are the least.{hint}")
    try:
        refuse_names(header, "the table")
    except InputError as error:
        raise FileError(f"{path}, line 1: {error}") from None
    if target is None:
        return len(header) - 1
    if target not in header:
        raise InputError(f"{path} has no column {target!r} for --target; its columns are {', '.join(header)}.")
    return header.index(target)


def _numbers(path: Path, line: int, header: list[str], cells: list[str]) -> list[float]:
    """One line as finite numbers."""
    if len(cells) != len(header):
        raise FileError(f"{path}, line {line}: {len(cells)} values where the header has {len(header)} columns.")
    for name, cell in zip(header, cells, strict=True):
        if not _is_number(cell):
            given = repr(cell) if cell.strip() else "an empty cell"
            raise FileError(f"{path}, line {line}, column {name!r}: {given} where a finite number is needed.")
    return [float(cell) for cell in cells]


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell)) and "_" not in cell
    except ValueError:
        return False
