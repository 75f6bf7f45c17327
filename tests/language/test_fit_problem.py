"""`Problem.fit`: a network that keeps the constraints, and a bound on every other one that does."""

from __future__ import annotations

import numpy as np
import pytest

import relumodel as rm

RNG = np.random.default_rng(3)
X, E = RNG.uniform(-1, 1, (14, 2)), RNG.uniform(-1, 1, (6, 2))
Y = np.sin(3 * X[:, 0]) + 0.1 * RNG.normal(size=14)
F = rm.TwoLayer(rm.ReLU(), bias=True)
QUICK = rm.AdaptivePatterns(gap=1e-2, seed=0, starts=60, width=12, rounds=8)


def objective(problem: rm.Problem, network: rm.Network) -> float:
    """The terms at the network's own values, and its penalty."""
    total = problem.penalty.of_network(network.hidden_weights, network.output_weights)
    for term in problem.terms:
        z = sum(b.matrix @ network(b.points) for b in term.reading.blocks) + term.reading.offset
        total += float(term.bound().value(z))
    return total


def violation(problem: rm.Problem, network: rm.Network) -> float:
    amounts = []
    for c in problem.constraints:
        z = sum(b.matrix @ network(b.points) for b in c.reading.blocks) + c.reading.offset
        amounts.append(c.violation(z))
    return max(amounts, default=0.0)


PROBLEMS = {
    "pinball alone": rm.Problem(rm.Pinball(0.8)(F(X), Y) + rm.WeightDecay(0.02)),
    "two terms": rm.Problem(rm.Squared()(F(X), Y) + 0.5 * rm.norm(F(E), 1) + rm.WeightDecay(0.02)),
    "bounds": rm.Problem(rm.Squared()(F(X), Y) + rm.WeightDecay(0.02), [F(E) <= 0.1, F(np.zeros(2)) == 0]),
    "mean and norm": rm.Problem(
        rm.Absolute()(F(X), Y) + rm.PathNorm(0.02), [F(X[:7]).mean() - F(X[7:]).mean() <= 0.05, rm.norm(F(E), 2) <= 0.5]
    ),
    "interpolation": rm.Problem(rm.WeightDecay(0.02), [F(X[:6]) == Y[:6]]),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_network_is_what_the_result_says(name: str) -> None:
    problem = PROBLEMS[name]
    found = problem.fit(QUICK)
    assert found.status == "optimal"
    assert found.objective == pytest.approx(objective(problem, found.network), rel=1e-8)
    assert violation(problem, found.network) <= 1e-9
    assert found.violation <= 1e-9
    assert found.bound <= found.objective
    assert found.gap <= 1e-2
    # no program on other patterns is below the bound, and the constraints cost something or nothing
    other = problem.compile(rm.SamplePatterns(16, seed=5)).solve()
    if other.status == "optimal":
        assert other.objective >= found.bound - 1e-9
    if problem.constraints and problem.terms:
        free = rm.Problem(sum(problem.terms[1:], problem.terms[0]) + problem.penalty).fit(QUICK)
        assert free.bound <= found.objective


def test_all_patterns_give_the_optimum_that_a_fit_bounds() -> None:
    x, y = X[:5], Y[:5]
    problem = rm.Problem(rm.Squared()(F(x), y) + rm.WeightDecay(0.01), [F(x[:2]) <= 0.2, F(x[3]) == 0.1])
    exact = problem.compile(rm.EnumeratePatterns()).solve(tol=1e-7)
    found = problem.fit(rm.AdaptivePatterns(gap=1e-4, seed=0))
    assert exact.program.guarantee.kind == "exact"
    assert found.bound <= exact.objective * (1 + 1e-7)
    assert exact.objective <= found.objective * (1 + 1e-6)
    assert found.objective == pytest.approx(exact.objective, rel=2e-4)


def test_what_no_network_satisfies_is_infeasible() -> None:
    problem = rm.Problem(rm.Squared()(F(X), Y) + rm.WeightDecay(0.02), [F(X) >= 1, F(X[:2]) <= 0.5])
    found = problem.fit(QUICK)
    assert found.status == "infeasible"
    assert found.violation >= 0.2
    program = problem.compile(rm.SamplePatterns(20, seed=0))
    solution = program.solve()
    assert solution.status == "infeasible"
    assert solution.violation >= 0.2
    with pytest.raises(rm.BackendError, match="infeasible"):
        solution.network()


def test_patterns_that_do_not_adapt_are_priced() -> None:
    found = PROBLEMS["bounds"].fit(rm.SamplePatterns(30, seed=0))
    assert found.bound_kind == "estimated"
    assert found.bound <= found.objective
    assert found.violation <= 1e-9
    exact = (
        rm.Problem(rm.Squared()(g(X), Y) + rm.WeightDecay(0.02), [g(E) <= 0.1])
        if (g := rm.TwoLayer(rm.Polynomial(), True))
        else None
    )
    assert exact.fit().bound_kind == "certified"


def test_kinds_that_do_not_adapt_say_so() -> None:
    gated = rm.TwoLayer(rm.GatedReLU(), bias=True)
    with pytest.raises(rm.InputError, match="fit a problem of"):
        rm.Problem(rm.Squared()(gated(X), Y) + rm.WeightDecay(0.02)).fit()
