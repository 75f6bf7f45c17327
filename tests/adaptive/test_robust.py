"""Robust fits: certified objectives that no attack exceeds, that never rise, and that end below the other robust programs."""

import signal
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import relumodel as rm
from data_strategies import example, matrices, targets
from relumodel.data import read
from relumodel.fit import robust, robust_descend
from relumodel.fit.robust_descend import descend, random_start
from relumodel.fit.robust_program import program_of
from relumodel.fit.robust_training import RobustTraining
from relumodel.robustness.neurons import neurons_of
from robust_reference import draws

LOSSES = [rm.Hinge(), rm.SquaredHinge(), rm.Logistic(), rm.Squared(), rm.Absolute(), rm.Huber(0.3)]
SETS = [rm.LInf((0.2, 0.1)), rm.L2(0.2), rm.L1(0.3, fixed=(0,))]


@pytest.fixture(autouse=True)
def _short(monkeypatch, short_search):
    """Few steps: what is tested here holds after any number of them."""
    monkeypatch.setattr(robust, "EXPLORE", (200, 0.3))
    monkeypatch.setattr(robust, "SETTLE", (50, 0.02))
    monkeypatch.setattr(robust, "TURNS", 2)
    monkeypatch.setattr(robust, "ATTACKED", 1)


def name(value):
    return type(value).__name__


def quick(**changes):
    return rm.AdaptivePatterns(**{"gap": 1e-2, "width": 10, "rounds": 2, "starts": 10} | changes)


def model_of(loss=None, perturbation=None, activation=None, bias=True, penalty=None):
    network = rm.TwoLayer(activation or rm.ReLU(), bias)
    return rm.Model(network, loss or rm.Hinge(), penalty or rm.WeightDecay(2e-3), perturbation or rm.LInf(0.1), "crossing")


def product(loss, n=20):
    X = np.random.default_rng(0).uniform(-1, 1, (n, 2))
    return X, np.sign(X[:, 0] * X[:, 1]) if loss.reads == "margin" else 3 * X[:, 0] * X[:, 1]


def training_of(model, X, y):
    data = read(X, y, model.loss)
    ball = model.perturbation.ball(X.shape[1], bias=model.network.bias)
    return data, RobustTraining.of(model, data, ball)


@pytest.mark.parametrize(("loss", "perturbation"), list(zip(LOSSES, SETS * 2, strict=True)), ids=name)
def test_the_objective_is_certified_and_never_rises(loss, perturbation):
    model = model_of(loss, perturbation, rm.LeakyReLU(0.1))
    X, y = product(loss)
    result = model.fit(X, y, patterns=quick(rounds=2))
    assert result.objective == pytest.approx(result.network.objective(model, X, y), rel=1e-9)
    assert result.solution.objective == pytest.approx(result.objective, rel=1e-9)
    assert result.solution.program is result.program
    assert result.program.violation(result.solution.point) <= 1e-12
    assert [r.objective for r in result.history] == sorted((r.objective for r in result.history), reverse=True)
    assert 0 <= result.bound <= result.objective
    # no perturbed data that we can find is worse
    network, radii = result.network, model.perturbation.radii(2)
    worst = result.objective - model.penalty.of_network(network.hidden_weights, network.output_weights)
    attacked = network.worst_case(model, X, y).X
    clean = rm.Model(model.network, loss, model.penalty)
    for moved in (attacked, *(X + draws(perturbation, radii, (20, len(X)), np.random.default_rng(0)))):
        value = network.objective(clean, moved, y) - model.penalty.of_network(network.hidden_weights, network.output_weights)
        assert value <= worst + 1e-9


def test_it_is_better_than_refined_samples():
    model = model_of(perturbation=rm.LInf(0.05))
    X, y = product(model.loss, 40)
    refined = rm.refine(model.compile(X, y, patterns=rm.SamplePatterns(10, seed=0)).solve(tol=1e-4), rounds=3)
    result = model.fit(X, y, patterns=quick(rounds=4))
    assert result.objective < refined.network().objective(model, X, y)
    attacked = rm.attacks.pgd(result.network, X, y, 0.05, starts=2)
    status = result.network.certified(X, y, rm.LInf(0.05))
    assert (result.network.predict(attacked) == y)[status == "certified"].all()


@pytest.mark.parametrize(
    "model", [model_of(), model_of(rm.Squared(), rm.L2(0.2)), model_of(penalty=rm.PathNorm(1e-3), bias=False)], ids=str
)
def test_a_polished_network_is_never_worse(model):
    """The neurons are a point of their crossing program, worth their certified objective; its optimum and its network are below."""
    X, y = product(model.loss)
    data, training = training_of(model, X, y)
    neurons = descend(training, random_start(training, 8, np.random.default_rng(1)), 100, 0.3)
    before = training.objective(neurons)
    assert before <= training.estimate(neurons) * (1 + 1e-12)
    program, point = program_of(model, data, training, neurons)
    assert program.objective(point) == pytest.approx(before, rel=1e-9)
    assert program.violation(point) <= 1e-12
    solution = rm.Program.of(program).solve(warm_start=point)
    assert solution.objective < before * (1 - 1e-4)
    assert training.objective(neurons_of(solution.network())) <= solution.objective * (1 + 1e-9)


