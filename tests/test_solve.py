import signal
import time
from functools import cache
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import relumodel as rm
from data_strategies import LOSS_AND_PENALTY, MAKE_LOSS, MODELS, PENALTIES, REDUCTIONS, example, label, problems
from pairwise import pairwise
from relumodel.solve import protocol, registry
from relumodel.solve.solution import STATUSES
from relumodel.solve.solve import choose

EVERY = frozenset(registry.CAPABILITIES)


def check(solution, tol=1e-6):
    """What must hold of every solution, whatever the backend did."""
    program = solution.program
    assert solution.status in STATUSES
    assert np.isfinite(solution.point).all()
    assert solution.objective == program.objective(solution.point)
    assert solution.violation == program.violation(solution.point)
    assert solution.violation == 0
    assert 0 <= solution.bound <= solution.objective * (1 + 1e-12)
    assert (solution.gap <= tol) == (solution.status == "optimal")
    assert solution.objective <= program.objective(np.zeros(program.n_variables))
    return solution


def compiled(model=None, patterns=None, **sizes):
    model = model or rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(0.05))
    X, y = example(model, **sizes)
    return model.compile(X, y, patterns=patterns or rm.EnumeratePatterns())


@settings(max_examples=100)
@given(problems())
def test_degenerate_data(problem):
    model, X, y = problem
    solution = check(model.compile(X, y, patterns=rm.EnumeratePatterns()).solve())
    assert solution.status == "optimal"
    network = solution.network()
    assert network.objective(model, X, y) == pytest.approx(solution.objective, rel=1e-9, abs=1e-12)
    assert network.predict(X).shape == (len(X),)


@pytest.mark.parametrize(
    ("scale", "make", "reduction", "penalty", "columns"),
    pairwise([1e-8, 1e-4, 1e4, 1e8], MAKE_LOSS, REDUCTIONS, PENALTIES, ["all", "one"]),
)
def test_features_of_any_scale(scale, make, reduction, penalty, columns):
    """A feasible point, a valid bound and an honest status always; a small gap too."""
    model = rm.Model(rm.TwoLayer(rm.LeakyReLU(0.2), True), make(reduction=reduction), penalty)
    X, y = example(model)
    factors = np.full(2, scale) if columns == "all" else np.array([1.0, scale])
    solution = check(model.compile(X * factors, y, patterns=rm.EnumeratePatterns()).solve())
    assert solution.gap < (1e-4 if scale < 1e8 else 0.1)
    network = solution.network()
    assert network.objective(model, X * factors, y) == pytest.approx(solution.objective, rel=1e-6)


@pytest.mark.parametrize("model", LOSS_AND_PENALTY, ids=label)
def test_a_huge_penalty_leaves_no_neurons(model):
    """The optimum is the loss of the zero network, to rounding, with a bound that proves it."""
    X, y = example(model)
    solution = check(model.compile(X, y, patterns=rm.EnumeratePatterns()).with_penalty(1e6).solve())
    assert solution.status == "optimal"
    network = solution.network()
    assert network.n_neurons == 0
    np.testing.assert_array_equal(network(X), np.zeros(len(X)))
    assert solution.objective == solution.program.objective(np.zeros(solution.program.n_variables))


@pytest.mark.parametrize("model", LOSS_AND_PENALTY, ids=label)
def test_no_penalty_at_all(model):
    """beta = 0: the bound can only be that the loss is not negative; the fit is as good as the patterns allow."""
    X, y = example(model)
    program = model.compile(X, y, patterns=rm.EnumeratePatterns()).with_penalty(0)
    solution = check(program.solve())
    assert solution.objective < 1e-3  # all patterns of 7 points interpolate
    assert solution.network().objective(program.model, X, y) == pytest.approx(solution.objective, abs=1e-9)


