"""The main job: breast-cancer data, trained to a certified gap."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import relumodel as rm
from relumodel import cli, demo

README = Path(__file__).parent.parent / "README.md"


def fields(report: str) -> dict[str, str]:
    """The labelled lines of a report."""
    return dict(re.findall(r"^(\w+) {2,}(.+)$", report, re.MULTILINE))


@pytest.fixture(scope="module")
def found() -> demo.Demo:
    return demo.run()


def test_reaches_a_certified_gap(found: demo.Demo) -> None:
    solution = found.solution
    assert solution.status == "optimal"
    assert 0 <= solution.gap <= 1e-6
    assert solution.violation == 0
    assert solution.bound <= solution.objective


def test_the_network_has_the_objective_of_the_program(found: demo.Demo) -> None:
    data, model = demo.breast_cancer(), found.program.model
    assert np.isclose(found.network.objective(model, data.X, data.y), found.solution.objective, rtol=1e-12)


def test_the_report_is_the_one_in_the_readme(found: demo.Demo) -> None:
    shown, measured = fields(README.read_text()), fields(str(found))
    for label in ("problem", "data", "patterns", "size", "guarantee", "source", "status", "neurons", "accuracy"):
        assert shown[label] == measured[label]
    for label in ("objective", "bound"):
        assert float(shown[label]) == pytest.approx(float(measured[label]), rel=1e-6)


def test_the_split_is_stratified_and_standardised_on_the_training_part() -> None:
    data = demo.breast_cancer()
    assert (data.X.shape, data.X_test.shape) == ((426, 30), (143, 30))
    assert np.allclose(data.X.mean(axis=0), 0)
    assert np.allclose(data.X.std(axis=0), 1)
    assert abs((data.y > 0).mean() - (data.y_test > 0).mean()) < 0.01


def test_options_reach_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["demo", "--patterns", "2", "--seed", "7", "--beta", "20", "--backend", "clarabel", "--tol", "1e-4"])
    shown = capsys.readouterr()
    report = fields(shown.out)
    assert code == 0
    assert report["patterns"] == "2 sampled (seed 7)"
    assert "20/2" in report["problem"]
    assert "(wanted 1e-04)" in report["gap"]
    assert "Solving" in shown.err


class Interrupted:
    """A backend at which the user loses patience: Ctrl-C, and then it returns what it has."""

    name = "interrupted"
    accepts = rm.Program
    supports: ClassVar[set[str]] = {"zero", "nonnegative", "second-order", "quadratic"}

    def solve(self, problem: rm.Program, options: rm.Options) -> rm.RawSolution:
        with options.catching_interrupt():
            signal.raise_signal(signal.SIGINT)
        options.report(1)
        return rm.RawSolution(options.stopped or "failed", np.zeros(problem.n_variables))


def test_ctrl_c_reports_the_best_so_far(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relumodel.backend._registered", {"interrupted": Interrupted()})
    assert cli.main(["demo", "--patterns", "2", "--backend", "interrupted"]) == 130
    assert fields(capsys.readouterr().out)["status"] == "interrupted"


def test_without_scikit_learn_the_error_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert cli.main(["demo"]) == 2
    assert "pip install 'relumodel[demo]'" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "value"), [("--patterns", "0"), ("--beta", "-1"), ("--tol", "0"), ("--backend", "none")])
def test_bad_options_are_one_line(capsys: pytest.CaptureFixture[str], option: str, value: str) -> None:
    assert cli.main(["demo", option, value]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("relumodel: ")