def test_a_descent_is_never_worse_than_its_start():
    model = model_of(rm.Absolute(), rm.L1(0.2))
    training = training_of(model, *product(model.loss))[1]
    start = random_start(training, 8, np.random.default_rng(0))
    near = descend(training, start, 300, 0.3)
    assert training.estimate(near) < 0.9 * training.estimate(start)
    for rate in (1e-3, 10.0):  # the second is far too long a step
        assert training.estimate(descend(training, near, 20, rate)) <= training.estimate(near) * (1 + 1e-3)


def test_the_bound_on_attacked_data_is_below_every_robust_network():
    """One feature: the crossing programs on all patterns, refined, and the fit are all above the bound of the fit."""
    X = np.linspace(-1, 1, 9)[:, None]
    y = np.where(np.abs(X[:, 0]) < 0.6, 1.0, -1.0)
    model = model_of(perturbation=rm.LInf(0.1))
    result = model.fit(X, y, patterns=quick())
    assert result.bound_kind == "estimated"
    assert result.starts > 0
    assert 0 < result.bound <= result.objective
    other = rm.refine(model.compile(X, y, patterns=rm.EnumeratePatterns()).solve())
    assert result.bound <= other.network().objective(model, X, y) * (1 + 1e-6)
    clean = rm.Model(model.network, model.loss, model.penalty).fit(X, y, patterns=quick())
    assert result.objective >= clean.bound


def test_polish_goes_on_from_a_network():
    model = model_of(perturbation=rm.LInf(0.05))
    X, y = product(model.loss)
    given_network = model.compile(X, y, patterns=rm.SamplePatterns(6, seed=0)).solve(tol=1e-4).network()
    result = rm.polish(given_network, model, X, y, patterns=quick(rounds=1))
    assert result.objective < given_network.objective(model, X, y)


def test_radius_zero_is_the_clean_fit():
    X, y = product(rm.Hinge())
    clean = rm.Model(rm.TwoLayer(rm.ReLU(), True), rm.Hinge(), rm.WeightDecay(2e-3)).fit(X, y, patterns=quick())
    same = model_of(perturbation=rm.LInf(0.0)).fit(X, y, patterns=quick())
    assert same.objective == clean.objective
    assert same.bound == clean.bound


@settings(max_examples=10)
@given(matrices(rows=(2, 5)), st.sampled_from([rm.L2(0.2), rm.LInf(0.3), rm.L1(0.4)]), st.sampled_from(LOSSES), st.booleans())
def test_degenerate_data(X, perturbation, loss, bias):
    model = model_of(loss, perturbation, bias=bias)
    y = targets(loss, len(X), 1)
    result = model.fit(X, y, patterns=quick(rounds=1, width=4))
    assert result.objective == pytest.approx(result.network.objective(model, X, y), rel=1e-9, abs=1e-12)
    assert result.bound <= result.objective * (1 + 1e-9)


def test_a_penalty_that_allows_nothing_gives_the_zero_network():
    model = model_of(penalty=rm.WeightDecay(1e3))
    result = model.fit(*product(model.loss), patterns=quick())
    assert result.network.n_neurons == 0
    assert result.objective == pytest.approx(1.0)


def test_the_same_seed_gives_the_same_network():
    model = model_of()
    X, y = example(model, n=12)
    first, second = (model.fit(X, y, patterns=quick(seed=3)) for _ in range(2))
    np.testing.assert_array_equal(first.network.hidden_weights, second.network.hidden_weights)
    assert (first.objective, first.bound) == (second.objective, second.bound)


def test_stopping(monkeypatch):
    model = model_of()
    X, y = product(model.loss)
    monkeypatch.setattr(robust, "EXPLORE", (10**9, 0.3))
    started = time.perf_counter()
    result = model.fit(X, y, patterns=quick(), time_limit=0.5)
    assert time.perf_counter() - started < 20
    assert result.status == "time limit"
    assert result.objective < 1
    assert (result.bound, result.bound_kind) == (0, "none")  # there was no time for another
    assert "no bound" in str(result)
    assert "nan" not in f"{result} {result.history[-1]}"
    monkeypatch.setattr(robust, "EXPLORE", (100, 0.3))
    seen = []
    result = model.fit(X, y, patterns=quick(), callback=lambda progress: seen.append(progress) or True)
    assert result.status == "interrupted"
    assert seen == result.history
    assert len(seen) == 1


def test_ctrl_c_in_the_first_round_returns_the_best_so_far(monkeypatch):
    model = model_of()
    X, y = product(model.loss)
    work, calls = robust_descend.bound, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 60:
            signal.raise_signal(signal.SIGINT)
        return work(*arguments)

    monkeypatch.setattr(robust_descend, "bound", interrupted)
    result = model.fit(X, y, patterns=quick())
    assert result.status == "interrupted"
    assert result.objective < 1  # that of the zero network
    assert result.network.objective(model, X, y) == pytest.approx(result.objective, rel=1e-9)


def test_bad_input():
    X, y = product(rm.Hinge())
    gated = model_of(activation=rm.GatedReLU())
    with pytest.raises(rm.InputError, match="gated"):
        gated.fit(X, y, patterns=quick())
    strict = rm.Model(rm.TwoLayer(rm.ReLU(), True), rm.Hinge(), rm.WeightDecay(1e-3), rm.LInf(0.1))
    with pytest.raises(rm.InputError, match="robust='crossing'"):
        strict.fit(X, y, patterns=quick())
