"""Bounds everywhere in boxes: kept at every point that is tried, proved, and not far above a bound on all networks that keep them."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd
import pytest

import relumodel as rm
from relumodel.fit.columns import entering
from relumodel.fit.directions import Wanted, affine, on_directions
from relumodel.lift.problem import Read

RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.uniform(-1, 1, (16, 2)), columns=["age", "income"])
Y = X.age.to_numpy() ** 3 + 0.5 * np.sin(4 * X.income.to_numpy()) + 0.2 * RNG.normal(size=16)
F = rm.TwoLayer(rm.ReLU(), bias=True)
LOSS = rm.Squared()(F(X), Y) + rm.WeightDecay(5e-3)
QUICK = rm.AdaptivePatterns(gap=5e-2, seed=0, width=8, starts=20, rounds=4)
BOX = rm.Box.of(X)


def inside(box: rm.Box, count: int = 40_000) -> np.ndarray:
    low, high = box.ends(2)
    return np.random.default_rng(1).uniform(low, high, (count, 2))


def test_values_are_kept_everywhere() -> None:
    box = rm.Box([-1.5, -1], [1.0, 1.2], ("age", "income"))
    problem = rm.Problem(LOSS, [F(box) >= -0.4, F(box) <= 0.5])
    found = problem.fit(rm.SamplePatterns(15, seed=0))
    values = found.network(inside(box))
    assert values.min() >= -0.4
    assert values.max() <= 0.5
    assert found.violation == pytest.approx(0, abs=1e-9)
    assert [c.proved for c in found.certificates] == [True, True]
    assert found.certificates[0].bound >= -0.4
    assert found.certificates[1].bound <= 0.5
    assert found.certificates[0].worst <= values.min() + 1e-9  # no attack beats what was found
    assert found.certificates[1].worst >= values.max() - 1e-9
    assert "holds everywhere (proved" in str(found)
    assert found.bound <= found.objective
    free = rm.Problem(LOSS).compile(rm.SamplePatterns(40, seed=0)).solve()
    assert found.objective > free.objective  # the bounds cost something


@pytest.mark.parametrize("kind", ["increasing", "decreasing"])
def test_features_are_monotone_everywhere(kind: str) -> None:
    problem = rm.Problem(LOSS, getattr(F, kind)("age"))
    found = problem.fit(QUICK if kind == "increasing" else rm.SamplePatterns(40, seed=0))
    sign = 1.0 if kind == "increasing" else -1.0
    A = inside(BOX)
    B = A.copy()
    B[:, 0] = np.random.default_rng(2).uniform(A[:, 0], BOX.high[0])
    assert (sign * (found.network(B) - found.network(A))).min() >= -1e-12
    assert (sign * found.network.input_gradient(A)[:, 0]).min() >= 0
    assert found.certificates[0].proved
    slopes = found.network.slope_range(BOX, "age")
    assert (slopes.low_bound if kind == "increasing" else -slopes.high_bound) >= 0
    assert found.bound <= found.objective
    assert found.gap <= (5e-2 if kind == "increasing" else 1.0)
    assert found.status == "optimal" or kind == "decreasing"
    neurons = rm.Problem(LOSS, getattr(F, kind)("age", how="neurons")).compile(rm.SamplePatterns(30, seed=0)).solve()
    assert found.bound <= neurons.objective  # a smaller class
    assert f"f is {kind} in 'age', everywhere in" in str(problem)


def test_the_program_on_directions_is_that_written_by_hand() -> None:
    cp = pytest.importorskip("cvxpy")
    problem = rm.Problem(LOSS, [F.increasing("age"), F(BOX) <= 0.6])
    wanted = [Wanted.of(given, problem, True) for given in problem.everywhere]
    blocks = np.vstack([np.random.default_rng(3).normal(size=(12, 3)), affine(wanted, True)])
    cuts = [np.zeros((0, 3)) for _ in wanted]
    found = on_directions(problem, Read.of(problem), wanted, blocks, cuts, 1e-9)
    assert found is not None
    assert found.proved
    U, Z = blocks / np.linalg.norm(blocks, axis=1)[:, None], np.column_stack([X, np.ones(16)])
    a = cp.Variable(len(U))
    # more points than the library used, none of which it knows: the best weights are no better
    G = np.column_stack([inside(BOX, 3000), np.ones(3000)])
    rises, values = (G @ U.T >= 0) * U[:, 0], np.maximum(G @ U.T, 0)
    objective = cp.sum_squares(np.maximum(Z @ U.T, 0) @ a - Y) / 32 + 5e-3 * cp.norm1(a)
    constraints = [rises @ a >= 0, values @ a <= 0.6]
    sampled = cp.Problem(cp.Minimize(objective), constraints).solve(solver="CLARABEL")
    assert found.solution.objective >= sampled * (1 - 1e-6)
    # and with the library's points too they are the same, but for the margin of the proof
    constraints += [((cuts[0] @ U.T >= 0) * U[:, 0]) @ a >= 0, np.maximum(cuts[1] @ U.T, 0) @ a <= 0.6]
    exact = cp.Problem(cp.Minimize(objective), constraints).solve(solver="CLARABEL")
    assert exact * (1 - 1e-6) <= found.solution.objective <= exact * (1 + 1e-3)


def test_directions_that_pay_lower_the_objective() -> None:
    problem = rm.Problem(LOSS, [F.increasing("age"), F(BOX) <= 0.6])
    wanted = [Wanted.of(given, problem, True) for given in problem.everywhere]
    blocks = np.vstack([np.random.default_rng(3).normal(size=(6, 3)), affine(wanted, True)])
    cuts = [np.zeros((0, 3)) for _ in wanted]
    objectives = []
    for seed in range(3):
        found = on_directions(problem, Read.of(problem), wanted, blocks, cuts, 1e-8)
        assert found is not None
        assert found.proved
        objectives.append(found.solution.objective)
        fresh = entering(problem, Read.of(problem), wanted, found, seed)
        assert len(fresh)
        blocks = np.vstack([blocks, fresh])
    assert objectives[1] < 0.97 * objectives[0]
    assert objectives[2] < objectives[1]


def test_other_patterns_other_constraints_and_shapes() -> None:
    fitted = rm.Problem(LOSS, [F(BOX) >= -0.5, F(X.iloc[:2]) == 0.1, F.lipschitz(3.0)]).fit(rm.SamplePatterns(30, seed=0))
    assert fitted.certificates[0].proved
    assert fitted.network(inside(BOX)).min() >= -0.5
    assert fitted.network(X.iloc[:2]) == pytest.approx(0.1, abs=1e-8)
    steep = np.linalg.norm(fitted.network.input_gradient(inside(BOX)), axis=1)
    assert steep.max() <= 3.0 + 1e-9


def test_several_outputs_are_bounded_one_by_one() -> None:
    q = rm.TwoLayer(rm.LeakyReLU(0.1), bias=True, outputs=2)
    both = rm.Squared()(q(X), np.column_stack([Y, -Y])) + rm.WeightDecay(1e-2)
    found = rm.Problem(both, [q(BOX)[0] <= 0.3, q(BOX)[:, 1] >= -0.2]).fit(rm.SamplePatterns(6, seed=0))
    values = found.network(inside(BOX))
    assert values[:, 0].max() <= 0.3
    assert values[:, 1].min() >= -0.2
    assert all(c.proved for c in found.certificates)
    assert len(q(BOX) >= [0, 1]) == 2


def test_what_cannot_be_kept_is_not_claimed() -> None:
    # the value at a point contradicts the bound in the box around it
    with pytest.warns(rm.ConvergenceWarning, match="not proved"):
        found = rm.Problem(LOSS, [F(BOX) <= 0.2, F(X.iloc[0]) == 1.0]).fit(rm.SamplePatterns(20, seed=0))
    assert found.status != "optimal"
    assert not found.certificates[0].proved
    assert found.violation >= 0.1
    assert "NOT PROVED" in str(found)


def test_time_limits_and_features_that_are_fixed() -> None:
    fixed = rm.Box([BOX.low[0], 0.2], [BOX.high[0], 0.2], BOX.names)
    problem = rm.Problem(LOSS, [F.increasing("income", box=fixed), F.increasing("age", box=fixed)])
    found = problem.fit(rm.SamplePatterns(20, seed=0))
    assert [c.proved for c in found.certificates] == [True, True]
    line = np.column_stack([np.linspace(BOX.low[0], BOX.high[0], 1001)[1:-1], np.full(999, 0.2)])  # kinks at the ends are outside
    assert found.network.input_gradient(line).min() >= 0
    started = time.perf_counter()
    hurried = problem.fit(rm.SamplePatterns(20, seed=0), time_limit=0.02)
    assert time.perf_counter() - started < 60  # it ends, and says what it proved of what it has
    for c, k in zip(hurried.certificates, (1, 0), strict=True):
        assert not c.proved or hurried.network.input_gradient(line)[:, k].min() >= 0


def test_without_a_bias() -> None:
    g = rm.TwoLayer(rm.ReLU())
    found = rm.Problem(rm.Squared()(g(X), Y) + rm.WeightDecay(5e-3), [g.increasing(1)]).fit(rm.SamplePatterns(20, seed=0))
    assert found.certificates[0].proved
    assert found.network.input_gradient(inside(BOX))[:, 1].min() >= 0


def test_slopes_are_bounded_everywhere() -> None:
    slopes = F.gradient(BOX)
    found = rm.Problem(LOSS, [slopes["age"] <= 0.8, slopes[:, 1] >= -1.0]).fit(rm.SamplePatterns(15, seed=0))
    assert all(c.proved for c in found.certificates)
    gradient = found.network.input_gradient(inside(BOX))
    assert gradient[:, 0].max() <= 0.8
    assert gradient[:, 1].min() >= -1.0
    assert str(found.certificates[1]).startswith("gradient f(x)[1] >= -1, everywhere in")


def test_steps_at_points() -> None:
    problem = rm.Problem(LOSS, [F.increasing("age", how="points", h=0.2)])
    network = problem.compile(rm.SamplePatterns(30, seed=0)).solve().network()
    up, down = X.copy(), X.copy()
    up["age"], down["age"] = np.minimum(X.age + 0.2, X.age.max()), np.maximum(X.age - 0.2, X.age.min())
    assert (network(up) - network(down)).min() >= -1e-9
    assert "by steps at 16 points" in str(problem)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: rm.Problem(LOSS, [F.increasing("age")]).compile(rm.SamplePatterns(5, seed=0)), "how='neurons'"),
        (lambda: F(BOX) == 1, "only be bounded"),
        (lambda: F(BOX) + 1, "only be bounded"),
        (lambda: rm.Squared()(F(BOX), 0), "only be bounded"),
        (lambda: rm.norm(F(BOX), 2), "only be bounded"),
        (lambda: F(BOX) >= np.nan, "finite"),
        (lambda: F(BOX)[0], "one number"),
        (lambda: F.gradient(X), "radius > 0"),
        (lambda: F.gradient(rm.Box(0, 1)), "one low and high a feature"),
        (lambda: rm.TwoLayer(rm.GatedReLU())(BOX), r"is for rm\.TwoLayer"),
        (lambda: F.increasing("age", how="always"), "'everywhere'"),
        (lambda: F.increasing("age", how="neurons", box=BOX), "goes with how='everywhere'"),
        (lambda: F.increasing("age", h=0.1), "goes with"),
        (lambda: F.increasing("age", box=(0, 1)), r"rm\.Box"),
        (lambda: rm.Problem(LOSS, [F.increasing("size")]).fit(QUICK), "no feature 'size'"),
        (lambda: rm.Problem(LOSS, [rm.TwoLayer(rm.ReLU())(BOX) >= 0]), "two networks"),
        (lambda: rm.Problem(LOSS, [F(rm.Box([0, 0, 0], 1)) >= 0]).fit(QUICK), "3 features"),
    ],
)
def test_what_is_not_said_so_is_refused(make: Any, words: str) -> None:
    with pytest.raises(rm.RelumodelError, match=words):
        make()