class Lying:
    """A backend that says what it is told to: a status, and functions of an honest point and dual."""

    name, supports = "lying", EVERY

    def __init__(self, accepts, status="solved", x=lambda x: x, dual=lambda z: z):
        self.accepts, self.status, self.x, self.dual = accepts, status, x, dual
        self.honest = None

    def solve(self, problem, options):
        if self.honest is None and self.accepts is rm.ConicForm:
            self.honest = registry.find("clarabel").solve(problem, rm.Options())
        elif self.honest is None:
            found = problem.solve()
            self.honest = rm.RawSolution("solved", found.point, found.dual)
        return rm.RawSolution(self.status, self.x(self.honest.x), self.dual(self.honest.dual), objective=-1e9)


def each(f):
    """f on a dual, which is a vector or a dictionary of them."""
    return lambda z: {k: f(v) for k, v in z.items()} if isinstance(z, dict) else f(z)


POINTS = {
    "honest": lambda x: x,
    "none": lambda x: None,
    "NaN": lambda x: np.full_like(x, np.nan),
    "one NaN": lambda x: np.where(np.arange(len(x)) == 3, np.nan, x),
    "inf": lambda x: np.full_like(x, np.inf),
    "huge": lambda x: np.where(np.arange(len(x)) % 2, 1e308, -1e308),
    "outside": lambda x: -x,
    "random": lambda x: np.random.default_rng(0).standard_normal(len(x)),
    "float32": lambda x: x.astype(np.float32),
    "list": lambda x: x.tolist(),
    "tiny": lambda x: x * 1e-320,
}
DUALS = {
    "honest": lambda z: z,
    "none": lambda z: None,
    "NaN": each(lambda v: np.full_like(v, np.nan)),
    "inf": each(lambda v: np.full_like(v, -np.inf)),
    "huge": each(lambda v: np.where(v > 0, 1.7e308, -1.7e308)),
    "longer": each(lambda v: 1e3 * v),
    "shorter": each(lambda v: 0.5 * v),
    "negative": each(np.negative),
    "random": each(lambda v: np.random.default_rng(0).standard_normal(len(v))),
}


@cache
def solved(accepts, model):
    """A small program, its solution, and a backend that lies about it."""
    program = compiled(model, rm.SamplePatterns(3), n=5)
    return program, program.solve(), Lying(accepts)


@pytest.mark.parametrize(
    ("x", "dual", "accepts", "model"),
    pairwise(POINTS, DUALS, [rm.ConicForm, rm.Program], [LOSS_AND_PENALTY[0], LOSS_AND_PENALTY[7], LOSS_AND_PENALTY[-1]]),
)
def test_no_lie_is_believed(x, dual, accepts, model):
    """Every point with every dual, all of them called solved: feasible, valid bound, honest status."""
    program, best, backend = solved(accepts, model)
    backend.x, backend.dual = POINTS[x], DUALS[dual]
    solution = check(program.solve(backend=backend))
    assert solution.bound <= best.objective * (1 + 1e-9)
    assert best.bound <= solution.objective * (1 + 1e-9)
    assert solution.status in ("optimal", "tolerance not reached")


