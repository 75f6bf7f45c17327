import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relumodel as rm
from data_strategies import COVERING, LOSS_AND_PENALTY, MODELS, example, label, problems
from pairwise import pairwise
from reference import optimum
from relumodel.certify.bound import certify, gradients, relative_gap
from relumodel.certify.scaling import scaled_bound
from relumodel.conic.assemble import assemble
from relumodel.functions.base import SampleLoss


@functools.cache
def known(model):
    """(program, its optimum according to CVXPY)."""
    X, y = example(model)
    program = model.compile(X, y, patterns=rm.SamplePatterns(4, seed=1))
    return program, optimum(model, X, y, program.patterns)


@functools.cache
def solution_of(model):
    """Of its program."""
    return known(model)[0].solve()


def random_duals(program, seed):
    """Multipliers of very different size for every term, in no domain in particular."""
    rng = np.random.default_rng(seed)
    return {t.name: rng.standard_normal(t.map.shape[0]) * 10.0 ** rng.integers(-6, 7) for t in program.terms}


def check(program, dual):
    """The certificate proves its bound: sum_j K_j'q_j = 0, every q_j in its domain, bound = - sum_j f_j*(q_j)."""
    q = dual.multipliers
    total = sum(t.map.adjoint(q[t.name]) for t in program.terms)
    size = sum(abs(t.map.matrix()).T @ np.abs(q[t.name]) for t in program.terms)
    assert (np.abs(total) <= 1e-13 * size).all()  # to the rounding of its own size, not of the candidate's
    for t in program.terms:
        np.testing.assert_allclose(t.function.project_dual(q[t.name]), q[t.name], rtol=1e-9, atol=1e-12)
    assert dual.bound == pytest.approx(-sum(t.function.conjugate(q[t.name]) for t in program.terms), abs=1e-12)


MARGIN = 1e-7  # what CVXPY's optimum is good to

every_loss = pytest.mark.parametrize("model", [*LOSS_AND_PENALTY, *MODELS[-2:]], ids=label)


@every_loss
def test_no_candidate_proves_more_than_the_optimum(model):
    program, best = known(model)
    rng = np.random.default_rng(0)
    for seed in range(4):
        point = program.inverse.repair(program, rng.standard_normal(program.n_variables))
        for duals in (None, random_duals(program, seed)):
            dual = certify(program, point, duals)
            assert 0 <= dual.bound <= best + MARGIN
            check(program, dual)


@every_loss
def test_a_bound_at_the_optimum_is_tight(model):
    """From the solver's dual, and from the point alone where the loss is smooth."""
    program, best = known(model)
    solution = solution_of(model)
    assert solution.bound == pytest.approx(best, rel=2e-6)
    if type(model.loss) not in (rm.Absolute, rm.Hinge):
        assert certify(program, solution.point).bound == pytest.approx(best, rel=1e-2)


@given(problems(), st.integers(0, 99))
def test_weak_duality_on_degenerate_data(problem, seed):
    """Any certificate is below any feasible point."""
    model, X, y = problem
    program = model.compile(X, y, patterns=rm.EnumeratePatterns())
    rng = np.random.default_rng(seed)
    point = program.inverse.repair(program, rng.standard_normal(program.n_variables))
    dual = certify(program, point, random_duals(program, seed))
    check(program, dual)
    assert dual.bound <= program.objective(point) * (1 + 1e-12)
    assert dual.bound <= program.solve().objective * (1 + 1e-9)


@pytest.mark.parametrize(
    ("size", "where", "model"),
    pairwise(
        [np.nan, np.inf, -np.inf, 1e160, -1e160, 1.7e308, -1.7e308],
        ["loss", "cones", "penalty"],
        LOSS_AND_PENALTY[:2] + LOSS_AND_PENALTY[-2:],
    ),
    ids=lambda value: label(value) if isinstance(value, rm.Model) else None,
)
def test_garbage_proves_nothing_but_does_no_harm(size, where, model):
    """Huge multipliers overflow on the way (inf - inf); the bound must stay below the optimum."""
    program, best = known(model)
    solution = solution_of(model)
    duals = gradients(program, np.zeros(program.n_variables))
    duals[where] = np.full_like(duals[where], size)
    dual = certify(program, solution.point, duals)
    assert 0 <= dual.bound <= best + MARGIN


def test_garbage_does_not_hide_what_the_point_proves():
    program, best = known(LOSS_AND_PENALTY[0])
    solution = program.solve()
    garbage = {t.name: np.full(t.map.shape[0], np.nan) for t in program.terms}
    assert certify(program, solution.point, garbage).bound == certify(program, solution.point).bound > 0.9 * best


