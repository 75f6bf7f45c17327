"""Sample weights: a whole weight is a sample repeated, a zero one a sample absent, in the program, the network and the fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import data_strategies as ds
import relumodel as rm
from relumodel.formats.sidecar import program_name

WEIGHTS = np.array([2.0, 0, 1, 3, 1, 0, 1])
REPEATED = np.repeat(np.arange(7), WEIGHTS.astype(int))
ROBUST = [
    rm.Model(rm.TwoLayer(rm.LeakyReLU(0.2), True), loss, rm.WeightDecay(0.05), perturbation=rm.LInf(0.01), robust=robust)
    for loss in (rm.Hinge(), rm.Squared(), rm.Logistic(reduction="sum"))
    for robust in ("strict", "crossing")
]


def data(model: rm.Model, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X (7, 2), y, and three patterns on it: all active, and a cut along each axis."""
    X, y = ds.example(model, seed=seed)
    D = np.column_stack([np.ones(7, bool), X[:, 0] > np.sort(X[:, 0])[3], X[:, 1] > np.sort(X[:, 1])[2]])
    return X, y, D


def pair(model: rm.Model) -> tuple[rm.Program, rm.Program]:
    """The weighted program and the one with repeated rows, on the same patterns."""
    X, y, D = data(model)
    weighted = model.compile(X, y, patterns=rm.GivenPatterns(D[WEIGHTS > 0]), sample_weight=WEIGHTS)
    return weighted, model.compile(X[REPEATED], y[REPEATED], patterns=rm.GivenPatterns(D[REPEATED]))


@pytest.mark.parametrize("model", [*ds.LOSS_AND_PENALTY, *ROBUST], ids=lambda m: f"{ds.label(m)}-{m.perturbation and m.robust}")
def test_a_whole_weight_is_a_sample_repeated(model: rm.Model) -> None:
    weighted, repeated = pair(model)
    assert weighted.n_variables == repeated.n_variables
    points = 0.1 * np.random.default_rng(0).standard_normal((5, weighted.n_variables))
    for point in points:
        assert np.isclose(weighted.objective(point), repeated.objective(point), rtol=1e-12)
    X, y, _ = data(model)
    network = weighted.inverse.network(weighted.inverse.feasible(weighted.inverse.blocks(points[0])))
    of_weights = network.objective(model, X, y, sample_weight=WEIGHTS)
    assert np.isclose(of_weights, network.objective(model, X[REPEATED], y[REPEATED]), rtol=1e-12)


@pytest.mark.parametrize("backend", ["admm", "clarabel", "cvxpy"])
@pytest.mark.parametrize("loss", [rm.Squared(), rm.SquaredHinge(reduction="sum")], ids=str)
def test_backends_solve_weighted_programs(loss: rm.Squared, backend: str) -> None:
    model = rm.Model(rm.TwoLayer(rm.ReLU(), True), loss, rm.WeightDecay(0.05))
    weighted, repeated = pair(model)
    solution = weighted.solve(backend=backend)
    assert solution.status == "optimal"
    assert np.isclose(solution.objective, repeated.solve(backend="clarabel").objective, rtol=1e-5)
    X, y, _ = data(model)
    assert np.isclose(solution.network().objective(model, X, y, sample_weight=WEIGHTS), solution.objective, rtol=1e-9)


@pytest.mark.parametrize("model", ROBUST, ids=lambda m: f"{ds.label(m)}-{m.robust}")
def test_robust_programs_are_weighted(model: rm.Model) -> None:
    weighted, repeated = pair(model)
    solution = weighted.solve()
    assert solution.status == "optimal"
    assert np.isclose(solution.objective, repeated.solve().objective, rtol=1e-5)
    X, y, _ = data(model)
    assert solution.network().objective(model, X, y, sample_weight=WEIGHTS) <= solution.objective * (1 + 1e-9)


@settings(max_examples=4)
@given(problem=ds.problems([m for m in ds.MODELS if m.network.activation.self_gated]), seed=st.integers(0, 99))
def test_fitting_with_weights_encloses_the_optimum(problem, seed: int) -> None:
    model, X, y = problem
    weights = np.random.default_rng(seed).choice([0.01, 1.0, 30.0], len(y))
    exact = model.compile(X, y, patterns=rm.EnumeratePatterns(), sample_weight=weights).solve()
    result = model.fit(X, y, patterns=rm.AdaptivePatterns(width=12, starts=40, rounds=3), sample_weight=weights)
    scale = max(abs(exact.objective), 1e-9)
    assert result.objective >= exact.bound - 1e-6 * scale
    assert result.bound <= exact.objective + 1e-3 * scale
    assert np.isclose(result.network.objective(model, X, y, sample_weight=weights), result.objective, rtol=1e-9, atol=1e-12)


