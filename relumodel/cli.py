"""The command line: `relumodel demo | backends | check-backend | solve | export | import`.

Exit codes: 0 done (and the gap reached), 1 the gap was not reached or a check failed, 2 an error, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import relumodel as rm

from .conic.export import file_kind
from .progress import progress_line
from .training_files import read_model, read_table

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
    _add_training(solve)
    solve.add_argument("--out", type=Path, required=True, metavar="NET.npz", help="where to save the network")
    _add_solver(solve, "auto")
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
    into.set_defaults(run=_import)
    return top


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL.json", help="a model as Model.to_dict() gives it")
    parser.add_argument("data", type=Path, metavar="DATA.csv", help="a header, then one sample a line, numbers only")
    parser.add_argument("--target", metavar="COLUMN", help="the column to learn (default: the last one)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--patterns", type=int, metavar="COUNT", help="patterns to sample (default 50)")
    source.add_argument("--enumerate", action="store_true", help="use all patterns: exact, for data of low rank")
    parser.add_argument("--seed", type=int, help="seed of the sampling (default 0)")


def _add_solver(parser: argparse.ArgumentParser, backend: str) -> None:
    parser.add_argument("--backend", default=backend, metavar="NAME", help=f"the solver (default {backend})")
    _add_tol(parser)


def _add_tol(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tol", type=float, default=1e-6, help="relative gap to reach (default 1e-6)")


def _demo(arguments: argparse.Namespace) -> int:
    from . import demo

    with progress_line(sys.stderr.isatty()) as line:
        found = demo.run(
            patterns=arguments.patterns,
            seed=arguments.seed,
            beta=arguments.beta,
            backend=arguments.backend,
            tol=arguments.tol,
            say=_say,
            callback=line,
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
    program = _compiled(arguments)
    print(program, flush=True)
    with progress_line(arguments.verbose) as line:
        solution = program.solve(arguments.backend, tol=arguments.tol, time_limit=arguments.time_limit, callback=line)
    return _saved(solution, arguments.out)


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
    return _saved(program.read_solution(arguments.solution, tol=arguments.tol), arguments.out)


def _compiled(arguments: argparse.Namespace) -> rm.Program:
    """The program of the model on the table."""
    patterns = _patterns(arguments)
    _check_writable(arguments.out)
    model = read_model(arguments.model)
    X, y = read_table(arguments.data, arguments.target)
    return model.compile(X, y, patterns=patterns)


def _saved(solution: rm.Solution, path: Path) -> int:
    """Report a solution and save its network."""
    network = solution.network()
    network.save(path)
    print(f"{solution}\n{'neurons':<10}  {network.n_neurons}\n{'saved':<10}  {path}")
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


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _code(solution: rm.Solution) -> int:
    if solution.status == "interrupted":
        return INTERRUPTED
    return DONE if solution.status == "optimal" else NOT_REACHED


if __name__ == "__main__":
    sys.exit(main())
