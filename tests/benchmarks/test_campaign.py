"""A few seeded cases of the campaign, and that it sees what it looks for."""

import subprocess
import sys
from pathlib import Path

import campaign
import campaign_files
import campaign_programs
import campaign_stops
import numpy as np
import pytest

import relumodel as rm

#: quick ones; the others train for seconds
PROGRAMS = ["backends agree", "exact bounds", "certificates", "round trips"]


@pytest.mark.parametrize("kind", PROGRAMS)
def test_programs_keep_the_identities(kind):
    for seed in (1, 2):
        outcome = campaign.run_case(kind, campaign_programs.CHECKS[kind], seed)
        assert outcome.failure is None, outcome


@pytest.mark.parametrize("kind", [kind for kind in campaign_files.CHECKS if kind not in ("arrays", "modules")])
def test_hostile_files_raise_errors_of_ours(kind):
    for seed in range(4):
        outcome = campaign.run_case(kind, campaign_files.CHECKS[kind], seed)
        assert outcome.failure is None, outcome


def test_a_stop_at_a_random_moment_is_heard():
    word, failure = campaign_stops.stop_once(campaign_stops.WORK["solve, Clarabel"], np.random.default_rng(5))
    assert failure is None
    assert word in ("interrupted", "KeyboardInterrupt", "done before")


def test_a_swallowed_ctrl_c_is_found_out():
    def deaf(time_limit):
        try:
            for _ in range(10**9):
                pass
        except KeyboardInterrupt:
            return rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(1.0)).fit([[1.0], [-1.0]], [1.0, 0.0])

    word, failure = campaign_stops.stop_once(deaf, np.random.default_rng(0))
    assert word == "FAILED"
    assert "was lost" in failure


def test_an_overrun_limit_is_found_out():
    def late(time_limit):
        start = campaign_stops.time.process_time()
        while campaign_stops.time.process_time() - start < 1.2 + time_limit:
            pass
        return []

    class Short:
        uniform = staticmethod(lambda low, high: low)  # the shortest limit will do

    assert campaign_stops.limit_once(late, Short())[0] == "FAILED"


def test_what_is_wrong_is_a_failure_with_its_reproduction():
    def wrong(rng):
        campaign_programs.below(2.0, 1.0, "bound > objective")

    def other(rng):
        raise KeyError("raw")

    def refused(rng):
        raise rm.InputError("not this")

    assert "bound > objective" in campaign.run_case("k", wrong, 0).failure
    assert "KeyError at test_campaign.py" in campaign.run_case("k", other, 0).failure
    assert campaign.run_case("k", refused, 0) == campaign.Outcome("k", 0, "refused: InputError")
    rows = campaign.table([campaign.run_case("k", check, 0) for check in (wrong, refused)]).splitlines()
    assert rows[2] == "| k | 2 | 1 | 1 refused: InputError |"


def test_the_command_line_ends_with_the_failures(monkeypatch, capsys):
    def fails(rng):
        assert rng.random() > 2, "never"

    monkeypatch.setitem(campaign_programs.CHECKS, "broken", fails)
    assert campaign.main(["programs", "--kind", "broken", "--count", "2", "--seed", "7"]) == 1
    printed = capsys.readouterr().out
    assert "python benchmarks/campaign.py programs --kind 'broken' --seed 8 --count 1" in printed
    assert "| broken | 2 | 2 |  |" in printed


def test_it_runs_as_a_script():
    script = Path(campaign.__file__)
    answer = subprocess.run(
        [sys.executable, script, "files", "--kind", "model JSON", "--count", "3"], capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "| model JSON | 3 | 0 |" in answer.stdout
