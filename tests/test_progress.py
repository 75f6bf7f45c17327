"""What a user sees of a running solve, and what a callback is told."""

from __future__ import annotations

import contextlib
import itertools
import math
import re
import sys

import numpy as np
import pytest

import relumodel as rm
from relumodel.resources.progress import describe, progress_line


def program() -> rm.Program:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 3)), np.sign(rng.standard_normal(20))
    return rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge(), rm.WeightDecay(0.05)).compile(X, y, patterns=rm.SamplePatterns(5, seed=0))


def test_the_line_holds_what_is_known_and_nothing_else():
    assert describe(rm.Progress(3, elapsed=1.26)) == "1.3 s, iteration 3"
    full = rm.Progress(3, objective=2.0, bound=1.5, gap=0.25, violation=1e-9, elapsed=1.26, time_left=58.74)
    assert describe(full) == "1.3 s (59 s left), iteration 3, gap 2.5e-01, objective 2, bound 1.5, violation 1.0e-09"


def test_plain_lines_come_at_growing_intervals(capsys):
    with progress_line() as line:
        for k in range(1000):
            line(rm.Progress(k, elapsed=0.1 * k))
    shown = capsys.readouterr().err.splitlines()
    seconds = [float(text.split()[0]) for text in shown]
    assert seconds[:3] == [0.0, 1.0, 2.0]
    assert all(b - a >= max(1.0, 0.19 * a) for a, b in itertools.pairwise(seconds))
    assert len(shown) < 30


def on_a_terminal(monkeypatch):
    """From here on stderr is a terminal of 60 columns; called in the test, where stderr is the one that is captured."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")


def test_a_terminal_shows_one_line_that_is_removed(capsys, monkeypatch):
    pytest.importorskip("tqdm")
    on_a_terminal(monkeypatch)
    with progress_line() as line:
        for k in range(10):
            line(rm.Progress(k, objective=1 / 3, bound=1 / 7, gap=0.5, violation=1e-9, elapsed=0.06 * k))
    shown = capsys.readouterr().err
    assert "0.0 s, iteration 0, gap 5.0e-01, objective 0.333333" in shown
    assert "iteration 2," in shown
    assert "iteration 3," not in shown  # too soon after 2
    assert "\n" not in shown
    *lines, last = shown.split("\r")
    assert last == ""
    assert lines[-1].strip() == ""
    assert max(map(len, lines)) < 60


def test_a_terminal_without_tqdm_shows_plain_lines(capsys, monkeypatch):
    on_a_terminal(monkeypatch)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with progress_line() as line:
        line(rm.Progress(3, elapsed=0.0))
    assert capsys.readouterr().err == "0.0 s, iteration 3\n"


def test_a_closed_stderr_does_not_stop_a_solve(monkeypatch):
    class Closed:
        def write(self, text):
            raise ValueError("I/O operation on closed file")

        def flush(self):
            raise ValueError("I/O operation on closed file")

        def isatty(self):
            return False

    monkeypatch.setattr("sys.stderr", Closed())
    assert program().solve(verbose=True).status == "optimal"


def test_verbose_and_callback_get_the_same_numbers(capsys):
    heard: list[rm.Progress] = []
    solution = program().solve(backend="clarabel", verbose=True, callback=heard.append, time_limit=100.0)
    assert heard == solution.history
    assert capsys.readouterr().err.splitlines()[0] == describe(heard[0])
    last = heard[-1]
    assert last.objective == pytest.approx(solution.objective, rel=1e-5)
    assert last.gap == pytest.approx(0.0, abs=1e-6)
    assert last.bound <= last.objective + 1e-6
    assert 0 < last.time_left < 100
    assert all(math.isfinite(p.violation) for p in heard)


def test_a_callback_still_stops_when_verbose(capsys):
    solution = program().solve(backend="clarabel", verbose=True, callback=lambda progress: progress.iteration >= 2, tol=1e-12)
    assert solution.status == "interrupted"
    assert solution.bound <= solution.objective


@pytest.mark.parametrize("verbose", ["yes", 2, None])
def test_other_values_of_verbose_are_refused(verbose):
    with pytest.raises(rm.InputError, match=r"verbose must be False, True .* or 'solver'"):
        program().solve(verbose=verbose)


def test_not_verbose_is_silent(capfd):
    program().solve(backend="clarabel")
    assert capfd.readouterr() == ("", "")


def test_a_phase_that_begins_is_shown_sooner_than_one_that_goes_on(capsys):
    with progress_line() as line:
        for k, phase in ((1, "descent"), (2, "descent"), (3, "pricing"), (4, "pricing")):
            line(rm.Progress(k, elapsed=100.0 + k, phase=phase))
    assert capsys.readouterr().err.splitlines() == ["101.0 s, descent, iteration 1", "103.0 s, pricing, iteration 3"]


def fitted(**how):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 3)), np.sign(rng.standard_normal(30))
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Logistic(), rm.WeightDecay(0.02))
    return model.fit(X, y, patterns=rm.AdaptivePatterns(gap=0.05, rounds=2, proof=0), **how)


@pytest.mark.usefixtures("short_search")
def test_a_fit_says_what_it_does_before_its_first_round_ends(capsys):
    fitted(verbose=True, time_limit=100.0)
    first, *_ = lines = capsys.readouterr().err.splitlines()
    assert first.startswith("0.0 s (100 s left), round 1, descent")
    assert any(line.startswith("round  1  objective") for line in lines)


@pytest.mark.usefixtures("short_search")
def test_every_part_of_a_fit_is_shown_with_its_round_and_what_it_knows(monkeypatch, capsys):
    heard = []

    @contextlib.contextmanager
    def line(shown=True):
        yield heard.append

    monkeypatch.setattr("relumodel.resources.phases.progress_line", line)
    result = fitted(verbose=True)
    told = {(p.phase.split(", ")[1], int(p.phase.split(", ")[0].split()[1])) for p in heard}
    assert {name for name, _ in told} == {"descent", "convex program", "pricing"}
    assert {number for _, number in told} == set(range(1, result.rounds + 1))
    known = [p for p in heard if p.phase == "round 1, descent" and p.iteration]
    assert [p.iteration for p in known] == list(range(1, len(known) + 1))
    assert known[-1].objective < known[0].objective
    assert known[-1].objective >= result.bound
    assert all(math.isnan(p.time_left) for p in heard)


@pytest.mark.usefixtures("short_search")
def test_a_fit_that_nobody_watches_is_silent_and_the_same(capfd):
    quiet, shown = fitted(), fitted(verbose=True)
    capfd.readouterr()
    assert quiet.objective == shown.objective
    fitted()
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("short_search")
def test_a_round_goes_above_the_live_line(capsys, monkeypatch):
    pytest.importorskip("tqdm")
    on_a_terminal(monkeypatch)
    fitted(verbose=True)
    shown = capsys.readouterr().err
    assert "round 1, descent" in shown
    assert any(line.startswith("round  1  objective") for line in re.split(r"[\r\n]", shown))
