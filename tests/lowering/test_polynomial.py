"""Polynomial networks: the semidefinite program is the training problem, clean and robust, for every loss and backend."""

import numpy as np
import pytest

import data_strategies as ds
import relumodel as rm
from pairwise import pairwise

PERTURBATIONS = [None, rm.L2(0.2), rm.L2((0.1, 0.3), fixed=(0,)), rm.LInf(0.1), rm.L1(0.2)]


def model_of(loss, perturbation=None, bias=True, beta=0.02, activation=None):
    return rm.Model(rm.TwoLayer(activation or rm.Polynomial(), bias), loss, rm.WeightDecay(beta), perturbation=perturbation)


def unit_network(program, seed, neurons=3):
    """A network of random unit neurons."""
    network, rng = program.solve(backend="clarabel").network(), np.random.default_rng(seed)
    U = rng.standard_normal((network.hidden_weights.shape[0], neurons))
    return type(network)(
        network.activation, network.bias, U / np.linalg.norm(U, axis=0), rng.standard_normal(neurons), classifies=network.classifies
    )


@pytest.mark.parametrize(("make", "perturbation", "reduction"), pairwise(ds.MAKE_LOSS, PERTURBATIONS, ds.REDUCTIONS))
def test_the_network_has_the_objective_of_the_program(make, perturbation, reduction):
    loss = make(reduction=reduction)
    model = model_of(loss, perturbation)
    X, y = ds.example(model, n=12)
    program = model.compile(X, y)
    solution = program.solve(backend="clarabel")
    assert solution.status == "optimal"
    assert solution.bound <= solution.objective * (1 + 1e-9)
    assert solution.violation <= 1e-12
    network = solution.network()
    assert network.objective(model, X, y) == pytest.approx(solution.objective, abs=1e-9)
    np.testing.assert_allclose(np.linalg.norm(network.hidden_weights, axis=0), 1, rtol=1e-12)
    for sign in (1, -1):
        assert (np.sign(network.output_weights) == sign).sum() <= X.shape[1] + 2
    assert program.guarantee.kind == ("exact" if perturbation is None or isinstance(perturbation, rm.L2) else "upper bound")
    other = unit_network(program, seed=0)
    assert other.objective(model, X, y) >= solution.bound


@pytest.mark.parametrize("perturbation", [None, rm.L2(0.3)], ids=str)
@pytest.mark.parametrize("loss", [rm.Squared(), rm.Huber(0.5), rm.Hinge(), rm.Logistic()], ids=str)
def test_backends_agree(loss, perturbation):
    model = model_of(loss, perturbation)
    X, y = ds.example(model, n=10)
    program = model.compile(X, y)
    found = {
        backend: program.solve(backend=backend, tol=tol) for backend, tol in (("clarabel", 1e-6), ("cvxpy", 1e-6), ("scs", 1e-5))
    }
    for backend, solution in found.items():
        assert solution.status == "optimal", backend
        assert solution.objective == pytest.approx(found["clarabel"].objective, rel=2e-5), backend
        assert max(s.bound for s in found.values()) <= solution.objective * (1 + 1e-9)


def test_a_fine_grid_of_neurons_comes_down_to_the_optimum():
    """d = 2: unit neurons are angles. Coordinate descent on the l1-penalised squares over 180 of them, an independent solver."""
    model = model_of(rm.Squared(reduction="sum"), bias=False, beta=0.3)
    X, y = ds.example(model, n=8)
    optimum = model.compile(X, y).solve(backend="clarabel").objective
    angle = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    T = X @ np.stack([np.cos(angle), np.sin(angle)])
    F = 0.09 * T**2 + 0.5 * T + 0.47
    a, residual, squares = np.zeros(180), -y.copy(), (F**2).sum(axis=0)
    for _ in range(600):
        for j in range(180):
            pull = squares[j] * a[j] - F[:, j] @ residual
            new = np.sign(pull) * max(abs(pull) - 0.3, 0) / squares[j]
            residual += (new - a[j]) * F[:, j]
            a[j] = new
    value = 0.5 * residual @ residual + 0.3 * abs(a).sum()
    assert optimum - 1e-9 <= value <= optimum * 1.002


