"""Piecewise linear-quadratic losses pass the checks of every loss, and are the functions they are named after."""

import numpy as np
import pytest

import relumodel as rm
from relumodel.testing import check_loss

LOSSES = [
    rm.Pinball(0.9),
    rm.EpsilonInsensitive(0.2),
    rm.EpsilonInsensitive(0.0),
    rm.Expectile(0.8),
    rm.PLQ((-1, 0.5, 2), (-2, -0.5, 0.0, 3.0), (0, 0.1, 0.2, 0)),
    rm.PLQ((1.0,), (-2, -1), (1, 1.0)),
]


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_its_faces_belong_to_one_function(loss: rm.Loss) -> None:
    check_loss(loss)


def test_they_are_what_they_are_named_after() -> None:
    s = np.linspace(-3, 3, 61)
    np.testing.assert_allclose(rm.Expectile(0.5).value(s), rm.Squared().value(s))
    np.testing.assert_allclose(rm.Pinball(0.5).value(s), np.abs(s) / 2)
    np.testing.assert_allclose(rm.PLQ((-1, 1), (-1, 0, 1)).value(s), rm.EpsilonInsensitive(1.0).value(s))
    np.testing.assert_allclose(rm.PLQ((-1, 1), (-1, 0, 1), (0, 1, 0)).value(s), rm.Huber(1.0).value(s), atol=1e-12)
    assert rm.EpsilonInsensitive(0.2).even
    assert not rm.Pinball(0.9).even
    assert rm.Pinball(0.5).even


def test_the_best_constant_is_the_quantile() -> None:
    y = np.random.default_rng(0).normal(size=101)
    constants = np.linspace(-3, 3, 2001)
    for level in (0.1, 0.5, 0.9):
        risk = [rm.Pinball(level).value(c - y).mean() for c in constants]
        assert abs(constants[int(np.argmin(risk))] - np.quantile(y, level)) < 0.05


def test_a_model_and_the_native_engine_take_them() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 3)), rng.normal(size=30)
    for loss in LOSSES:
        program = rm.Model(rm.TwoLayer(rm.ReLU()), loss, rm.WeightDecay(0.02)).compile(X, y, rm.SamplePatterns(8, seed=0))
        exact = program.solve(backend="clarabel", tol=1e-7)
        native = program.solve(backend="admm", tol=1e-4)
        assert exact.status == "optimal"
        assert native.objective == pytest.approx(exact.objective, rel=2e-4)
