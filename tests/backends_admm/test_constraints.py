"""Constraints and sums of terms on the native engine's interior point: the optimum of the conic solver, whatever is asked of the values."""

import warnings

import numpy as np
import pytest

import relumodel as rm
from pairwise import pairwise

RNG = np.random.default_rng(5)
X, E = RNG.standard_normal((24, 3)), RNG.standard_normal((6, 3))
Y = np.sin(2 * X[:, 0]) + 0.2 * RNG.standard_normal(24)
SIGNS = np.where(Y > 0, 1.0, -1.0)
F = rm.TwoLayer(rm.ReLU(), bias=True)
PATTERNS = rm.SamplePatterns(10, seed=0)

LOSSES = {
    "squared": rm.Squared()(F(X), Y),
    "absolute": rm.Absolute()(F(X), Y),
    "logistic": rm.Logistic()(F(X), SIGNS),
    "hinge and pinball": rm.Hinge()(F(X[:12]), SIGNS[:12]) + 0.5 * rm.Pinball(0.8)(F(X[8:]), Y[8:]),
    "squared differences": rm.Squared()(F(X[:12]) - F(X[12:]), Y[:12]) + 0.1 * rm.norm(F(E), 1),
}
CONSTRAINTS = {
    "none": [],
    "bounds elsewhere": [F(E) <= 0.3, F(E) >= -0.4],
    "equations elsewhere": [F(E[:3]) == 0.1],
    "bounds where the data are": [F(X) <= 0.2],
    "a mean": [F(X).mean() <= -0.1],
    "differences": [F(X[:5]) - F(X[5:10]) == 0],
    "the largest": [rm.norm(F(E), np.inf) <= 0.2],
}


