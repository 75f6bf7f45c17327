"""The conformance kit: every built-in backend passes it, and every kind of lie is caught by the check that is there for it."""

import dataclasses
import os

import numpy as np
import pytest
from scipy import sparse

import relumodel as rm
from relumodel.conic.form import Cone
from relumodel.solve import registry
from relumodel.testing import CHECKS, ConformanceError, check_backend
from relumodel.testing.honesty import dual_cone_violation

#: but torch, of which tests/backends_torch runs the part that does not take long
AVAILABLE = [info.name for info in rm.backends() if info.available and info.name != "torch"]
QUICK = [name for name in CHECKS if name != "time_limit"]


@pytest.mark.parametrize("name", AVAILABLE)
def test_every_built_in_backend_passes(name):
    report = check_backend(name)
    assert report.ok
    assert len(report.passed) + len(report.skipped) == len(CHECKS)
    assert "honest_status" in {outcome.name for outcome in report.passed}


@pytest.mark.parametrize("name", QUICK)
def test_every_check_runs_alone(name):
    report = check_backend("clarabel", only=[name])
    assert [outcome.name for outcome in report.passed] == [name]


def test_checks_say_what_they_are():
    for name, check in CHECKS.items():
        assert check.name == name
        assert check.about
        assert check.since == "0.1"


class Wrapped:
    """An honest backend with something done to it: lie(solve, problem, options) -> RawSolution."""

    def __init__(self, lie=None, inner="clarabel", **attributes):
        self.inner, self.lie = registry.find(inner), lie
        self.name, self.accepts, self.supports = "wrapped", self.inner.accepts, self.inner.supports
        self.__dict__.update(attributes)

    def solve(self, problem, options):
        return self.inner.solve(problem, options) if self.lie is None else self.lie(self.inner.solve, problem, options)


def answering(change):
    """A lie in the answer: the fields that `change(raw, problem)` returns replace the honest ones."""

    def lie(solve, problem, options):
        raw = solve(problem, options)
        return dataclasses.replace(raw, **change(raw, problem)) if raw.x is not None else raw

    return lie


def stops_early(solve, problem, options):
    options.extra = {"max_iter": 2}
    return dataclasses.replace(solve(problem, options), status="solved")


def calls_everything_solved(solve, problem, options):
    raw = solve(problem, options)
    return raw if raw.status == "solved" else rm.RawSolution("solved", np.zeros_like(problem.c))


def confuses_infeasible_and_unbounded(solve, problem, options):
    raw = solve(problem, options)
    return dataclasses.replace(raw, status={"unbounded": "infeasible", "infeasible": "unbounded"}.get(raw.status, raw.status))


def gives_another_dual(solve, problem, options):
    """With a linear objective dual feasibility does not depend on b, so another b gives a feasible dual with a gap."""
    raw = solve(problem, options)
    if problem.P.nnz or raw.x is None:
        return raw
    other = solve(dataclasses.replace(problem, b=problem.b + np.linspace(0, 0.1, len(problem.b))), rm.Options())
    return dataclasses.replace(raw, dual=other.dual) if other.status == "solved" else raw


def writes_into_the_problem(solve, problem, options):
    raw = solve(problem, options)
    problem.A.data[0] += 1e-9
    return raw


def changes_the_warm_start(solve, problem, options):
    if options.warm_start is not None:
        options.warm_start[0] = 1.0
    return solve(problem, options)


def prints(solve, problem, options):
    print("hello")
    return solve(problem, options)


def prints_below_python(solve, problem, options):
    os.write(1, b"hello from C")
    return solve(problem, options)


def forgets_the_clock(solve, problem, options):
    return solve(problem, rm.Options(options.tol))


def throws_dice(rng):
    return answering(lambda raw, problem: {"x": raw.x + 1e-6 * rng.standard_normal(len(raw.x))})


def ignores_the_callback(solve, problem, options):
    raw = solve(problem, rm.Options())
    for i in range(raw.iterations or 0):
        options.report(i, objective=raw.objective or 0.0)
    return raw


def goes_on_after_the_callback(solve, problem, options):
    raw = ignores_the_callback(solve, problem, options)
    return dataclasses.replace(raw, status=options.stopped or raw.status)


def reports_in_other_units(solve, problem, options):
    raw = solve(problem, rm.Options())
    options.report(1, objective=7 * (raw.objective or 0.0))
    return raw


def crashes(solve, problem, options):
    raise ZeroDivisionError("oops")


def crashes_when_verbose(solve, problem, options):
    return crashes(solve, problem, options) if options.verbose else solve(problem, options)


def permutes_exponential_cones(solve, problem, options):
    order = np.arange(len(problem.b))
    triples = order[problem.rows("exponential")].reshape(-1, 3)
    triples[:] = triples[:, [0, 2, 1]]
    raw = solve(dataclasses.replace(problem, A=sparse.csc_array(problem.A.tocsr()[order]), b=problem.b[order]), options)
    return raw if raw.x is None else dataclasses.replace(raw, dual=raw.dual[np.argsort(order)])