@pytest.mark.parametrize("raw", protocol.RAW_STATUSES)
def test_the_status_is_earned_by_the_gap_alone(raw):
    """An honest answer is optimal whatever it is called; a bad one is not, and keeps the reason for stopping."""
    program = compiled()
    assert check(program.solve(backend=Lying(rm.ConicForm, raw))).status == "optimal"
    honest = {"time limit": "time limit", "interrupted": "interrupted", "failed": "failed"}
    failures = {"infeasible": "failed", "unbounded": "failed"}  # every program contains x = 0
    bad = check(program.solve(backend=Lying(rm.ConicForm, raw, x=POINTS["random"], dual=DUALS["none"])))
    assert bad.status == {**honest, **failures}.get(raw, "tolerance not reached")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "must return a RawSolution; it returned NoneType"),
        (rm.RawSolution("OPTIMAL"), "returned status 'OPTIMAL'; allowed are solved, inaccurate, iteration limit"),
        (rm.RawSolution("solved", x=np.zeros(3)), r"returned x of shape \(3,\); the problem has \d+ variables"),
        (rm.RawSolution("solved", x="abc"), r"returned x of shape \(\); the problem has"),
        (rm.RawSolution("solved", x=np.zeros(48), dual=np.zeros(2)), "returned a dual whose shape does not fit"),
        (rm.RawSolution("solved", x=np.zeros(48), dual={"loss": np.zeros(2)}), "returned a dual whose shape does not fit"),
    ],
)
@pytest.mark.parametrize("accepts", [rm.ConicForm, rm.Program])
def test_a_broken_contract_is_named(accepts, answer, message):
    class Broken:
        name, supports = "broken", EVERY

        def solve(self, problem, options):
            size = problem.n_variables if accepts is rm.Program else problem.A.shape[1]
            if isinstance(answer, rm.RawSolution) and np.shape(answer.x) == (48,):
                return rm.RawSolution("solved", np.zeros(size), answer.dual)
            return answer

    backend = Broken()
    backend.accepts = accepts
    with pytest.raises(rm.BackendError, match=f"Backend 'broken' {message}"):
        compiled().solve(backend=backend)


class Reporting:
    """Solves nothing, but reports as told."""

    name, supports = "reporting", EVERY

    def __init__(self, accepts, act):
        self.accepts, self.act = accepts, act

    def solve(self, problem, options):
        self.problem, self.options = problem, options
        with options.catching_interrupt():
            self.act(options)
        return rm.RawSolution(options.stopped or "failed", message="nothing done")


@pytest.mark.parametrize("accepts", [rm.ConicForm, rm.Program])
def test_history_is_in_the_units_of_the_program(accepts):
    """A conic backend sees the objective divided by beta, one that takes the program sees it as it is."""
    program, unit = compiled(), 0.05
    backend = Reporting(accepts, lambda options: options.report(1, objective=2.0, bound=1.0))
    (line,) = program.solve(backend=backend).history
    factor = unit if accepts is rm.ConicForm else 1.0
    assert (line.objective, line.bound) == (2.0 * factor, 1.0 * factor)
    point = np.random.default_rng(0).standard_normal(program.n_variables)
    if accepts is rm.Program:
        assert backend.problem.objective(point) == program.objective(point)
    else:
        np.testing.assert_allclose(backend.problem.c * factor, program.conic().c, rtol=1e-15)
        np.testing.assert_allclose(backend.problem.P.toarray() * factor, program.conic().P.toarray(), rtol=1e-15)


def test_a_backend_without_quadratics_gets_a_cone():
    class Conic(Reporting):
        supports = EVERY - {"quadratic"}

    backend = Conic(rm.ConicForm, lambda options: None)
    program = compiled()
    assert "quadratic" in program.kinds
    program.solve(backend=backend)
    assert backend.problem.kinds == program.kinds - {"quadratic"} | {"second-order"}


def test_ctrl_c_leaves_a_solution():
    before = signal.getsignal(signal.SIGINT)
    solution = compiled().solve(backend=Reporting(rm.ConicForm, lambda options: signal.raise_signal(signal.SIGINT)))
    assert check(solution).status == "interrupted"
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("accepts", [rm.ConicForm, rm.Program])
def test_ctrl_c_in_a_backend_that_cannot_stop_leaves_a_solution_too(accepts):
    def interrupt(options):
        raise KeyboardInterrupt

    warm = compiled().solve()
    solution = compiled().solve(backend=Reporting(accepts, interrupt), warm_start=warm)
    assert check(solution).objective == warm.objective
    assert "Ctrl-C" in solution.message