def interior(problem, tol=1e-7, patterns=PATTERNS, **options):
    program = problem.compile(patterns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return program.solve(backend="admm", tol=tol, method="interior point", **options)


def agrees_with_clarabel(problem, patterns=PATTERNS):
    ours = interior(problem, patterns=patterns)
    best = ours.program.solve(backend="clarabel", tol=1e-8)
    assert ours.status == "optimal", ours
    assert ours.violation <= 1e-9
    assert ours.objective == pytest.approx(best.objective, rel=1e-6, abs=1e-8)
    assert ours.bound <= best.objective * (1 + 1e-7) + 1e-9
    return ours


@pytest.mark.parametrize(("loss", "kind", "penalty"), pairwise(LOSSES, CONSTRAINTS, [rm.WeightDecay(0.02), rm.PathNorm(0.005)]))
def test_it_agrees_with_clarabel(loss, kind, penalty):
    agrees_with_clarabel(rm.Problem(LOSSES[loss] + penalty, CONSTRAINTS[kind]))


@pytest.mark.parametrize(
    ("activation", "constraints"),
    pairwise(
        [rm.ReLU(), rm.LeakyReLU(0.1), rm.GatedReLU()],
        [lambda f: [f(E) <= 0.1], lambda f: [f(E) == Y[:6]], lambda f: [f(X).mean() == 0.3, f(E) >= -0.2]],
    ),
)
def test_other_activations(activation, constraints):
    f = rm.TwoLayer(activation, bias=True)
    agrees_with_clarabel(rm.Problem(rm.Squared()(f(X), Y) + rm.WeightDecay(0.02), constraints(f)))


def test_equations_at_all_points():
    """Interpolation: no loss is left, and nothing is known of the optimum at the start."""
    many = rm.SamplePatterns(60, seed=0)
    agrees_with_clarabel(rm.Problem(rm.WeightDecay(0.1), [F(X) == Y]), many)
    agrees_with_clarabel(rm.Problem(rm.Squared()(F(X), Y) + rm.WeightDecay(0.1), [F(X) == 3 * Y]), many)


def test_bounds_that_hold_everywhere_or_nowhere():
    squared, decay = rm.Squared()(F(X), Y), rm.WeightDecay(0.02)
    free = interior(rm.Problem(squared + decay, [F(X) <= 100]))
    alone = interior(rm.Problem(squared + decay))
    assert free.objective == pytest.approx(alone.objective, rel=1e-6)
    active = agrees_with_clarabel(rm.Problem(squared + decay, [F(X) >= 5, F(E) >= 5]))
    assert active.network()(X).min() >= 5 - 1e-9


def test_the_same_said_twice_and_by_equal_points():
    twice = [F(E) == 0.1, F(E) == 0.1, F(np.vstack([E, E])) <= 0.5, 2 * F(E[:2]) == 0.2]
    agrees_with_clarabel(rm.Problem(rm.Squared()(F(X), Y) + rm.WeightDecay(0.02), twice))
    pinned = [F(E) <= 0.1, F(E) >= 0.1]  # no point is inside of these
    agrees_with_clarabel(rm.Problem(rm.Squared()(F(X), Y) + rm.WeightDecay(0.02), pinned))


def test_zero_rows():
    """Without a bias the network is 0 at 0: equations there hold by themselves, or never do."""
    f = rm.TwoLayer(rm.ReLU())
    points = np.vstack([X, np.zeros((2, 3))])
    terms = rm.Squared()(f(points), np.append(Y, [1.0, 2.0])) + rm.WeightDecay(0.02)
    ours = agrees_with_clarabel(rm.Problem(terms, [f(np.zeros(3)) == 0, f(np.vstack([E, np.zeros(3)])) <= 0.1]))
    assert ours.dual_of(ours.program.model.constraints[1]).shape == (7,)
    never = interior(rm.Problem(terms, [f(np.zeros(3)) == 1]))
    assert never.status == "infeasible"


def test_zero_is_optimal_within_constraints():
    terms = rm.Squared()(F(X), Y) + rm.WeightDecay(1e3)
    assert interior(rm.Problem(terms, [F(E) <= 0.5])).iterations == 0
    assert interior(rm.Problem(rm.WeightDecay(1.0), [F(E) <= 0.5])).objective == 0
    agrees_with_clarabel(rm.Problem(terms, [F(E) >= 0.1]))


@pytest.mark.parametrize(
    "constraints",
    [
        [F(E) <= 0.3, F(E[:2]) >= 0.4],
        [F(E).mean() == 1, F(E) <= 0.9],
        [F(X) == Y, F(X).sum() <= Y.sum() - 0.1],
    ],
    ids=["bounds", "a mean", "a sum"],
)
def test_contradictions_are_proved(constraints):
    for terms in (rm.WeightDecay(0.02), rm.Squared()(F(X), Y) + rm.WeightDecay(0.02)):
        solution = interior(rm.Problem(terms, constraints))
        assert solution.status == "infeasible", solution
        assert "prove" in solution.message
        assert solution.bound > 1e6  # what any network that satisfied them would cost
        assert solution.violation > 0


def test_infeasible_on_its_patterns():
    """One pattern is linear on all points; values that are not cannot be met, which no pair of values says."""
    line = np.linspace(-1, 1, 8)[:, None]
    solution = interior(
        rm.Problem(rm.WeightDecay(0.1), [F(line) == line[:, 0] ** 2]), patterns=rm.GivenPatterns(np.ones((8, 1), bool))
    )
    assert solution.status == "infeasible", solution
    assert solution.violation > 0.1
    few = interior(rm.Problem(rm.WeightDecay(0.1), [F(X) == Y]))
    assert few.status == "infeasible"


def test_multipliers_and_early_stops():
    problem = rm.Problem(rm.Squared()(F(X), Y) + rm.WeightDecay(0.02), [F(E) <= -0.2])
    best = interior(problem)
    (constraint,) = problem.constraints
    conic = best.program.solve(backend="clarabel", tol=1e-9)
    np.testing.assert_allclose(best.dual_of(constraint), conic.dual_of(constraint), atol=2e-4)
    for k in (2, 6, 10):
        stopped = interior(problem, callback=lambda progress, k=k: progress.iteration >= k)
        assert stopped.bound <= best.objective * (1 + 1e-9)
        assert stopped.status in ("interrupted", "optimal")


def test_a_warm_start_along_a_path():
    problem = rm.Problem(rm.Squared()(F(X), Y) + rm.WeightDecay(0.02), [F(E) <= 0.1])
    near = interior(problem)
    program = near.program.with_penalty(0.015)
    warm = program.solve(backend="admm", tol=1e-7, warm_start=near)
    assert warm.objective == pytest.approx(program.solve(backend="clarabel").objective, rel=1e-6)


def test_what_only_the_interior_point_reads_is_said():
    problem = rm.Problem(rm.Squared()(F(X), Y) + rm.WeightDecay(0.02), [F(X).mean() == 0])
    program = problem.compile(PATTERNS)
    for options in ({"method": "admm"}, {"dtype": "float32"}):
        with pytest.raises(rm.BackendError, match="sums of values"):
            program.solve(backend="admm", **options)
    with pytest.raises(rm.BackendError, match="does not know"):
        rm.Problem(rm.norm(F(X) - F(E).mean(), 2) + rm.WeightDecay(0.02)).compile(PATTERNS).solve(backend="admm")
