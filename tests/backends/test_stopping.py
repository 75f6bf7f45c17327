"""Stopped early, by a callback, the clock or Ctrl-C: still a feasible point, a valid bound and an honest status."""

import signal
import subprocess
import sys

import numpy as np
import pytest

import relumodel as rm
from data_strategies import example
from relumodel.conic.assemble import assemble
from relumodel.solve import protocol, registry

WITH_CALLBACK = ["clarabel", "scs", "highs"]
WITH_CLOCK = ["clarabel", "scs", "highs", "cvxpy"]


def program(n=40, loss=None, penalty=None, patterns=20):
    """A linear program, which every backend takes, unless asked otherwise."""
    model = rm.Model(rm.TwoLayer(rm.ReLU(), True), loss or rm.Hinge(), penalty or rm.PathNorm(1e-3))
    return model.compile(*example(model, n=n, d=5), patterns=rm.SamplePatterns(patterns, seed=0))


def check(solution):
    """What holds however early it was stopped."""
    best = solution.program.solve(backend="clarabel").objective
    assert solution.violation == 0
    assert solution.objective == solution.program.objective(solution.point)
    assert solution.bound <= best * (1 + 1e-7)
    assert solution.objective >= best * (1 - 1e-6)
    assert np.isfinite(solution.bound)
    return solution


@pytest.mark.parametrize("name", WITH_CALLBACK)
def test_a_callback_can_stop(name):
    seen = []
    solution = check(program().solve(backend=name, callback=lambda progress: seen.append(progress) or True))
    assert solution.status == "interrupted"
    assert len(seen) == 1
    assert solution.history[0] == seen[0]


def test_the_active_set_method_stops_too():
    """HiGHS's method for quadratic programs: no way out of its own before 1.16, where it takes an exception for a failure."""
    quadratic = program(80, rm.Squared())
    stopped = check(quadratic.solve(backend="highs", callback=lambda progress: True))
    assert (stopped.status, len(stopped.history)) == ("interrupted", 1)
    assert check(quadratic.solve(backend="highs", time_limit=0.02)).status == "time limit"


@pytest.mark.parametrize("loss", [rm.Hinge(), rm.Squared()], ids=["linear", "quadratic"])
def test_what_is_raised_while_highs_calls_back_is_not_lost(loss):
    """As by a second Ctrl-C: it is raised wherever Python runs next."""

    class Twice(protocol.Options):
        def report(self, *numbers, **more):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        registry.find("highs").solve(assemble(program(80, loss)).form, Twice())


@pytest.mark.parametrize("name", WITH_CALLBACK)
def test_errors_in_a_callback_reach_the_user(name):
    def callback(progress):
        raise ZeroDivisionError("in my callback")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError, match="in my callback"):
        program().solve(backend=name, callback=callback)
    assert signal.getsignal(signal.SIGINT) is before
    assert program().solve(backend=name).status == "optimal"  # nothing is left behind


@pytest.mark.parametrize("name", WITH_CALLBACK)
def test_progress_is_in_the_programs_units(name):
    solution = program().solve(backend=name)
    assert solution.history
    assert [line.iteration for line in solution.history] == sorted(line.iteration for line in solution.history)
    last = [line.objective for line in solution.history if np.isfinite(line.objective)][-1:]
    assert last == pytest.approx([solution.objective] * len(last), rel=1e-2)
    assert bool(last) == (name != "highs")  # which tells nobody before the end


@pytest.mark.parametrize("name", WITH_CLOCK)
def test_a_tiny_time_limit(name):
    solution = check(program(120).solve(backend=name, time_limit=1e-3))
    assert solution.status in ("time limit", "optimal")
    assert solution.status == "time limit" or name != "scs"


@pytest.mark.parametrize("name", WITH_CLOCK)
def test_a_generous_time_limit_changes_nothing(name):
    small = program()
    np.testing.assert_array_equal(small.solve(backend=name, time_limit=1e3).point, small.solve(backend=name).point)


def test_ecos_refuses_a_time_limit_before_solving():
    with pytest.raises(rm.BackendError, match="Backend 'ecos' has no time limit; leave time_limit out, or use one") as caught:
        program().solve(backend="ecos", time_limit=10)
    able = str(caught.value).partition("that keeps it: ")[2].rstrip(".").split(", ")
    assert set(WITH_CLOCK) <= set(able)
    assert "ecos" not in able


