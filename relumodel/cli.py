"""The command line: `relumodel demo | backends | check-backend | solve`.

Exit codes: 0 done (and the gap reached), 1 the gap was not reached or a check failed, 2 an error, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import relumodel as rm

DONE, NOT_REACHED, ERROR, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. Errors of relumodel are one line on stderr, never a traceback."""
    arguments = parser().parse_args(argv)
    try:
        code = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except rm.RelumodelError as error:
        print(f"relumodel: {error}", file=sys.stderr)
        return ERROR
    except KeyboardInterrupt:
        print("relumodel: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader left, as in `relumodel backends | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


def parser() -> argparse.ArgumentParser:
    """The command line that is understood."""
    top = argparse.ArgumentParser(
        prog="relumodel", description="Globally optimal training of small ReLU networks, with certificates."
    )
    top.add_argument("--version", action="version", version=f"relumodel {rm.__version__}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="train a network on scikit-learn's breast-cancer data to a certified gap")
    demo.add_argument("--patterns", type=int, default=50, metavar="COUNT", help="patterns to sample (default 50)")
    demo.add_argument("--seed", type=int, default=0, help="seed of the sampling (default 0)")
    demo.add_argument("--beta", type=float, default=5.0, help="strength of the weight decay (default 5)")
    _add_solver(demo, "auto")
    demo.set_defaults(run=_demo)

    backends = commands.add_parser("backends", help="list the solvers, what they take, and what is missing")
    backends.set_defaults(run=_backends)

    check = commands.add_parser("check-backend", help="run the conformance checks on a solver")
    check.add_argument("name", metavar="NAME", help="one of those that `relumodel backends` lists")
    check.set_defaults(run=_check_backend)

    solve = commands.add_parser("solve", help="train a declared model on a CSV file and save the network")
    solve.add_argument("model", type=Path, metavar="MODEL.json", help="a model as Model.to_dict() gives it")
    solve.add_argument("data", type=Path, metavar="DATA.csv", help="a header, then one sample a line, numbers only")
    solve.add_argument("--out", type=Path, required=True, metavar="NET.npz", help="where to save the network")
    solve.add_argument("--target", metavar="COLUMN", help="the column to learn (default: the last one)")
    source = solve.add_mutually_exclusive_group()
    source.add_argument("--patterns", type=int, metavar="COUNT", help="patterns to sample (default 50)")
    source.add_argument("--enumerate", action="store_true", help="use all patterns: exact, for data of low rank")
    solve.add_argument("--seed", type=int, help="seed of the sampling (default 0)")
    _add_solver(solve, "auto")
    solve.add_argument("--time-limit", type=float, metavar="SECONDS", help="stop the solver after this time")
    solve.set_defaults(run=_solve)
    return top


def _add_solver(parser: argparse.ArgumentParser, backend: str) -> None:
    parser.add_argument("--backend", default=backend, metavar="NAME", help=f"the solver (default {backend})")
    parser.add_argument("--tol", type=float, default=1e-6, help="relative gap to reach (default 1e-6)")


def _demo(arguments: argparse.Namespace) -> int:
    from . import demo

    with demo.ProgressLine() as progress:
        found = demo.run(
            patterns=arguments.patterns,
            seed=arguments.seed,
            beta=arguments.beta,
            backend=arguments.backend,
            tol=arguments.tol,
            say=_say,
            callback=progress,
        )
    print(f"\n{found}", flush=True)
    return _code(found.solution)


def _backends(arguments: argparse.Namespace) -> int:
    for info in rm.backends():
        what = f"{info.accepts:<9}  {', '.join(info.supports)}" if info.available else f"not available: {info.reason}"
        print(f"{info.name:<10}  {what}")
    return DONE


def _check_backend(arguments: argparse.Namespace) -> int:
    from .testing import check_backend

    report = check_backend(arguments.name, raise_on_failure=False)
    print(report)
    return DONE if report.ok else NOT_REACHED


def _solve(arguments: argparse.Namespace) -> int:
    patterns = _patterns(arguments)
    _check_writable(arguments.out)
    model = _read_model(arguments.model)
    X, y = _read_table(arguments.data, arguments.target)
    program = model.compile(X, y, patterns=patterns)
    print(program, flush=True)
    solution = program.solve(arguments.backend, tol=arguments.tol, time_limit=arguments.time_limit)
    network = solution.network()
    network.save(arguments.out)
    print(f"{solution}\n{'neurons':<10}  {network.n_neurons}\n{'saved':<10}  {arguments.out}")
    return _code(solution)


def _patterns(arguments: argparse.Namespace) -> rm.EnumeratePatterns | rm.SamplePatterns:
    if not arguments.enumerate:
        count = 50 if arguments.patterns is None else arguments.patterns
        return rm.SamplePatterns(count, seed=arguments.seed or 0)
    if arguments.seed is not None:
        raise rm.InputError("--seed belongs to --patterns; --enumerate uses all patterns and has no seed.")
    return rm.EnumeratePatterns()


def _check_writable(path: Path) -> None:
    """Before the work, not after it."""
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise rm.FileError(f"{path} cannot be written. Check that it names a file in a folder that exists and is writable.")


def _read_model(path: Path) -> rm.Model:
    """A model from the JSON of its `to_dict`."""
    try:
        return rm.Model.from_dict(json.loads(_read_text(path)))
    except json.JSONDecodeError as error:
        raise rm.FileError(f"{path}, line {error.lineno}, column {error.colno}: not JSON ({error.msg}).") from error
    except rm.RelumodelError as error:
        raise rm.FileError(f"{path} does not declare a model: {error}") from error


@dataclass(frozen=True, eq=False)
class Table:
    """Feature columns with their names, as `Model.compile` takes them."""

    columns: tuple[str, ...]
    values: NDArray[np.float64]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)


def _read_table(path: Path, target: str | None) -> tuple[Table, NDArray[np.float64]]:
    """Features and targets of a CSV file: a header, then numbers only. Errors name the line and the column."""
    reader = csv.reader(io.StringIO(_read_text(path), newline=""), strict=True)
    try:
        lines = (cells for cells in reader if cells)
        header = [name.strip() for name in next(lines, [])]
        chosen = _target_column(path, header, target)
        values = np.array([_numbers(path, reader.line_num, header, cells) for cells in lines])
    except csv.Error as error:
        raise rm.FileError(f"{path}, line {reader.line_num}: {error}.") from error
    if not len(values):
        raise rm.FileError(f"{path} has a header and no samples below it.")
    features = tuple(name for i, name in enumerate(header) if i != chosen)
    return Table(features, np.delete(values, chosen, axis=1)), values[:, chosen]


def _target_column(path: Path, header: list[str], target: str | None) -> int:
    """The index of the target; the header is checked on the way."""
    if not header:
        raise rm.FileError(f"{path} is empty; it must start with a line of column names.")
    if all(_is_number(name) for name in header):
        raise rm.FileError(f"{path}, line 1: numbers where column names are expected; add a header.")
    if len(header) < 2:
        hint = " Columns are separated by commas." if any(mark in header[0] for mark in ";\t") else ""
        raise rm.FileError(f"{path}, line 1: one column only; a feature and a target are the least.{hint}")
    repeated = [name for name in header if header.count(name) > 1]
    if repeated:
        raise rm.FileError(f"{path}, line 1: the column name {repeated[0]!r} occurs more than once.")
    if target is None:
        return len(header) - 1
    if target not in header:
        raise rm.InputError(f"{path} has no column {target!r} for --target; its columns are {', '.join(header)}.")
    return header.index(target)


def _numbers(path: Path, line: int, header: list[str], cells: list[str]) -> list[float]:
    """One line as finite numbers."""
    if len(cells) != len(header):
        raise rm.FileError(f"{path}, line {line}: {len(cells)} values where the header has {len(header)} columns.")
    for name, cell in zip(header, cells, strict=True):
        if not _is_number(cell):
            given = repr(cell) if cell.strip() else "an empty cell"
            raise rm.FileError(f"{path}, line {line}, column {name!r}: {given} where a finite number is needed.")
    return [float(cell) for cell in cells]


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell)) and "_" not in cell
    except ValueError:
        return False


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise rm.FileError(f"{path} is not UTF-8 text.") from error
    except OSError as error:
        raise rm.FileError(f"{path} cannot be read: {error.strerror or error}.") from error


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _code(solution: rm.Solution) -> int:
    if solution.status == "interrupted":
        return INTERRUPTED
    return DONE if solution.status == "optimal" else NOT_REACHED


if __name__ == "__main__":
    sys.exit(main())
