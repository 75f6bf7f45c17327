"""The command line: `relumodel demo | backends | check-backend | solve | export | import`.

Exit codes: 0 done (and the gap reached), 1 the gap was not reached or a check failed, 2 an error, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import relumodel as rm

from .fit.result import Fit
from .formats.export import file_kind
from .resources.progress import progress_line
from .training_files import Table, read_model, read_table

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

    demo = commands.add_parser("demo", help="train a network on scikit-learn's breast-cancer data, and bound every other one")
    demo.add_argument("--gap", type=float, default=1e-2, help="relative gap to the best network to reach (default 0.01)")
    demo.add_argument("--seed", type=int, default=0, help="seed of all that is random (default 0)")
    demo.add_argument("--beta", type=float, default=5.0, help="strength of the weight decay (default 5)")
    _add_backend(demo)
    demo.set_defaults(run=_demo)

    backends = commands.add_parser("backends", help="list the solvers, what they take, and what is missing")
    backends.set_defaults(run=_backends)

    check = commands.add_parser("check-backend", help="run the conformance checks on a solver")
    check.add_argument("name", metavar="NAME", help="one of those that `relumodel backends` lists")
    check.set_defaults(run=_check_backend)

    solve = commands.add_parser("solve", help="train a declared model on a CSV file and save the network")
    source = _add_training(solve)
    source.add_argument(
        "--adaptive",
        type=float,
        metavar="GAP",
        help="let patterns follow the training until no other network is better by more than GAP",
    )
    solve.add_argument("--out", type=Path, required=True, metavar="NET.npz", help="where to save the network")
    _add_backend(solve)
    _add_tol(solve)
    solve.add_argument("--time-limit", type=float, metavar="SECONDS", help="stop the solver after this time")
    solve.add_argument(
        "--verbose", action="store_true", help="show progress: iteration, objective, bound, gap, violation, time left"
    )
    solve.set_defaults(run=_solve)

    export = commands.add_parser("export", help="write the program of a declared model on a CSV file for another solver")
    _add_training(export)
    export.add_argument(
        "--out", type=Path, required=True, metavar="P.cbf", help="P.cbf or P.mps, or either with .gz; beside it P.json"
    )
    export.add_argument("--cones", choices=("qcmatrix", "csection"), default="qcmatrix", help="second-order cones in MPS")
    export.add_argument("--verbose", action="store_true", help="show progress")
    export.set_defaults(run=_export)

    into = commands.add_parser("import", help="make a network of the solution that another solver found for an exported program")
    into.add_argument("program", type=Path, metavar="P.json", help="the file that export wrote beside the program")
    into.add_argument("solution", type=Path, metavar="P.sol", help="the solver's solution file")
    into.add_argument("--out", type=Path, required=True, metavar="NET.npz", help="where to save the network")
    _add_tol(into)
    into.add_argument(
        "--time-limit", type=float, metavar="SECONDS", help="for computing multipliers where those of the file leave a gap"
    )
    into.set_defaults(run=_import)
    return top


def _add_training(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """Model, data and patterns; returns the group of the patterns' sources."""
    parser.add_argument("model", type=Path, metavar="MODEL.json", help="a model as Model.to_dict() gives it")
    parser.add_argument("data", type=Path, metavar="DATA.csv", help="a header, then one sample a line, numbers only")
    parser.add_argument("--target", metavar="COLUMN", help="the column to learn (default: the last one)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--patterns", type=int, metavar="COUNT", help="patterns to sample (default 50)")
    source.add_argument("--enumerate", action="store_true", help="use all patterns: exact, for data of low rank")
    parser.add_argument("--seed", type=int, help="seed of all that is random (default 0)")
    return source


def _add_backend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--backend", default="auto", metavar="NAME", help="the solver (default auto)")


def _add_tol(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tol", type=float, help="relative gap of a program to reach (default 1e-6)")


def _demo(arguments: argparse.Namespace) -> int:
    from . import demo

    found = demo.run(gap=arguments.gap, seed=arguments.seed, beta=arguments.beta, backend=arguments.backend, say=_say)
    print(f"\n{found}", flush=True)
    return _code(found.fit.status)


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
    if arguments.adaptive is not None:
        return _fit(arguments)
    program = _compiled(arguments)
    print(program, flush=True)
    with progress_line(arguments.verbose) as line:
        solution = program.solve(arguments.backend, tol=_tol(arguments), time_limit=arguments.time_limit, callback=line)
    return _saved(solution, arguments.out)


def _fit(arguments: argparse.Namespace) -> int:
    patterns = rm.AdaptivePatterns(gap=arguments.adaptive, seed=arguments.seed or 0)
    model, X, y = _read(arguments)
    fit = model.fit(
        X,
        y,
        patterns=patterns,
        backend=arguments.backend,
        tol=arguments.tol,
        time_limit=arguments.time_limit,
        verbose=arguments.verbose,
    )
    print(fit.program, flush=True)
    return _saved(fit, arguments.out)


def _export(arguments: argparse.Namespace) -> int:
    file_kind(arguments.out)
    program = _compiled(arguments)
    print(program, flush=True)
    path = program.write(arguments.out, cones=arguments.cones, verbose=arguments.verbose)
    print(f"{'saved':<10}  {path}, and beside it the .json file for `relumodel import`")
    return DONE


def _import(arguments: argparse.Namespace) -> int:
    _check_writable(arguments.out)
    program = rm.load_program(arguments.program)
    print(program, flush=True)
    return _saved(program.read_solution(arguments.solution, tol=_tol(arguments), time_limit=arguments.time_limit), arguments.out)


def _compiled(arguments: argparse.Namespace) -> rm.Program:
    """The program of the model on the table."""
    patterns: rm.EnumeratePatterns | rm.SamplePatterns | None = _patterns(arguments)
    model, X, y = _read(arguments)
    chosen = arguments.enumerate or arguments.patterns is not None
    if not chosen and getattr(getattr(model.network, "activation", None), "unit_neurons", False):
        patterns = None  # polynomial networks have none
    return model.compile(X, y, patterns=patterns)


def _read(arguments: argparse.Namespace) -> tuple[rm.Model, Table, NDArray[np.float64]]:
    """The model, the features and the targets."""
    _check_writable(arguments.out)
    return read_model(arguments.model), *read_table(arguments.data, arguments.target)


def _saved(found: rm.Solution | Fit, path: Path) -> int:
    """Report a solution and save its network."""
    network = found.network if isinstance(found, Fit) else found.network()
    network.save(path)
    print(f"{found}\n{'neurons':<10}  {network.n_neurons}\n{'saved':<10}  {path}")
    return _code(found.status)


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


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _tol(arguments: argparse.Namespace) -> float:
    return 1e-6 if arguments.tol is None else arguments.tol


def _code(status: str) -> int:
    if status == "interrupted":
        return INTERRUPTED
    return DONE if status == "optimal" else NOT_REACHED


if __name__ == "__main__":
    sys.exit(main())
