"""Losses that say what they are not, so that their worst case would be looked for at the wrong argument, are refused before any work."""

from dataclasses import dataclass

import numpy as np
import pytest

import relumodel as rm
from relumodel.functions.base import SampleLoss
from relumodel.functions.crossing import CrossingLoss
from relumodel.functions.one_sided import refuse_two_sided
from relumodel.functions.robust import RobustLoss
from relumodel.robustness.worst_case import worst_case
from user_losses import EvenPinball, Pinball

RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 2))
Y = X[:, 0] + 0.1 * RNG.standard_normal(20)
CLEAN = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), Pinball(0.9), rm.WeightDecay(1e-2))
BALL = rm.LInf(0.1).ball(2, None, False)


@dataclass(frozen=True)
class SquaredMargin(rm.SquaredHinge):
    """(1 - s)^2, which rises again beyond 1."""

    def value(self, s):
        return (1 - s) ** 2


@pytest.mark.parametrize("robust", ["strict", "crossing"])
@pytest.mark.parametrize("perturbation", [rm.LInf(0.1), rm.L2(0.1), rm.L1(0.1)], ids=str)
@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (EvenPinball(), r"declares even = True, but phi\(.*\) = .* and phi\(-"),
        (SquaredMargin(), "a loss of margins must not increase, .* SquaredMargin does"),
    ],
)
def test_no_model_with_a_perturbation_takes_a_loss_whose_worst_case_is_elsewhere(loss, message, perturbation, robust):
    with pytest.raises(rm.InputError, match=message):
        rm.Model(rm.TwoLayer(rm.ReLU()), loss, rm.WeightDecay(0.1), perturbation, robust)


def test_nor_does_a_polynomial_network():
    with pytest.raises(rm.InputError, match="EvenPinball declares even"):
        rm.Model(rm.TwoLayer(rm.Polynomial(), bias=True), EvenPinball(), rm.WeightDecay(0.1), rm.L2(0.1))


def test_the_loss_that_was_certified_wrongly():
    """Once a worst case of 0.037 was certified for such a loss, where a perturbation within the radius costs at least 0.227: taken at
    |f(x) - y| it is less than what a corner of the box costs. Now each half of the loss has a side of its own."""
    solution = CLEAN.compile(X, Y, rm.SamplePatterns(20, seed=0)).solve()
    assert solution.status == "optimal"  # nothing is wrong with it without a perturbation
    network = solution.network()
    corners = 0.1 * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    residuals = np.array([network(X + corner) - Y for corner in corners])
    true, claimed = CLEAN.loss.value(residuals).max(axis=0).mean(), CLEAN.loss.value(np.abs(residuals).max(axis=0)).mean()
    assert true > 3 * claimed
    worst = network.worst_case(rm.Model(CLEAN.network, CLEAN.loss, CLEAN.penalty, rm.LInf(0.1)), X, Y)
    assert (worst.losses >= CLEAN.loss.value(residuals).max(axis=0) - 1e-12).all()
    assert worst.losses.mean() == pytest.approx(true, rel=0.1)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: RobustLoss(SampleLoss.bind(EvenPinball(), Y), BALL, np.arange(20)),
        lambda: RobustLoss(SampleLoss.bind(Pinball(), Y), BALL, np.arange(20)),
        lambda: CrossingLoss(SampleLoss.bind(EvenPinball(), Y), BALL, (np.arange(20), np.arange(20)), 1, 0.0),
        lambda: worst_case(None, EvenPinball(), X, Y, BALL, False),
    ],
    ids=["strict", "strict, of even losses alone", "crossing", "worst case"],
)
def test_functions_without_a_model_refuse_too(ask):
    with pytest.raises(rm.InputError, match="even"):
        ask()


def test_an_even_loss_of_a_user_is_taken():
    """At q = 1/2 the pinball is half the absolute residual: the same worst case."""
    solved = [
        rm.Model(rm.TwoLayer(rm.ReLU()), loss, rm.WeightDecay(beta), rm.LInf(0.05))
        .compile(X, Y, rm.SamplePatterns(20, seed=0))
        .solve()
        for loss, beta in ((EvenPinball(0.5), 0.01), (rm.Absolute(), 0.02))
    ]
    assert solved[0].status == solved[1].status == "optimal"
    assert solved[0].objective == pytest.approx(0.5 * solved[1].objective, rel=1e-5)


@pytest.mark.parametrize(
    "loss", [rm.Squared(), rm.Absolute(), rm.Huber(0.3), rm.Hinge(), rm.SquaredHinge(), rm.Logistic()], ids=str
)
def test_the_built_in_losses_pass(loss):
    refuse_two_sided(loss)
