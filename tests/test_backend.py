import math
import signal
import threading
import time

import pytest

import relumodel as rm
from relumodel.solve import registry as backend

EVERY = frozenset(backend.CAPABILITIES)


class Idle:
    """A well-formed backend that is never asked."""

    name, accepts, supports = "idle", rm.ConicForm, EVERY

    def solve(self, problem, options):
        raise AssertionError("must not be asked")


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    monkeypatch.setattr(backend, "_registered", {})


@pytest.fixture
def entry_points(monkeypatch):
    """Replace what is installed: a dictionary, name -> what loading gives (an error is raised)."""

    class Entry:
        def __init__(self, name, loads):
            self.name, self.loads, self.value = name, loads, f"package:{name}"

        def load(self):
            if isinstance(self.loads, Exception):
                raise self.loads
            return self.loads

    def install(**plugins):
        monkeypatch.setattr(backend, "plug_ins", lambda: [Entry(*item) for item in plugins.items()])
        monkeypatch.setattr(backend, "_loaded", {})

    return install


def made(**attributes):
    """An Idle with other attributes; None leaves one out."""
    kept = {"name": "made", "accepts": rm.ConicForm, "supports": EVERY, "solve": Idle.solve, **attributes}
    return type("Made", (), {k: v for k, v in kept.items() if v is not None})()


def test_registering_by_name():
    mine = Idle()
    rm.register(mine)
    assert backend.find("idle") is mine
    assert backend.names()[0] == "idle"
    another = Idle()
    rm.register(another)
    assert backend.find("idle") is another
    assert [info.name for info in rm.backends()].count("idle") == 1


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (Idle, rm.InputTypeError, r"A backend is an instance; got the class Idle. Add parentheses: Idle\(\)"),
        (None, rm.InputTypeError, r"A backend needs name, .*; NoneType lacks name, accepts, supports, solve"),
        (made(supports=None, solve=None), rm.InputTypeError, "Made lacks supports, solve"),
        (made(name=""), rm.InputTypeError, "The name of a backend is a non-empty string; Made has ''"),
        (made(name=3), rm.InputTypeError, "The name of a backend is a non-empty string; Made has 3"),
        (made(accepts=dict), rm.InputTypeError, "Backend 'made' must accept rm.ConicForm or rm.Program; got <class 'dict'>"),
        (made(supports={"soc", "zero"}), rm.InputError, "supports unknown cones soc; known are zero, nonnegative, second-order"),
    ],
)
def test_objects_that_are_no_backend(bad, error, message):
    with pytest.raises(error, match=message):
        rm.register(bad)
    with pytest.raises(error, match=message):
        backend.check_protocol(bad)
    assert backend._registered == {}


def test_unknown_names_list_the_known_ones():
    rm.register(Idle())
    with pytest.raises(rm.BackendError, match=r"There is no backend 'gurobi'; known are idle, .*clarabel.*, or pass an instance"):
        backend.find("gurobi")


def test_an_entry_point_is_loaded_once(entry_points):
    made_here = []

    class Counted(Idle):
        name = "counted"

        def __init__(self):
            made_here.append(self)

    entry_points(counted=Counted)
    assert backend.find("counted") is backend.find("counted")
    assert len(made_here) == 1


def test_a_registered_backend_comes_before_an_entry_point(entry_points):
    entry_points(idle=Idle)
    mine = Idle()
    rm.register(mine)
    assert backend.find("idle") is mine


def test_broken_plug_ins_are_listed_with_the_reason(entry_points):
    class NoSolve:
        name, accepts, supports = "no-solve", rm.ConicForm, set()

    class Nervous(Idle):
        def unavailable(self):
            raise OSError("licence server down")

    entry_points(good=Idle, gone=ImportError("No module named 'gone'"), incomplete=NoSolve, nervous=Nervous)
    found = {info.name: info for info in rm.backends()}
    assert found["good"].available
    assert not found["gone"].available
    assert "Backend 'gone' (package:gone) cannot be loaded: No module named 'gone'" in found["gone"].reason
    assert "NoSolve lacks solve" in found["incomplete"].reason
    assert "its availability check failed: licence server down" in found["nervous"].reason
    assert str(found["good"]).startswith("good       available    accepts ConicForm; zero, nonnegative")
    assert "not available: its availability check failed" in str(found["nervous"])


def test_auto_passes_over_broken_plug_ins(entry_points):
    class Absent(Idle):
        def unavailable(self):
            return "not installed"

    class Good(Idle):
        name = "good"

        def solve(self, problem, options):
            return rm.RawSolution("failed")

    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(1))
    program = model.compile([[1.0]], [1.0], patterns=rm.EnumeratePatterns())
    entry_points(clarabel=ImportError("gone"), scs=Absent, ecos=lambda: made(supports={"zero"}), other=Good)
    assert program.solve().backend == "good"
    entry_points(clarabel=ImportError("gone"))
    with pytest.raises(rm.BackendError, match=r"No installed backend takes .*second-order.*; see rm.backends\(\)"):
        program.solve()