# A child process: solve something long, say when it starts, and say what came out after Ctrl-C.
CHILD = """
import signal, sys, threading, time
import numpy as np
import relumodel as rm
from relumodel import backend as registry
from relumodel.conic.assemble import assemble

name, loss, penalty, n, options = sys.argv[1], eval(sys.argv[2]), eval(sys.argv[3]), int(sys.argv[4]), eval(sys.argv[5])
watched = sys.argv[6] == "True"
rng = np.random.default_rng(0)
X = rng.standard_normal((n, 12))
y = np.where(X[:, 0] * X[:, 1] > 0, 1.0, -1.0)
program = rm.Model(rm.TwoLayer(rm.ReLU(), True), loss, penalty).compile(X, y, patterns=rm.SamplePatterns(20, seed=0))
solver = registry.find(name)
where, method = solver, "solve"
if name == "cvxpy":  # which compiles first
    from cvxpy.reductions.solvers.solving_chain import SolvingChain as where
    method = "solve_via_data"
inner = getattr(where, method)

def announced(*args, **more):
    if not watched:
        print("started", flush=True)
    return inner(*args, **more)

def watch(progress):
    global watched
    if watched and progress.iteration >= 3:
        watched = False
        print("started", flush=True)

setattr(where, method, announced)
before = signal.getsignal(signal.SIGINT)
solution = program.solve(backend=solver, tol=1e-12, callback=watch, **options)
assert signal.getsignal(signal.SIGINT) is before, "the handler was not put back"
assert solution.violation == 0 and solution.bound <= solution.objective
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print(f"status={solution.status} point={bool(solution.point.any())}")
"""

INTERRUPTED = [
    # backend, loss, penalty, samples, options, whether there is a point: the solver's, or the best output weights on its patterns' neurons;
    # None for one that ends only when it is done, and for ECOS, which may be interrupted before it has one
    ("clarabel", "rm.Hinge()", "rm.WeightDecay(1e-3)", 300, "{}", True),
    ("ecos", "rm.Hinge()", "rm.WeightDecay(1e-3)", 600, "{}", None),
    ("scs", "rm.Hinge()", "rm.WeightDecay(1e-4)", 100, "{}", True),
    ("highs", "rm.Hinge()", "rm.PathNorm(1e-3)", 400, "{}", True),
    ("highs", "rm.Hinge()", "rm.PathNorm(1e-3)", 400, "{'solver': 'simplex'}", True),
    ("highs", "rm.Squared()", "rm.PathNorm(1e-2)", 300, "{}", True),
    ("cvxpy", "rm.Hinge()", "rm.WeightDecay(1e-3)", 300, "{'solver': 'CLARABEL'}", None),
    ("cvxpy", "rm.Hinge()", "rm.WeightDecay(1e-4)", 200, "{'solver': 'SCS'}", True),
    ("cvxpy", "rm.Hinge()", "rm.WeightDecay(1e-3)", 500, "{'solver': 'ECOS'}", True),
]


@pytest.mark.parametrize(("name", "loss", "penalty", "n", "options", "point"), INTERRUPTED)
def test_ctrl_c(name, loss, penalty, n, options, point):
    """A Solution with status "interrupted", Ctrl-C working as before afterwards; nothing lost that the solver kept."""
    watched = name in ("clarabel", "scs")  # they tell of their iterations
    command = [sys.executable, "-c", CHILD, name, loss, penalty, str(n), options, str(watched)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout.readline() == "started\n"
            # in mid-solve: past what the backend prepares, before it can be done
            if not watched:
                with pytest.raises(subprocess.TimeoutExpired):
                    child.wait(0.5)
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=60)
        finally:
            child.kill()
    assert err == ""
    assert out.splitlines()[-1] in [f"status=interrupted point={p}" for p in ((True, False) if point is None else (point,))]


def test_the_names_above_are_those_there_are():
    """No backend is left out of these tests silently."""
    tested = {"admm", "torch", "descent", *(case[0] for case in INTERRUPTED)}
    assert {info.name for info in rm.backends() if info.available} <= tested
    assert all(getattr(registry.find(name), "keeps_time_limit", True) for name in WITH_CLOCK)
