"""Shapes by neurons: the same programs in CVXPY, and networks that have the shape everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import relumodel as rm
from relumodel.functions.base import Nonnegative, SampleLoss, ZeroIndicator
from relumodel.functions.budget import BlockBudget
from relumodel.functions.norms import NormExcess
from relumodel.functions.several import Several, Shifted
from relumodel.testing import FUNCTION_CHECKS, check_function

RNG = np.random.default_rng(1)
X = pd.DataFrame(RNG.uniform(-1, 1, (20, 2)), columns=["age", "income"])
Y = X.age.to_numpy() ** 3 + 0.3 * np.sin(4 * X.income.to_numpy()) + 0.1 * RNG.normal(size=20)
F = rm.TwoLayer(rm.LeakyReLU(0.1), bias=True)
CONSTRAINTS = {
    "increasing": ([F.increasing("age", how="neurons")], lambda V, U: [V[:, 0] >= 0, U[:, 0] <= 0]),
    "decreasing, by number": ([F.decreasing(1, how="neurons")], lambda V, U: [V[:, 1] <= 0, U[:, 1] >= 0]),
    "Lipschitz": ([F.lipschitz(0.7)], lambda V, U: [norms(V[:, :2]) + norms(U[:, :2]) <= 0.7]),
    "both, with a value": (
        [F.increasing("age", how="neurons"), F.lipschitz(1.2), F(X.iloc[:3]) <= 0.1],
        lambda V, U: [V[:, 0] >= 0, U[:, 0] <= 0, norms(V[:, :2]) + norms(U[:, :2]) <= 1.2],
    ),
}


def norms(V: Any) -> Any:
    import cvxpy as cp

    return cp.sum(cp.norm(V, 2, axis=1))


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_they_are_the_program_written_by_hand_and_hold_everywhere(name: str) -> None:
    cp = pytest.importorskip("cvxpy")
    constraints, by_hand = CONSTRAINTS[name]
    program = rm.Problem(rm.Squared()(F(X), Y) + rm.WeightDecay(0.01), constraints).compile(rm.SamplePatterns(10, seed=0))
    D, Z = program.patterns, np.column_stack([X, np.ones(20)])
    V, U, sides = cp.Variable((10, 3)), cp.Variable((10, 3)), np.where(D, 1.0, -1.0)
    f = cp.sum(cp.multiply(np.where(D, 1.0, 0.1), Z @ (V - U).T), axis=1)
    rows = [cp.multiply(sides, Z @ V.T) >= 0, cp.multiply(sides, Z @ U.T) >= 0, *by_hand(V, U)]
    rows += [f[:3] <= 0.1] if "value" in name else []
    expected = cp.Problem(cp.Minimize(cp.sum_squares(f - Y) / 40 + 0.01 * (norms(V) + norms(U))), rows).solve(
        solver="CLARABEL", tol_gap_rel=1e-9, tol_gap_abs=1e-9, tol_feas=1e-9
    )
    solution = program.solve(tol=1e-7)
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(float(expected), rel=1e-6)
    assert solution.bound <= float(expected) * (1 + 1e-8)
    assert solution.violation <= 1e-9
    network = solution.network()
    A, B = RNG.uniform(-3, 3, (2000, 2)), RNG.uniform(-3, 3, (2000, 2))
    higher = A + np.outer(RNG.uniform(0, 2, 2000), [1.0, 0.0] if "increasing" in name or "both" in name else [0.0, -1.0])
    rise = network(higher) - network(A)
    if "Lipschitz" not in name:
        assert rise.min() >= -1e-9
    if "Lipschitz" in name or "both" in name:
        slope = np.abs(network(A) - network(B)) / np.linalg.norm(A - B, axis=1)
        assert slope.max() <= (0.7 if name == "Lipschitz" else 1.2) + 1e-9


def test_what_has_no_such_shape_is_refused() -> None:
    with pytest.raises(rm.InputError, match=r"is for rm\.TwoLayer"):
        rm.TwoLayer(rm.GatedReLU()).increasing(0)
    with pytest.raises(rm.InputError, match=r"is for rm\.TwoLayer"):
        rm.ParallelThreeLayer(2).lipschitz(1.0)
    with pytest.raises(rm.InputError, match="how must be"):
        F.increasing("age", how="sometimes")
    with pytest.raises(rm.InputTypeError, match="name or number"):
        F.increasing(0.5)
    decay = rm.WeightDecay(0.01)
    for feature, words in (("size", "the columns are age, income"), (7, "at most 1")):
        with pytest.raises(rm.InputError, match=words):
            rm.Problem(rm.Squared()(F(X), Y) + decay, [F.increasing(feature, how="neurons")]).compile(rm.SamplePatterns(5, seed=0))
    with pytest.raises(rm.InputError, match="named columns"):
        rm.Problem(rm.Squared()(F(X.to_numpy()), Y) + decay, [F.increasing("age", how="neurons")]).compile(
            rm.SamplePatterns(5, seed=0)
        )
    with pytest.raises(rm.InputError, match="two networks"):
        rm.Problem(rm.Squared()(F(X), Y) + decay, [rm.TwoLayer(rm.ReLU()).lipschitz(1)])


FUNCTIONS = {
    **{
        f"norm {p} {radius} {weight}": (NormExcess(p, radius, weight), 3)
        for p in (1, 2, np.inf)
        for radius, weight in ((0.0, 0.7), (0.8, 0.5), (0.8, np.inf))
    },
    "budget": (BlockBudget(0.9, 2), 4),
    "shifted": (Shifted(NormExcess(2, 0.5, np.inf), np.array([0.3, -0.1])), 2),
    "several": (
        Several(
            (SampleLoss.bind(rm.Huber(0.5), np.array([0.2, -0.3])), NormExcess(1, 0.0, 0.4), Nonnegative(), ZeroIndicator()),
            (2, 2, 1, 1),
        ),
        6,
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_faces_of_functions_belong_together(name: str) -> None:
    given = None if name != "several" else [check for check in FUNCTION_CHECKS if check != "torch"]  # its parts hold NumPy arrays
    check_function(*FUNCTIONS[name], only=given)


def test_a_fit_keeps_the_shape_and_is_not_worse_than_samples() -> None:
    problem = rm.Problem(rm.Squared()(F(X), Y) + rm.WeightDecay(0.01), [F.increasing("age", how="neurons"), F(X.iloc[:2]) <= 0.2])
    found = problem.fit(rm.AdaptivePatterns(gap=1e-2, seed=0, width=12, starts=60, rounds=5))
    A = RNG.uniform(-3, 3, (1000, 2))
    assert (found.network(A + np.array([0.7, 0.0])) - found.network(A)).min() >= -1e-9
    assert found.violation <= 1e-9
    assert found.bound <= found.objective
    sampled = problem.compile(rm.SamplePatterns(10, seed=0)).solve()
    assert found.objective <= sampled.objective * 1.001
    free = rm.Problem(rm.Squared()(F(X), Y) + rm.WeightDecay(0.01)).fit(rm.AdaptivePatterns(gap=1e-2, seed=0, rounds=5))
    assert free.bound <= found.objective
