"""Model.fit: never above what else is known, never below what is proved."""

from __future__ import annotations

import signal
import time

import numpy as np
import pytest
from hypothesis import given, settings

import data_strategies as ds
import relumodel as rm
from relumodel.data import read
from relumodel.fit import dual, loop
from relumodel.fit.dual import Dual
from relumodel.fit.training import Training
from relumodel.functions.base import SampleLoss
from relumodel.pricing import largest_price
from relumodel.pricing.global_bound import global_bound

SELF_GATED = ds.LOSS_AND_PENALTY


def quick(**changes) -> rm.AdaptivePatterns:
    return rm.AdaptivePatterns(**{"gap": 1e-3, "width": 12, "starts": 20, "rounds": 8} | changes)


def xor(n: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(seed).uniform(-1, 1, (n, 2))
    return X, np.sign(X[:, 0] * X[:, 1])


@pytest.mark.usefixtures("short_search")
@pytest.mark.parametrize("model", SELF_GATED, ids=ds.label)
def test_reaches_the_enumerated_optimum(model: rm.Model) -> None:
    X, y = ds.example(model, n=8)
    exact = model.compile(X, y, patterns=rm.EnumeratePatterns()).solve()
    result = model.fit(X, y, patterns=quick())
    assert result.objective >= exact.bound - 1e-9
    assert result.objective <= exact.objective * (1 + 2e-3)
    assert result.status == "optimal"
    assert result.gap <= 1e-3
    assert result.bound_kind == "certified"
    assert result.bound <= exact.objective * (1 + 1e-9)


@pytest.mark.usefixtures("short_search")
def test_the_objective_is_the_networks() -> None:
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Logistic(), rm.WeightDecay(1e-3))
    X, y = xor()
    result = model.fit(X, y, patterns=quick())
    assert np.isclose(result.network.objective(model, X, y), result.objective, rtol=1e-12)
    assert result.objective == result.solution.objective
    assert result.solution.program is result.program
    assert result.program.violation(result.solution.point) == 0
    assert [r.objective for r in result.history] == sorted((r.objective for r in result.history), reverse=True)
    assert result.bound_kind in str(result)


@pytest.mark.usefixtures("short_search")
@settings(max_examples=5)
@given(problem=ds.problems([m for m in ds.MODELS if m.network.activation.self_gated]))
def test_bound_and_objective_enclose_the_optimum(problem) -> None:
    """On degenerate data too: one sample, zero rows, repeated rows, constant columns."""
    model, X, y = problem
    exact = model.compile(X, y, patterns=rm.EnumeratePatterns()).solve()
    result = model.fit(X, y, patterns=quick(rounds=2, proof=1))
    scale = max(abs(exact.objective), 1e-9)
    assert result.objective >= exact.bound - 1e-6 * scale
    slack = 1e-6 if result.bound_kind == "certified" else 1e-3
    assert result.bound <= exact.objective + slack * scale
    assert np.isclose(result.network.objective(model, X, y), result.objective, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("short_search")
def test_a_penalty_that_allows_nothing_gives_the_zero_network() -> None:
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(1e3))
    X, y = xor()
    result = model.fit(X, y, patterns=quick())
    assert result.network.n_neurons == 0
    assert result.status == "optimal"
    assert result.objective == pytest.approx(0.5)


@pytest.mark.usefixtures("short_search")
def test_the_same_seed_gives_the_same_network() -> None:
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.SquaredHinge(), rm.WeightDecay(1e-3))
    X, y = xor()
    first, second = (model.fit(X, y, patterns=quick(seed=3, rounds=2, proof=0)) for _ in range(2))
    assert np.array_equal(first.network.hidden_weights, second.network.hidden_weights)
    assert first.bound == second.bound


def test_a_time_limit_returns_the_best_so_far() -> None:
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(1e-4))
    X, y = xor(60)
    started = time.perf_counter()
    result = model.fit(X, y, patterns=quick(gap=1e-9, rounds=1000), time_limit=1e-3)
    assert result.status == "time limit"
    assert time.perf_counter() - started < 30
    assert np.isclose(result.network.objective(model, X, y), result.objective)
    assert result.bound <= result.objective


@pytest.mark.usefixtures("short_search")
def test_a_callback_sees_the_rounds_and_stops() -> None:
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(1e-4))
    X, y = xor(40)
    seen = []
    result = model.fit(X, y, patterns=quick(gap=1e-9), callback=lambda r: seen.append(r) or len(seen) == 2)
    assert result.status == "interrupted"
    assert seen == result.history
    assert [r.iteration for r in seen] == [1, 2]


def test_exact_programs_are_certified() -> None:
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(1e-2))
    X, y = xor(12)
    result = model.fit(X, y, patterns=rm.EnumeratePatterns())
    assert result.bound_kind == "certified"
    assert result.status == "optimal"
    assert result.gap == result.solution.gap <= 1e-6