def test_a_robust_optimum_is_worse_than_the_clean_one_and_better_at_the_worst_case():
    clean, robust = model_of(rm.Hinge()), model_of(rm.Hinge(), rm.L2(0.3))
    X, y = ds.example(clean, n=30)
    ordinary, guarded = (m.compile(X, y).solve(backend="clarabel").network() for m in (clean, robust))
    assert ordinary.objective(clean, X, y) < guarded.objective(clean, X, y)
    assert guarded.objective(robust, X, y) < ordinary.objective(robust, X, y)


def test_degenerate_data_and_coefficients():
    for activation in (rm.Polynomial(0, 1, 0), rm.Polynomial(1, 0, 0), rm.Polynomial(-1, 0.5, 2), rm.Polynomial(0, 0, 1)):
        for X in (np.zeros((3, 2)), np.ones((3, 1)), np.array([[1.0, 2], [1, 2], [-2, -4]])):
            model = model_of(rm.Squared(), rm.L2(0.1), bias=False, activation=activation)
            y = np.array([1.0, -1, 2])
            solution = model.compile(X, y).solve(backend="clarabel")
            assert solution.gap <= 1e-6
            assert solution.network().objective(model, X, y) == pytest.approx(solution.objective, abs=1e-9)


def test_a_penalty_that_forbids_everything_and_none_at_all():
    X, y = ds.example(model_of(rm.Squared()), n=6)
    zero = model_of(rm.Squared(), beta=100.0).compile(X, y).solve()
    assert zero.objective == pytest.approx(0.5 * (y**2).mean())
    assert zero.network().n_neurons == 0
    assert (zero.network().predict(X) == 0).all()
    assert model_of(rm.Squared(), beta=0.0).compile(X, y).solve().bound == 0


def test_path_weights_and_fit():
    model = model_of(rm.Hinge())
    X, y = ds.example(model, n=10)
    objectives = [s.objective for s in rm.path(model, X, y, betas=[0.1, 0.01], patterns=None)]
    assert objectives[0] > objectives[1]
    weights = np.tile([1.0, 2.0], 5)
    weighted = model.compile(X, y, sample_weight=weights).solve()
    repeated = model.compile(np.repeat(X, [1, 2] * 5, axis=0), np.repeat(y, [1, 2] * 5)).solve()
    assert weighted.objective == pytest.approx(repeated.objective, rel=1e-6)
    fit = model.fit(X, y)
    assert fit.bound_kind == "certified"
    assert fit.gap <= 1e-6
    assert "semidefinite" in str(fit)


def test_the_printed_program():
    model = model_of(rm.Hinge(), rm.L2(0.1))
    program = model.compile(*ds.example(model, n=4))
    text = str(program)
    assert "0.02 sum_j |a_j|,  |u_j|_2 = 1" in text
    assert "f(x) = sum_j (a ([x, 1].u_j)^2 + b [x, 1].u_j + c) a_j,  a = 0.09, b = 0.5, c = 0.47" in text
    assert "2 semidefinite of order 4, and one of order 3 a sample" in text
    assert program.patterns is None
    assert rm.Model.from_dict(model.to_dict()) == model


def test_refusals():
    model = model_of(rm.Hinge())
    X, y = ds.example(model)
    with pytest.raises(rm.InputError, match="has no activation patterns; leave patterns out"):
        model.compile(X, y, patterns=rm.SamplePatterns(5))
    with pytest.raises(rm.InputError, match=r"declared as rm.WeightDecay\(beta\)"):
        rm.Model(rm.TwoLayer(rm.Polynomial()), rm.Hinge(), rm.PathNorm(1.0))
    with pytest.raises(rm.InputError, match="a = b = c = 0"):
        rm.Polynomial(0, 0, 0)
    with pytest.raises(rm.BackendError, match=r"'highs' lacks .*semidefinite.*clarabel"):
        model.compile(X, y).solve(backend="highs")
