"""The command line: what it prints, what it writes, and its exit codes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import relumodel as rm
from relumodel import cli

MODEL = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(1e-2))
TABLE = "a,b,goal\n0,1,1\n1,0,2\n1,1,-1\n-1,2,0.5\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with model.json and data.csv."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps(MODEL.to_dict()))
    (tmp_path / "data.csv").write_text(TABLE)
    return tmp_path


def solve(*more: str) -> int:
    return cli.main(["solve", "model.json", "data.csv", "--out", "net.npz", *more])


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"relumodel {rm.__version__}\n"


def test_installed_command() -> None:
    answer = subprocess.run([Path(sys.executable).parent / "relumodel", "--version"], capture_output=True, text=True, check=True)
    assert answer.stdout == f"relumodel {rm.__version__}\n"


def test_no_command_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main([])
    assert "COMMAND" in capsys.readouterr().err


class TestBackends:
    def test_lists_what_each_takes(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["backends"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == [info.name for info in rm.backends()]
        assert any(line.startswith("clarabel") and "exponential" in line for line in lines)

    def test_says_why_one_is_missing(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("relumodel.solve.registry._registered", {"absent": Absent()})
        assert cli.main(["backends"]) == 0
        assert "absent      not available: no licence" in capsys.readouterr().out


class TestCheckBackend:
    def test_a_good_one_passes(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["check-backend", "clarabel"]) == 0
        assert re.match(r"backend clarabel: \d+ passed, 0 failed", capsys.readouterr().out)

    def test_a_bad_one_is_reported(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("relumodel.solve.registry._registered", {"lazy": Lazy("solved")})
        assert cli.main(["check-backend", "lazy"]) == 1
        assert "FAILED   soft_threshold" in capsys.readouterr().out

    def test_an_unknown_one_is_an_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["check-backend", "none"]) == 2
        assert "There is no backend 'none'" in capsys.readouterr().err

    def test_an_absent_one_is_an_error(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("relumodel.solve.registry._registered", {"absent": Absent()})
        assert cli.main(["check-backend", "absent"]) == 2
        assert "no licence" in capsys.readouterr().err


class TestSolve:
    def test_writes_the_network_of_the_program(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert solve("--patterns", "5", "--seed", "3") == 0
        network = rm.load("net.npz")
        X, y = np.array([[0, 1], [1, 0], [1, 1], [-1, 2]]), np.array([1, 2, -1, 0.5])
        expected = MODEL.compile(X, y, patterns=rm.SamplePatterns(5, seed=3)).solve()
        assert np.isclose(network.objective(MODEL, X, y), expected.objective)
        assert network.feature_names == ("a", "b")
        report = capsys.readouterr().out
        for part in ("problem", "5 sampled (seed 3)", "guarantee", "objective", "bound", "gap", "neurons", "net.npz"):
            assert part in report

    def test_enumerates(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert solve("--enumerate") == 0
        assert "exact: " in capsys.readouterr().out

    def test_patterns_may_follow_the_training(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert solve("--adaptive", "1e-3", "--seed", "1", "--verbose") == 0
        shown = capsys.readouterr()
        assert "round  1" in shown.err
        for part in ("problem", "adaptive", "rounds", "bound", "net.npz"):
            assert part in shown.out
        X, y = np.array([[0, 1], [1, 0], [1, 1], [-1, 2]]), np.array([1, 2, -1, 0.5])
        best = MODEL.compile(X, y, patterns=rm.EnumeratePatterns()).solve()
        assert best.bound <= rm.load("net.npz").objective(MODEL, X, y) <= best.objective * (1 + 1e-3)

    @pytest.mark.parametrize(("command", "out"), [("solve", "net.npz"), ("export", "p.cbf")])
    def test_a_polynomial_model_has_no_patterns(
        self, folder: Path, capsys: pytest.CaptureFixture[str], command: str, out: str
    ) -> None:
        model = rm.Model(rm.TwoLayer(rm.Polynomial(), bias=True), rm.Squared(), rm.WeightDecay(1e-2))
        (folder / "model.json").write_text(json.dumps(model.to_dict()))
        assert cli.main([command, "model.json", "data.csv", "--out", out]) == 0
        assert Path(out).exists()
        assert cli.main([command, "model.json", "data.csv", "--out", out, "--patterns", "3"]) == 2
        assert "leave patterns out" in capsys.readouterr().err

    def test_target_may_be_any_column(self, folder: Path) -> None:
        assert solve("--enumerate", "--target", "a") == 0
        assert rm.load("net.npz").feature_names == ("b", "goal")

    def test_too_few_iterations_still_write_but_exit_1(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("relumodel.solve.registry._registered", {"lazy": Lazy("iteration limit")})
        assert solve("--enumerate", "--backend", "lazy") == 1
        assert rm.load("net.npz").n_neurons == 0

    def test_ctrl_c_writes_the_best_so_far_and_exits_130(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("relumodel.solve.registry._registered", {"slow": Lazy(signal.SIGINT)})
        assert solve("--enumerate", "--backend", "slow") == 130
        assert rm.load("net.npz").n_neurons > 0  # the best output weights on its patterns' neurons

    def test_time_limit_reaches_the_backend(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        lazy = Lazy("time limit")
        monkeypatch.setattr("relumodel.solve.registry._registered", {"lazy": lazy})
        assert solve("--enumerate", "--backend", "lazy", "--time-limit", "7", "--tol", "1e-3") == 1
        assert (lazy.asked.time_limit, lazy.asked.tol) == (7.0, 1e-3)

    def test_verbose_shows_progress(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert solve("--enumerate", "--verbose", "--time-limit", "100") == 0
        assert re.match(r"\d+\.\d s \(\d+ s left\), iteration ", capsys.readouterr().err)
        assert solve("--enumerate") == 0
        assert capsys.readouterr().err == ""


class TestFiles:
    def test_the_route_through_another_solver(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["export", "model.json", "data.csv", "--out", "p.cbf", "--patterns", "5", "--seed", "3"]) == 0
        assert "p.cbf, and beside it the .json file" in capsys.readouterr().out
        program = rm.load_program("p.json")
        assert program.patterns is not None
        assert program.patterns.shape[1] == 5
        solution = program.solve(backend="clarabel")
        Path("p.sol").write_text("".join(f"{value!r}\n" for value in solution.point.tolist()))
        assert cli.main(["import", "p.json", "p.sol", "--out", "net.npz", "--tol", "1e-3"]) == 0
        report = capsys.readouterr().out
        for part in (
            "problem",
            "5 sampled (seed 3)",
            "read from a file (plain, one value a line)",
            "objective",
            "bound",
            "neurons",
            "net.npz",
        ):
            assert part in report
        network = rm.load("net.npz")
        X, y = np.array([[0, 1], [1, 0], [1, 1], [-1, 2]]), np.array([1, 2, -1, 0.5])
        assert np.isclose(network.objective(MODEL, X, y), solution.objective)
        assert network.feature_names == ("a", "b")

    def test_a_solution_without_multipliers_is_proved(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        samples = Path(__file__).parent / "conic" / "solutions"
        code = cli.main(["import", str(samples / "lp.json"), str(samples / "lp.scip"), "--out", "net.npz", "--time-limit", "60"])
        assert code == 0
        assert "read from a file (SCIP)" in capsys.readouterr().out

    def test_a_point_far_off_is_saved_but_exits_1(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["export", "model.json", "data.csv", "--out", "p.mps", "--enumerate", "--cones", "csection"]) == 0
        assert "CSECTION" in Path("p.mps").read_text()
        Path("p.sol").write_text("1.0\n" * rm.load_program("p.json").n_variables)
        assert cli.main(["import", "p.json", "p.sol", "--out", "net.npz"]) == 1
        assert "tolerance not reached" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["export", "model.json", "data.csv", "--out", "p.lp"], "must end in .cbf"),
            (["export", "model.json", "data.csv", "--out", "missing/p.cbf"], "missing/p.cbf cannot be written"),
            (["export", "nothing.json", "data.csv", "--out", "p.cbf"], "nothing.json cannot be read"),
            (["import", "nothing.json", "p.sol", "--out", "net.npz"], "There is no file nothing.json"),
            (["import", "model.json", "p.sol", "--out", "net.npz"], "model.json is not the JSON file of an exported program"),
            (["import", "p.json", "p.sol", "--out", "missing/net.npz"], "missing/net.npz cannot be written"),
        ],
    )
    def test_trouble_is_one_line(
        self, folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
    ) -> None:
        assert cli.main(arguments) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
        assert sorted(path.name for path in folder.iterdir()) == ["data.csv", "model.json"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "data.csv is empty"),
        ("1,2\n3,4\n", "data.csv, line 1: numbers where column names are expected"),
        ("a,b\n", "data.csv has a header and no samples"),
        ("a;b\n1;2\n", "data.csv, line 1: one column only; .* separated by commas"),
        ("a,a,b\n1,2,3\n", "data.csv, line 1: the table has more than one column 'a'"),
        (",a,b\n0,2,3\n", r"data.csv, line 1: Column 0 of the table has no name \(''\); it may be the row numbers"),
        ("a,b\n1,2\n1\n", "data.csv, line 3: 1 values where the header has 2 columns"),
        ("a,b\n1,2\n\n1,x\n", "data.csv, line 4, column 'b': 'x' where a finite number is needed"),
        ("a,b\n,2\n", "data.csv, line 2, column 'a': an empty cell"),
        ("a,b\nnan,2\n", "data.csv, line 2, column 'a': 'nan' where"),
        ("a,b\n1_0,2\n", "data.csv, line 2, column 'a': '1_0' where"),
        ('a,b\n"1,2\n', "data.csv, line 2: unexpected end of data"),
    ],
)
def test_a_bad_table_is_refused(folder: Path, capsys: pytest.CaptureFixture[str], table: str, message: str) -> None:
    (folder / "data.csv").write_text(table)
    refuses(capsys, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{\n  oops", "model.json, line 2, column 3: not JSON"),
        ("[]", "model.json does not declare a model: from_dict needs a dictionary"),
        ('{"type": "Nonsense"}', "model.json does not declare a model: Unknown type 'Nonsense'"),
        ('{"type": "Model"}', "model.json does not declare a model: Model needs the field 'network'"),
        ('{"type": "Hinge"}', "model.json does not declare a model: Unknown type 'Hinge' for Model"),
    ],
)
def test_a_bad_model_is_refused(folder: Path, capsys: pytest.CaptureFixture[str], text: str, message: str) -> None:
    (folder / "model.json").write_text(text)
    refuses(capsys, message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "c"], "data.csv has no column 'c' for --target; its columns are a, b, goal"),
        (["--patterns", "5", "--backend", "none"], "There is no backend 'none'"),
        (["--patterns", "0"], "count must be a whole number >= 1"),
        (["--patterns", "5", "--tol", "0"], "tol must be a finite number > 0"),
        (["--adaptive", "0"], "gap must be a finite number > 0"),
        (["--patterns", "9999"], "SamplePatterns was asked for 9,999 patterns"),
        (["--enumerate", "--seed", "1"], "--seed belongs to --patterns"),
        (["--out", "missing/net.npz"], "missing/net.npz cannot be written"),
        (["--out", "."], "cannot be written"),
    ],
)
def test_bad_arguments_are_refused(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    refuses(capsys, message, *arguments)


def test_missing_and_binary_files_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "data.csv").write_bytes(b"\xff\xfe\x00")
    refuses(capsys, "data.csv is not UTF-8 text")
    (folder / "data.csv").unlink()
    refuses(capsys, "data.csv cannot be read: No such file")


def refuses(capsys: pytest.CaptureFixture[str], message: str, *arguments: str) -> None:
    """Exit code 2, one line that matches on stderr, nothing written."""
    assert solve(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("relumodel: ")
    assert error.count("\n") == 1
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(error)
    assert not Path("net.npz").exists()


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m relumodel.cli backends | true; exit ${{PIPESTATUS[0]}}"
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert answer.stderr == ""


def test_ctrl_c_elsewhere_exits_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> list[Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(rm, "backends", interrupted)
    assert cli.main(["backends"]) == 130
    assert capsys.readouterr().err == "relumodel: interrupted\n"


class Lazy:
    """A backend that returns zeros with a given status, or is interrupted at work."""

    name = "lazy"
    accepts = rm.Program
    supports: ClassVar[set[str]] = {"zero", "nonnegative", "second-order", "exponential", "quadratic"}
    asked: rm.Options

    def __init__(self, end: str | signal.Signals) -> None:
        self.end = end

    def solve(self, problem: rm.Program, options: rm.Options) -> rm.RawSolution:
        self.asked = options
        if isinstance(self.end, str):
            return rm.RawSolution(self.end, np.zeros(problem.n_variables))
        with options.catching_interrupt():
            signal.raise_signal(self.end)
        assert options.report(1)
        return rm.RawSolution(options.stopped or "failed", np.zeros(problem.n_variables))


class Absent(Lazy):
    name = "absent"

    def __init__(self) -> None:
        super().__init__("failed")

    def unavailable(self) -> str:
        return "no licence"