def test_sampled_programs_are_priced() -> None:
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(1e-2))
    X, y = xor(30)
    exact = model.compile(X, y, patterns=rm.EnumeratePatterns()).solve()
    result = model.fit(X, y, patterns=rm.SamplePatterns(5, seed=0))
    assert result.bound_kind == "estimated"
    assert result.solution.status == "optimal"
    assert result.status == "gap not reached"
    assert result.bound <= exact.objective < result.objective
    assert result.price > 1


def test_without_a_proof_the_bound_is_estimated() -> None:
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(1e-2))
    X, y = xor(12)
    searched, proved = (model.fit(X, y, patterns=quick(proof=seconds)) for seconds in (0, 10))
    assert (searched.bound_kind, proved.bound_kind) == ("estimated", "certified")
    assert searched.bound <= proved.objective * (1 + 1e-3)
    price = largest_price(np.column_stack([X, np.ones(len(X))]), proved.dual)
    loss = SampleLoss.bind(model.loss, y)
    assert proved.bound <= global_bound(loss, proved.dual, price.upper, model.penalty.beta) * (1 + 1e-9)


def test_the_search_finds_the_proven_price() -> None:
    """Maxima with a wide basin and narrow ones, for any multiplier."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 3))
    for penalty in (rm.WeightDecay(1.0), rm.PathNorm(1.0)):
        model = rm.Model(rm.TwoLayer(rm.LeakyReLU(0.1)), rm.Squared(), penalty)
        training = Training.of(model, read(X, np.ones(40), model.loss))
        for _ in range(2):
            q = rng.standard_normal(40)
            dual = Dual.at(training, q)
            dual.search(rng.standard_normal((300, 3)))
            assert dual.price == pytest.approx(largest_price(X, q, 0.1, penalty.norm).upper, rel=1e-4)


def test_gates_are_given_not_adapted() -> None:
    model = rm.Model(rm.TwoLayer(rm.GatedReLU()), rm.Squared(), rm.WeightDecay(1e-2))
    X, y = xor(12)
    with pytest.raises(rm.InputError, match="gates it is given"):
        model.fit(X, y)
    assert model.fit(X, y, patterns=rm.SamplePatterns(5, seed=0)).bound_kind == "certified"


def test_adaptive_patterns_do_not_compile() -> None:
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(1e-2))
    with pytest.raises(rm.InputError, match=r"model\.fit"):
        model.compile(*xor(), patterns=rm.AdaptivePatterns())


@pytest.mark.parametrize(
    ("field", "value"), [("gap", 0), ("seed", -1), ("rounds", 0), ("width", 2.5), ("starts", 0), ("max_patterns", 0), ("proof", -1)]
)
def test_bad_declarations_are_refused(field: str, value: float) -> None:
    with pytest.raises((rm.InputError, rm.InputTypeError), match=field):
        rm.AdaptivePatterns(**{field: value})


@pytest.mark.parametrize("change", [{"patterns": 50}, {"callback": 1}, {"time_limit": 0}, {"tol": 0}])
def test_bad_arguments_are_refused(change) -> None:
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(1e-2))
    with pytest.raises((rm.InputError, rm.InputTypeError), match=next(iter(change))):
        model.fit(*xor(), **change)


@pytest.mark.usefixtures("short_search")
@pytest.mark.parametrize(
    ("module", "name", "call"), [(loop, "random_start", 1), (SampleLoss, "rounded", 20), (loop, "cells_of", 1), (dual, "search", 1)]
)
def test_ctrl_c_in_the_first_round_returns_the_best_so_far(module, name: str, call: int, monkeypatch) -> None:
    work, calls = getattr(module, name), []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == call:
            signal.raise_signal(signal.SIGINT)
        return work(*arguments, **options)

    monkeypatch.setattr(module, name, interrupted)
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(1e-2))
    X, y = xor()
    result = model.fit(X, y, patterns=quick(proof=0))
    assert result.status == "interrupted"
    assert result.network.objective(model, X, y) == pytest.approx(result.objective, rel=1e-9)
    assert result.bound <= result.objective <= 0.5 * np.mean(y * y) + 1e-12  # that of the zero network
    assert result.starts > 0


def test_where_no_network_is_better_than_none():
    """Equal samples with as many labels of each sign: every price is zero, so nothing enters, and no network has a neuron."""
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.SquaredHinge(reduction="sum"), rm.WeightDecay(0.1))
    result = model.fit(np.ones((6, 1)), np.array([-1.0, 1.0, -1.0, -1.0, 1.0, 1.0]))
    assert (result.status, result.objective, result.bound_kind) == ("optimal", 6.0, "certified")
    assert result.bound == pytest.approx(6.0)