def test_the_better_of_two_candidates_counts():
    program, best = known(LOSS_AND_PENALTY[0])
    solution = program.solve()
    nothing = {t.name: np.zeros(t.map.shape[0]) for t in program.terms}
    assert certify(program, solution.point, nothing).bound >= certify(program, solution.point).bound
    raw = {name: 3 * q for name, q in solution.dual.items()}  # three times too long: scaled back
    assert certify(program, np.zeros(program.n_variables), raw).bound == pytest.approx(best, rel=1e-2)


def test_huge_cone_multipliers_leave_no_rounding_behind():
    """With a good loss part the cones' part is found anew; what 1e8 rounded away must not stay in the certificate."""
    program, best = known(LOSS_AND_PENALTY[0])
    duals = program.solve().dual
    duals["cones"] = -1e8 * np.random.default_rng(0).random(len(duals["cones"]))
    dual = certify(program, np.zeros(program.n_variables), duals)
    assert dual.bound == pytest.approx(best, rel=1e-4)
    check(program, dual)


def test_by_hand():
    """min over v, w >= 0 of (v - w - 2)^2 / 2 + (v + w) / 2 has v = 1.5, loss gradient -1/2 and value 7/8.

    From the point v = 0 the gradient is -2, its dual norm 2 where 1/2 is allowed; scaled by 1/4 it is the optimal -1/2.
    From v = 2 the gradient is 0 and proves the bound 0.
    """
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(reduction="sum"), rm.WeightDecay(0.5))
    program = model.compile([[1.0]], [2.0], patterns=rm.GivenPatterns([[1]]))
    np.testing.assert_array_equal(gradients(program, np.array([0.0, 0.0]))["loss"], [-2])
    assert certify(program, np.array([0.0, 0.0])).bound == pytest.approx(0.875, rel=1e-12)
    assert certify(program, np.array([2.0, 0.0])).bound == 0
    dual = certify(program, np.array([1.5, 0.0]))
    assert dual.bound == pytest.approx(0.875, rel=1e-12)
    np.testing.assert_allclose(dual.multipliers["loss"], [-0.5], rtol=1e-12)


@pytest.mark.parametrize("model", COVERING, ids=label)
def test_the_solvers_multipliers_arrive_with_the_right_signs(model):
    """The conic dual, composed term by term, is nearly stationary and nearly in every domain before any repair."""
    X, y = example(model)
    program = model.compile(X, y, patterns=rm.SamplePatterns(4, seed=1))
    assembled, raw = assemble(program), {}

    class Listening:
        name, accepts, supports = "listening", rm.ConicForm, {"zero", "nonnegative", "second-order", "exponential", "quadratic"}

        def solve(self, problem, options):
            from relumodel.backend import find

            answer = find("clarabel").solve(problem, options)
            raw["dual"] = answer.dual * model.penalty.beta
            return answer

    assert program.solve(backend=Listening()).status == "optimal"
    q = assembled.duals(raw["dual"])
    total = sum(t.map.adjoint(q[t.name]) for t in program.terms)
    np.testing.assert_allclose(total, 0, atol=1e-5)
    for t in program.terms:
        np.testing.assert_allclose(t.function.project_dual(q[t.name]), q[t.name], atol=1e-5)


@pytest.mark.parametrize(
    ("objective", "bound", "gap"),
    [
        (2.0, 1.0, 0.5),
        (2.0, 2.0, 0.0),
        (2.0, 0.0, 1.0),
        (0.0, 0.0, 0.0),
        (0.0, -1.0, np.inf),
        (1.0, 1.0 + 1e-13, 0.0),  # rounding
        (1.0, 1.1, -0.1),  # an impossible bound is not hidden
        (-2.0, -3.0, 0.5),
    ],
)
def test_relative_gap(objective, bound, gap):
    assert relative_gap(objective, bound) == pytest.approx(gap)


@pytest.mark.parametrize("gauge", [0.0, 1e-13, 1e-6, 0.5])
def test_a_gauge_of_next_to_nothing_leaves_the_multiplier_as_it_is(gauge):
    """A scale of 1e10 is allowed then, and the best one, 1, was not found in an interval of that size."""
    loss = SampleLoss.bind(rm.SquaredHinge(reduction="sum"), np.array([-1.0, 1.0]))
    q = loss.gradient(np.zeros(2))
    assert scaled_bound([(loss, q)], gauge)[1] == pytest.approx(2.0)