@pytest.mark.parametrize("after", [0, 2])
def test_a_callback_can_stop(after):
    seen = []
    solution = compiled().solve(callback=lambda p: seen.append(p) or len(seen) > after)
    assert check(solution).status == "interrupted"
    assert len(seen) == after + 1
    assert solution.history[: len(seen)] == seen


def test_an_error_in_a_callback_reaches_the_user():
    def callback(progress):
        raise ZeroDivisionError("in my callback")

    with pytest.raises(ZeroDivisionError, match="in my callback"):
        compiled().solve(callback=callback)


def test_a_time_limit_is_passed_on_and_reported():
    def wait(options):
        while not options.report(1):
            time.sleep(0.02)

    backend = Reporting(rm.ConicForm, wait)
    assert check(compiled().solve(backend=backend, time_limit=1.0)).status == "time limit"
    assert backend.options.time_limit == 1.0


def test_iteration_limits_are_honest():
    solution = check(compiled().solve(max_iter=1))
    assert solution.status == "tolerance not reached"
    assert solution.gap > 1e-6
    assert solution.iterations == 1


def test_a_looser_tolerance_is_met_too():
    solution = compiled().solve(tol=1e-2, max_iter=4)
    assert check(solution, tol=1e-2).tol == 1e-2


@pytest.mark.parametrize("model", MODELS[::13], ids=label)
def test_a_warm_start_is_never_made_worse(model):
    program = compiled(model)
    rng = np.random.default_rng(0)
    idle = Reporting(rm.ConicForm, lambda options: None)
    for _ in range(3):
        start = program.inverse.repair(program, rng.standard_normal(program.n_variables) / 10)
        cold = program.solve(backend=idle)
        warm = check(program.solve(backend=idle, warm_start=start))
        assert warm.objective <= min(program.objective(start), cold.objective)
        np.testing.assert_array_equal(idle.options.warm_start[: program.n_variables], start)
        assert not idle.options.warm_start[program.n_variables :].any()
    best = program.solve()
    assert program.solve(backend=idle, warm_start=best).objective == best.objective
    assert program.solve(warm_start=best).objective <= best.objective


def test_a_warm_start_outside_the_cones_is_repaired():
    program = compiled()
    start = np.random.default_rng(0).standard_normal(program.n_variables)
    assert program.violation(start) > 0
    check(program.solve(backend=Reporting(rm.Program, lambda options: None), warm_start=start))


def test_a_solution_of_another_program_is_refused():
    other = compiled(n=5).solve()
    with pytest.raises(rm.InputError, match="A point of this program has shape"):
        compiled().solve(warm_start=other)


def test_verbose_says_what_is_solved_and_what_came_out(capfd):
    solution = compiled().solve(verbose=True)
    text = capfd.readouterr().out
    assert f"relumodel: {solution.program!r}, backend admm" in text
    assert str(solution) in text
    compiled().solve()
    assert capfd.readouterr().out == ""


BETAS = [0.01, 1.0, 0.1, 1.0]


@pytest.mark.parametrize("model", LOSS_AND_PENALTY, ids=label)
def test_a_path_agrees_with_separate_solves(model):
    X, y = example(model)
    patterns = rm.SamplePatterns(5, seed=0)
    solutions = rm.path(model, X, y, betas=iter(BETAS), patterns=patterns)
    assert [s.program.model.penalty.beta for s in solutions] == BETAS
    for beta, solution in zip(BETAS, solutions, strict=True):
        alone = rm.Model(model.network, model.loss, type(model.penalty)(beta)).compile(X, y, patterns=patterns).solve()
        assert check(solution).objective == pytest.approx(alone.objective, rel=3e-6)
        assert solution.bound <= alone.objective * (1 + 1e-9)
        network = solution.network()
        assert network.objective(solution.program.model, X, y) == pytest.approx(solution.objective, rel=1e-9)


