"""The published algorithms that benchmarks compare with reach the optimum the library finds."""

import numpy as np
import pytest
from source_admm import DenseCholesky, Descent, Maps, SmallCholesky, admm

import relumodel as rm


def instance(loss, beta=0.2):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((20, 3))
    y = np.sign(X[:, 0] * X[:, 1] + 0.2 * rng.standard_normal(20))
    return X, y, rm.Model(rm.TwoLayer(rm.ReLU()), loss, rm.WeightDecay(beta)).compile(X, y, patterns=rm.SamplePatterns(3, seed=0))


def test_algorithm_31_reaches_the_optimum():
    X, y, program = instance(rm.Squared(reduction="sum"))
    V = admm(DenseCholesky(Maps(X, program.patterns), y, rho=0.3), 0.2, 1.0, 2000).ravel()
    assert program.violation(V) < 1e-6
    assert program.objective(V) == pytest.approx(program.solve().objective, rel=1e-5)


def test_a_smaller_dual_step_reaches_it_too():
    X, y, program = instance(rm.Squared(reduction="sum"))
    V = admm(DenseCholesky(Maps(X, program.patterns), y, rho=0.3), 0.2, 1 / 3, 4000).ravel()
    assert program.objective(V) == pytest.approx(program.solve().objective, rel=1e-4)


def test_both_factors_give_the_same_iterates():
    X, y, program = instance(rm.Squared(reduction="sum"))
    maps = Maps(X, program.patterns)
    dense, small = ([], [])
    admm(DenseCholesky(maps, y, 0.1), 0.2, 1.0, 30, lambda k, V: dense.append(V))
    admm(SmallCholesky(maps, y, 0.1), 0.2, 1.0, 30, lambda k, V: small.append(V))
    np.testing.assert_allclose(dense, small, atol=1e-9)


@pytest.mark.parametrize(
    ("loss", "rho", "accuracy"), [(rm.Squared, 0.3, 1e-3), (rm.Logistic, 0.03, 1e-4)], ids=["squared", "logistic"]
)
def test_algorithm_32_reaches_the_optimum(loss, rho, accuracy):
    X, _, program = instance(loss(reduction="sum"))
    term = program.term("loss").function
    update = Descent(Maps(X, program.patterns), term.value, term.gradient, rho, threshold=1e-3)
    V = admm(update, 0.2, 1.0, 400).ravel()
    assert program.violation(V) < 10 * accuracy
    assert program.objective(V) == pytest.approx(program.solve().objective, rel=accuracy)
    assert update.steps > 400