def test_the_built_in_solver_is_found_without_privileges():
    (clarabel,) = [info for info in rm.backends() if info.name == "clarabel"]
    assert clarabel.available
    assert clarabel.supports == backend.CAPABILITIES
    assert backend.find("clarabel").__class__.__module__.startswith("relumodel_conic")


@pytest.mark.parametrize(
    ("supports", "kinds", "lacks"),
    [
        ({"zero"}, {"zero"}, []),
        ({"zero"}, {"exponential", "nonnegative", "zero"}, ["nonnegative", "exponential"]),
        ({"zero", "second-order"}, {"zero", "quadratic"}, []),  # becomes a second-order cone
        ({"zero"}, {"zero", "quadratic"}, ["quadratic"]),
        (EVERY, EVERY, []),
    ],
)
def test_what_a_backend_lacks(supports, kinds, lacks):
    assert backend.lacking(made(supports=supports), frozenset(kinds)) == lacks


def test_require_names_who_can(entry_points):
    class Full(Idle):
        name = "full"

    entry_points(full=Full, linear=lambda: made(name="linear", supports={"zero", "nonnegative"}))
    with pytest.raises(
        rm.BackendError,
        match=r"'linear' lacks exponential, .*; it supports zero, nonnegative\. Backends that can take it: full\.",
    ):
        backend.require(backend.find("linear"), frozenset({"zero", "exponential"}))
    entry_points(linear=lambda: made(name="linear", supports={"zero", "nonnegative"}))
    with pytest.raises(rm.BackendError, match="Backends that can take it: none installed"):
        backend.require(backend.find("linear"), frozenset({"exponential"}))


def test_missing_packages():
    assert backend.package_missing("numpy", "demo") is None
    reason = backend.package_missing("no_such_package_at_all", "demo")
    assert reason == "the package no_such_package_at_all is not installed (pip install 'relumodel[demo]')"
    with pytest.raises(rm.MissingPackageError, match="Backend 'made' is not available: the package no_such_package"):
        backend.require(made(unavailable=lambda self: reason), frozenset())


def test_options_are_checked_where_they_are_declared():
    backend.check_extra(made(), {"anything": 1})
    backend.check_extra(made(options={"max_iter": "iterations"}), {"max_iter": 1})
    with pytest.raises(rm.InputError, match="Backend 'made' has no option 'maxiter'; its options are max_iter"):
        backend.check_extra(made(options={"max_iter": "iterations"}), {"maxiter": 1})
    with pytest.raises(rm.InputError, match="its options are none"):
        backend.check_extra(made(options={}), {"maxiter": 1})


def test_report_records_in_the_programs_units():
    options = rm.Options(unit=5.0)
    assert options.report(3, objective=2.0, bound=1.0, gap=0.5) is False
    (line,) = options.history
    assert (line.iteration, line.objective, line.bound, line.gap) == (3, 10.0, 5.0, 0.5)
    assert math.isnan(line.violation)
    assert math.isnan(line.time_left)
    assert line.elapsed >= 0


def test_report_completes_the_gap_and_the_time_left():
    options = rm.Options(unit=5.0, time_limit=60.0)
    options.report(1, objective=2.0, bound=1.5)
    options.report(2, objective=2.0)
    first, second = options.history
    assert first.gap == 0.25
    assert first.elapsed + first.time_left == pytest.approx(60.0)
    assert math.isnan(second.gap)


def test_report_tells_the_callback_until_it_stops():
    seen = []
    options = rm.Options(callback=lambda p: seen.append(p.iteration) or p.iteration == 2)
    assert [options.report(i) for i in (1, 2, 3)] == [False, True, True]
    assert seen == [1, 2]
    assert options.stopped == "interrupted"
    assert len(options.history) == 3


@pytest.mark.parametrize(("error", "kept"), [(ZeroDivisionError("mine"), True), (KeyboardInterrupt(), False)])
def test_report_never_raises(error, kept):
    def callback(progress):
        raise error

    options = rm.Options(callback=callback)
    assert options.report(1) is True
    assert options.stopped == "interrupted"
    assert options.error is (error if kept else None)


def test_report_watches_the_clock():
    options = rm.Options(time_limit=5.0, started=time.perf_counter() - 10)
    assert options.report(1) is True
    assert options.stopped == "time limit"
    assert options.remaining() == 0
    assert rm.Options().remaining() is None
    assert 0 < rm.Options(time_limit=5.0).remaining() <= 5


def test_ctrl_c_asks_to_stop_once_and_raises_the_second_time():
    options = rm.Options()
    before = signal.getsignal(signal.SIGINT)
    with options.catching_interrupt():
        signal.raise_signal(signal.SIGINT)
        assert options.report(1) is True
        assert options.stopped == "interrupted"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_interrupts_are_left_alone_in_other_threads():
    entered = []

    def work():
        with rm.Options().catching_interrupt():
            entered.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert entered == [True]


def test_the_handler_returns_after_an_error():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), rm.Options().catching_interrupt():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is before


def test_the_protocol_is_checkable():
    assert isinstance(Idle(), backend.Backend)
    assert not isinstance(object(), backend.Backend)