def test_a_path_starts_each_from_the_one_before():
    """Largest penalty first, whatever the order given."""
    seen = []

    class Watching:
        name, accepts, supports = "watching", rm.Program, EVERY

        def solve(self, problem, options):
            seen.append((problem.model.penalty.beta, options.warm_start))
            return rm.RawSolution("solved", problem.solve().point)

    model = LOSS_AND_PENALTY[0]
    X, y = example(model)
    small, large = rm.path(model, X, y, betas=[0.01, 0.1], patterns=rm.SamplePatterns(2), backend=Watching())
    assert [beta for beta, _ in seen] == [0.1, 0.01]
    assert seen[0][1] is None
    np.testing.assert_array_equal(seen[1][1], large.point)
    assert small.objective < large.objective
    rm.path(model, X, y, betas=[1], patterns=rm.SamplePatterns(2), backend=Watching(), warm_start=small)
    np.testing.assert_array_equal(seen[2][1], small.point)


@pytest.mark.parametrize(
    ("betas", "error", "message"),
    [
        ([], rm.InputError, "betas is empty; give at least one penalty strength"),
        (1.0, rm.InputTypeError, "betas must be a sequence of numbers; got 1.0"),
        ("ab", rm.InputTypeError, "every beta must be a number; got 'a'"),
        ([1, None], rm.InputTypeError, "every beta must be a number; got None"),
        ([1, float("inf")], rm.InputError, "every beta must be a finite number"),
    ],
)
def test_bad_paths(betas, error, message):
    model = LOSS_AND_PENALTY[0]
    with pytest.raises(error, match=message):
        rm.path(model, *example(model), betas=betas, patterns=rm.SamplePatterns(2))


@given(st.integers(0, 10**6))
def test_the_same_call_gives_the_same_answer(seed):
    model = MODELS[seed % len(MODELS)]
    first, second = (compiled(model, rm.SamplePatterns(3, seed=seed)).solve() for _ in range(2))
    np.testing.assert_array_equal(first.point, second.point)
    assert first.bound == second.bound


class Weak:
    """Gives up at zero."""

    name = "weak"
    accepts = rm.Program
    supports: ClassVar = {"zero", "nonnegative", "second-order", "exponential", "quadratic"}

    def solve(self, problem, options):
        return rm.RawSolution("inaccurate", np.zeros(problem.n_variables), message="gave up")


def test_auto_goes_on_with_the_next_backend_where_the_first_misses_the_gap(monkeypatch):
    monkeypatch.setattr("relumodel.solve.choose.AUTO", ("weak", "clarabel"))
    monkeypatch.setattr("relumodel.solve.registry._registered", {"weak": Weak()})
    solution = compiled().solve()
    assert (solution.status, solution.backend) == ("optimal", "clarabel")
    assert solution.message.startswith("weak left a gap of")
    assert "gave up" in solution.message
    alone = compiled().solve(backend="weak")
    assert alone.status == "tolerance not reached"
    assert alone.bound <= solution.objective


class Choosy(Weak):
    """Declines everything, or is reluctant."""

    name = "choosy"

    def declines(self, problem):
        return "it is not in the mood"


class Reluctant(Weak):
    def reluctant(self, problem, tol):
        return tol < 1e-2


def test_a_backend_that_declines_is_named_with_those_that_do_not():
    with pytest.raises(
        rm.BackendError, match=r"'choosy' cannot take this program: it is not in the mood. Backends that can: .*clarabel"
    ):
        compiled().solve(backend=Choosy())


def test_auto_asks_a_reluctant_backend_last(monkeypatch):
    monkeypatch.setattr("relumodel.solve.choose.AUTO", ("weak", "clarabel"))
    monkeypatch.setattr("relumodel.solve.registry._registered", {"weak": Reluctant()})
    assert choose(compiled(), "auto", 1e-1)[0][0].name == "weak"
    names = [solver.name for solver in choose(compiled(), "auto", 1e-6)[0]]
    assert names.index("clarabel") < names.index("weak")
    assert compiled().solve().message == compiled().solve(backend="clarabel").message
