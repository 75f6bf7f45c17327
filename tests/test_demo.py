"""The main job: breast-cancer data, trained to a gap from every other network."""

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
    """With a gap that takes one round or two."""
    return demo.run(gap=0.1)


def test_reaches_the_gap(found: demo.Demo) -> None:
    fit = found.fit
    assert fit.status == "optimal"
    assert 0 <= fit.gap <= 0.1
    assert fit.bound <= fit.objective < found.sampled.objective
    assert found.sampled.status == "optimal"


def test_the_objective_is_that_of_the_network(found: demo.Demo) -> None:
    data, model = demo.breast_cancer(), found.fit.program.model
    assert np.isclose(found.fit.network.objective(model, data.X, data.y), found.fit.objective, rtol=1e-12)


def test_the_report_is_like_the_one_in_the_readme(found: demo.Demo) -> None:
    """The README's is that of the default gap; the search hangs on rounding, so it is compared by what it must be."""
    shown, measured = fields(README.read_text()), fields(str(found))
    assert list(shown) == list(measured)
    for label in ("problem", "data", "status"):
        assert shown[label] == measured[label]
    (optimum, words), (same, also) = (report["sampled"].split(maxsplit=1) for report in (measured, shown))
    assert float(optimum) == pytest.approx(float(same), rel=1e-5)
    assert words == also
    assert found.fit.bound <= float(shown["objective"]) <= found.fit.objective * (1 + 1e-3)
    assert float(shown["gap"]) <= 1e-2


def test_the_split_is_stratified_and_standardised_on_the_training_part() -> None:
    data = demo.breast_cancer()
    assert (data.X.shape, data.X_test.shape) == ((426, 30), (143, 30))
    assert np.allclose(data.X.mean(axis=0), 0)
    assert np.allclose(data.X.std(axis=0), 1)
    assert abs((data.y > 0).mean() - (data.y_test > 0).mean()) < 0.01


@pytest.mark.usefixtures("short_search")
def test_options_reach_the_training(capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["demo", "--gap", "0.5", "--seed", "7", "--beta", "50", "--backend", "admm"])
    shown = capsys.readouterr()
    report = fields(shown.out)
    assert code == 0
    assert "50/2" in report["problem"]
    assert float(report["gap"]) <= 0.5
    assert "better by more than 0.5" in shown.err
    assert "round  1" in shown.err


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


@pytest.mark.usefixtures("short_search")
def test_ctrl_c_reports_the_best_so_far(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relumodel.solve.registry._registered", {"interrupted": Interrupted()})
    assert cli.main(["demo", "--backend", "interrupted"]) == 130
    assert fields(capsys.readouterr().out)["status"] == "interrupted"


def test_without_scikit_learn_the_error_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert cli.main(["demo"]) == 2
    assert "pip install 'relumodel[demo]'" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "value"), [("--gap", "0"), ("--beta", "-1"), ("--seed", "-1"), ("--backend", "none")])
def test_bad_options_are_one_line(capsys: pytest.CaptureFixture[str], option: str, value: str) -> None:
    assert cli.main(["demo", option, value]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("relumodel: ")