def takes_cones_for_orthants(solve, problem, options):
    cones = [Cone("nonnegative", c.size) if c.kind == "second-order" else c for c in problem.cones]
    merged = [c for c in cones if c.kind == "zero"]
    merged += [Cone("nonnegative", total)] if (total := sum(c.size for c in cones if c.kind == "nonnegative")) else []
    return solve(dataclasses.replace(problem, cones=(*merged, *(c for c in cones if c.kind == "exponential"))), options)


def nothing(solve, problem, options):
    return None


LIES = [
    # (what it does, the check that must catch it)
    (stops_early, "honest_status"),
    (stops_early, "soft_threshold"),
    (calls_everything_solved, "infeasible"),
    (calls_everything_solved, "unbounded"),
    (confuses_infeasible_and_unbounded, "infeasible"),
    (answering(lambda raw, problem: {"status": "failed"}), "honest_status"),
    (answering(lambda raw, problem: {"status": "fine"}), "known_status"),
    (answering(lambda raw, problem: {"objective": 1.01 * raw.objective}), "honest_objective"),
    (answering(lambda raw, problem: {"objective": raw.objective - problem.offset}), "quadratic_objective"),
    (answering(lambda raw, problem: {"dual": -raw.dual}), "dual_in_cone"),
    (answering(lambda raw, problem: {"dual": -raw.dual}), "equality_rows"),
    (answering(lambda raw, problem: {"dual": 1.01 * raw.dual}), "dual_stationary"),
    (answering(lambda raw, problem: {"dual": np.zeros_like(raw.dual)}), "dual_stationary"),
    (gives_another_dual, "dual_value"),
    (answering(lambda raw, problem: {"x": raw.x[:-1]}), "shapes"),
    (answering(lambda raw, problem: {"x": raw.x[:, None]}), "shapes"),
    (answering(lambda raw, problem: {"x": np.full_like(raw.x, np.nan)}), "shapes"),
    (answering(lambda raw, problem: {"dual": raw.dual[1:]}), "shapes"),
    (answering(lambda raw, problem: {"x": None}), "shapes"),
    (answering(lambda raw, problem: {"x": 0.99 * raw.x}), "active_cones"),
    (answering(lambda raw, problem: {"x": 0.99 * raw.x}), "certified"),
    (writes_into_the_problem, "leaves_data_alone"),
    (changes_the_warm_start, "warm_start"),
    (prints, "quiet"),
    (prints_below_python, "quiet"),
    (throws_dice(np.random.default_rng(0)), "repeatable"),
    (ignores_the_callback, "callback_stops"),
    (goes_on_after_the_callback, "callback_stops"),
    (reports_in_other_units, "progress_units"),
    (crashes, "soft_threshold"),
    (crashes, "linear_program"),
    (crashes_when_verbose, "verbose"),
    (permutes_exponential_cones, "exponential_rows"),
    (permutes_exponential_cones, "logistic_root"),
    (takes_cones_for_orthants, "second_order_rows"),
    (nothing, "shapes"),
]


@pytest.mark.parametrize(("lie", "caught_by"), LIES)
def test_lies_are_caught_by_name(lie, caught_by):
    report = check_backend(Wrapped(lie), only=[caught_by], raise_on_failure=False)
    assert [outcome.name for outcome in report.failed] == [caught_by]
    assert report.failed[0].detail


def test_a_backend_that_ignores_the_clock_is_caught():
    report = check_backend(Wrapped(forgets_the_clock), only=["time_limit"], raise_on_failure=False)
    assert "where the whole solve takes" in report.failed[0].detail


def test_a_false_dual_is_told_from_an_infeasible_one():
    """The other duals are feasible, only not optimal: one check fails and its neighbours pass."""
    report = check_backend(
        Wrapped(gives_another_dual), only=["dual_in_cone", "dual_stationary", "dual_value"], raise_on_failure=False
    )
    assert [outcome.name for outcome in report.passed] == ["dual_in_cone", "dual_stationary"]


def test_wrapping_alone_fails_nothing():
    assert check_backend(Wrapped(), only=QUICK).ok


def on_multipliers(change):
    return answering(lambda raw, problem: {"dual": change(raw.dual)})


@pytest.mark.parametrize(
    ("lie", "caught_by"),
    [
        (on_multipliers(lambda q: {name: -part for name, part in q.items()}), "dual_in_cone"),
        (on_multipliers(lambda q: {**q, "loss": 0.99 * q["loss"]}), "dual_stationary"),
        (on_multipliers(lambda q: {name: 0 * part for name, part in q.items()}), "dual_value"),
        (on_multipliers(lambda q: {name: part for name, part in q.items() if name != "loss"}), "shapes"),
        (on_multipliers(lambda q: {**q, "loss": q["loss"][1:]}), "shapes"),
        (on_multipliers(lambda q: q["loss"]), "shapes"),
        (answering(lambda raw, problem: {"objective": raw.objective / problem.model.penalty.beta}), "honest_objective"),
    ],
)
def test_lies_of_a_backend_that_takes_programs(lie, caught_by):
    report = check_backend(Wrapped(lie, "cvxpy"), only=[caught_by], raise_on_failure=False)
    assert [outcome.name for outcome in report.failed] == [caught_by]


