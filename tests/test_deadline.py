"""One deadline for a whole call: parts end with it, Ctrl-C ends all of it, and no Ctrl-C is lost."""

import signal
import threading

import numpy as np
import pytest

import relumodel as rm
from data_strategies import example
from relumodel.program.program import Program
from relumodel.resources import deadline
from relumodel.resources.deadline import current, limited, wrapping_up
from relumodel.solve import registry

MODEL = rm.Model(rm.TwoLayer(rm.ReLU(), True), rm.Squared(), rm.WeightDecay(1e-2))


def test_without_a_limit_nothing_ends() -> None:
    assert not current().expired()
    with limited() as whole, limited(1e3), wrapping_up():
        assert whole.remaining() == np.inf
        assert not current().expired()


def test_a_part_ends_with_the_whole_and_not_the_whole_with_it() -> None:
    with limited(1e3) as whole:
        with limited(0.0) as part:
            assert part.stopped == "time limit"
        assert whole.stopped is None
        with limited(2e3) as long:
            assert long.ends == whole.ends
    with limited(0.0), limited(10.0) as part:
        assert part.stopped == "time limit"


def test_the_result_is_made_after_the_end_in_one_slack() -> None:
    with limited(0.0) as whole, wrapping_up() as after:
        assert not after.expired()
        ends = after.ends
        with limited(1e3), wrapping_up() as inner:
            assert inner.ends == ends == whole.ends + whole.slack


def test_ctrl_c_ends_everything_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    with limited() as whole, limited(100.0) as part:
        signal.raise_signal(signal.SIGINT)
        assert whole.stopped == part.stopped == "interrupted"
        assert whole.interrupted
        with wrapping_up() as after:
            assert 0 < after.remaining() <= 2
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    assert not current().expired()


def test_ctrl_c_raises_where_there_is_nothing_yet() -> None:
    with limited() as whole, pytest.raises(KeyboardInterrupt), whole.with_nothing_yet():
        signal.raise_signal(signal.SIGINT)


def test_a_callback_ends_its_own_part_and_leaves_time_for_the_result() -> None:
    with limited() as whole:
        with limited() as part:
            part.stop()
            assert part.stopped == "interrupted"
            with wrapping_up() as after:
                assert after.remaining() == np.inf
        assert whole.stopped is None


def test_threads_have_deadlines_of_their_own() -> None:
    seen = []
    with limited(0.0):
        thread = threading.Thread(target=lambda: seen.append(current().expired()))
        thread.start()
        thread.join()
    assert seen == [False]


class Deaf:
    """A backend that hears Ctrl-C after its last look, and says "solved"; it counts how often it is asked."""

    name = "deaf"
    accepts = Program

    def __init__(self) -> None:
        self.inner = registry.find("admm")
        self.supports, self.asked = self.inner.supports, 0

    def solve(self, problem, options):
        self.asked += 1
        raw = self.inner.solve(problem, options)
        signal.raise_signal(signal.SIGINT)
        return raw


def data(n=30):
    return example(MODEL, n=n, d=3)


CALLS = {
    "solve": lambda backend: MODEL.compile(*data(), patterns=rm.SamplePatterns(8, seed=0)).solve(backend),
    "auto": lambda backend: MODEL.compile(*data(), patterns=rm.SamplePatterns(8, seed=0)).solve(backend, tol=1e-15),
    "path": lambda backend: rm.path(MODEL, *data(), [1e-1, 1e-2, 1e-3], rm.SamplePatterns(8, seed=0), backend=backend)[-1],
    "adaptive": lambda backend: MODEL.fit(*data(), patterns=rm.AdaptivePatterns(gap=1e-9), backend=backend),
    "given": lambda backend: MODEL.fit(*data(), patterns=rm.SamplePatterns(8, seed=0), backend=backend),
    "outputs": lambda backend: MODEL.fit(
        data()[0], np.column_stack([data()[1]] * 3), patterns=rm.AdaptivePatterns(gap=1e-9), backend=backend
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_after_the_last_look_of_a_backend_is_not_lost(call: str) -> None:
    backend = Deaf()
    result = CALLS[call](backend)
    assert result.status == "interrupted"
    assert backend.asked == 1
    assert np.isfinite(result.objective)
    assert result.bound <= result.objective


def test_a_solve_without_time_returns_its_start() -> None:
    """The network that the patterns come from, for example."""
    program = MODEL.compile(*data(), patterns=rm.SamplePatterns(8, seed=0))
    start = program.solve(tol=1e-2)
    with limited(0.0):
        late = program.solve(warm_start=start)
    assert late.status == "time limit"
    assert late.objective <= start.objective
    assert "no time" in late.message


@pytest.mark.parametrize("loss", [rm.Squared(), rm.Hinge()], ids=str)
def test_without_time_a_program_on_a_networks_patterns_returns_nearly_the_network(loss, monkeypatch) -> None:
    """Its own neurons, on the boundaries of their cones too, with output weights from a short descent."""
    monkeypatch.setattr(deadline, "SLACK", 60.0)  # however busy the machine is
    model = rm.Model(rm.TwoLayer(rm.ReLU(), True), loss, rm.WeightDecay(1e-3))
    X, y = example(model, n=60, d=4)
    trained = model.fit(X, y, patterns=rm.SamplePatterns(30, seed=0)).network
    program = model.compile(X, y, patterns=rm.PatternsOf(trained))
    with limited(0.0):
        late = program.solve()
    assert late.status == "time limit"
    assert late.violation == 0
    assert late.objective <= 1.2 * trained.objective(model, X, y)
    assert late.objective < 0.5 * program.objective(np.zeros(program.n_variables))


def test_what_is_known_to_take_too_long_is_not_begun() -> None:
    """Clarabel's and SCS's first factorisation, and the interior point's step: the answer says so, in time."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1500, 40))
    program = MODEL.compile(X, X[:, 0], patterns=rm.SamplePatterns(40, seed=0))
    for name in ("clarabel", "scs"):
        late = program.solve(backend=name, time_limit=0.3)
        assert late.status == "time limit"
        assert "first step would take" in late.message or "no time" in late.message