def test_fitting_features_of_zeros() -> None:
    """The search for prices steps from a direction to zero here."""
    model = rm.Model(rm.TwoLayer(rm.LeakyReLU(0.2), True), rm.Absolute(), rm.PathNorm(0.05))
    y, weights = np.array([0.12573022, -0.13210486]), np.array([30.0, 1.0])
    for w in (weights, weights[::-1]):
        result = model.fit(np.zeros((2, 1)), y, patterns=rm.AdaptivePatterns(width=12, starts=40, rounds=3), sample_weight=w)
        assert result.bound <= result.objective
        assert result.objective <= model.compile(np.zeros((2, 1)), y, rm.EnumeratePatterns(), w).solve().objective * (1 + 1e-3)


def test_polish_is_never_worse_on_the_weighted_objective() -> None:
    model = rm.Model(rm.TwoLayer(rm.ReLU(), True), rm.Squared(), rm.WeightDecay(0.01))
    X, y, _ = data(model)
    network = model.fit(X, y, patterns=rm.SamplePatterns(5, seed=0)).network
    polished = rm.polish(network, model, X, y, patterns=rm.AdaptivePatterns(width=12, starts=40, rounds=2), sample_weight=WEIGHTS)
    assert polished.objective <= network.objective(model, X, y, sample_weight=WEIGHTS)
    assert np.isclose(polished.network.objective(model, X, y, sample_weight=WEIGHTS), polished.objective)


def test_ones_change_nothing_and_zeros_leave_out() -> None:
    model = rm.Model(rm.TwoLayer(rm.ReLU(), True), rm.Hinge(), rm.WeightDecay(0.05))
    X, y, _ = data(model)
    plain, ones = (model.compile(X, y, rm.SamplePatterns(4, seed=0), sample_weight=w) for w in (None, np.ones(7)))
    some = model.compile(X, y, rm.SamplePatterns(4, seed=0), sample_weight=WEIGHTS > 0)
    fewer = model.compile(X[WEIGHTS > 0], y[WEIGHTS > 0], rm.SamplePatterns(4, seed=0))
    assert plain.sample_weights is None
    assert ones.sample_weights.tolist() == [1.0] * 7
    for one, other in ((plain, ones), (some, fewer)):
        point = np.random.default_rng(0).standard_normal(one.n_variables)
        assert one.objective(point) == other.objective(point)
        assert np.array_equal(one.patterns, other.patterns)
    assert "weights" not in str(plain)
    assert "weights     1 to 1 on samples; sum 5 in place of n" in str(some)


def test_an_exported_program_keeps_its_weights(tmp_path) -> None:
    model = rm.Model(rm.TwoLayer(rm.ReLU(), True), rm.Squared(), rm.WeightDecay(0.05))
    X, y, _ = data(model)
    weights = np.random.default_rng(0).uniform(0, 3, 7)
    program = model.compile(X, y, rm.SamplePatterns(4, seed=0), sample_weight=weights)
    program.write(tmp_path / "p.cbf")
    again = rm.load_program(tmp_path / "p.json")
    assert program_name(again) == program_name(program) != program_name(model.compile(X, y, rm.SamplePatterns(4, seed=0)))
    point = np.random.default_rng(0).standard_normal(program.n_variables)
    assert again.objective(point) == program.objective(point)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 1], "X has 7 samples and sample_weight has 2; they must agree"),
        (np.ones((7, 2)), "sample_weight must be one-dimensional, one number a sample"),
        (-WEIGHTS, "sample_weight must not be negative; its smallest entry is -3"),
        (np.zeros(7), "sample_weight is zero for every sample; at least one must count"),
        (np.full(7, np.nan), "sample_weight holds 7 NaN values"),
        ([0, 0, 1, 0, 0, 0, 0], "Hinge needs both classes"),
    ],
)
def test_bad_weights_are_refused(weights, message: str) -> None:
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge(), rm.WeightDecay(0.05))
    X, y, _ = data(model)
    with pytest.raises(rm.InputError, match=message):
        model.compile(X, y, rm.SamplePatterns(4, seed=0), sample_weight=weights)