def test_a_changed_program_is_noticed():
    def lie(solve, problem, options):
        raw = solve(problem, options)
        problem.term("loss").function.tau[0] += 1.0
        return raw

    report = check_backend(Wrapped(lie, "cvxpy"), only=["leaves_data_alone"], raise_on_failure=False)
    assert "problem.terms[0].function.tau" in report.failed[0].detail
    assert check_backend("cvxpy", only=["soft_threshold"]).ok  # the kit itself is unharmed


def test_missing_capabilities_are_skipped_by_name():
    report = check_backend(Wrapped(supports={"zero", "nonnegative"}), only=QUICK)
    reasons = {outcome.name: outcome.detail for outcome in report.skipped}
    assert reasons["soft_threshold"] == "it does not support second-order, quadratic"
    assert reasons["exponential_rows"] == "it does not support exponential"
    assert "hinge_linear_program" not in reasons
    report = check_backend(Wrapped(supports={"zero"}), only=QUICK)
    assert {outcome.name for outcome in report.passed} == {"protocol"}


def test_without_quadratics_cones_are_tried_instead():
    report = check_backend(Wrapped(supports={"zero", "nonnegative", "second-order", "exponential", "semidefinite"}), only=QUICK)
    assert [outcome.name for outcome in report.skipped] == ["quadratic_objective"]


def test_no_dual_and_no_objective_are_allowed_and_said():
    silent = Wrapped(answering(lambda raw, problem: {"dual": None, "objective": None}))
    reasons = {outcome.name: outcome.detail for outcome in check_backend(silent, only=QUICK).skipped}
    assert set(reasons) == {"honest_objective", "dual_in_cone", "dual_stationary", "dual_value", "certified"}
    assert reasons["honest_objective"] == "it reports no objective"


def test_declining_perturbations_is_no_failure():
    def lie(solve, problem, options):
        if type(problem.term("loss").function).__name__ != "SampleLoss":
            raise rm.BackendError("no perturbations here")
        return solve(problem, options)

    report = check_backend(Wrapped(lie, "cvxpy"), only=["perturbed_hinge", "honest_status"])
    assert report.skipped[0].detail == "it declines perturbed samples: no perturbations here"


def test_the_error_lists_every_failure():
    with pytest.raises(ConformanceError) as caught:
        check_backend(Wrapped(prints), only=["quiet", "linear_program", "protocol"])
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value, rm.RelumodelError)
    assert caught.value.report.failed[0].name == "quiet"
    assert str(caught.value).splitlines()[0].startswith("backend wrapped: 2 passed, 1 failed, 0 skipped in")
    assert "FAILED   quiet: " in str(caught.value)
    assert "it printed 'hello'" in str(caught.value)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"options": ["max_iter"]}, "options must be a dictionary"),
        ({"options": {"max_iter": 3}}, "options must be a dictionary"),
    ],
)
def test_the_optional_parts_are_looked_at(attributes, message):
    with pytest.raises(ConformanceError, match=message):
        check_backend(Wrapped(**attributes), only=["protocol"])


def test_what_cannot_be_checked():
    with pytest.raises(rm.InputTypeError, match="A backend is an instance; got the class Wrapped"):
        check_backend(Wrapped)
    with pytest.raises(rm.BackendError, match="There is no backend 'gurobi'"):
        check_backend("gurobi")
    with pytest.raises(rm.MissingPackageError, match="not today"):
        check_backend(Wrapped(unavailable=lambda: "not today"))
    with pytest.raises(rm.InputError, match="There is no check 'speed'; there are protocol"):
        check_backend("clarabel", only=["speed"])
    with pytest.raises(rm.InputError, match="tol must be a finite number > 0"):
        check_backend("clarabel", tol=0)


@pytest.mark.parametrize("seed", range(20))
def test_exponential_dual_cone(seed):
    """(u, v, w) is in the dual cone when it has a non-negative product with every point of the cone."""
    rng = np.random.default_rng(seed)
    form = rm.ConicForm(
        sparse.csc_array((1, 1)), np.zeros(1), sparse.csc_array((3, 1)), np.zeros(3), (Cone("exponential", 3),), 0.0, ("x",)
    )
    x, y = 4 * rng.standard_normal(100_000), np.exp(3 * rng.standard_normal(100_000))
    points = np.column_stack([x, y, y * np.exp(np.minimum(x / y, 100))])
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    z = rng.standard_normal(3) * [-1, 1, 1] + [0, 0, 1]
    worst = float((points @ z).min())
    assert (dual_cone_violation(z, form) > 1e-2) == (worst < 0) or abs(worst) < 1e-2
