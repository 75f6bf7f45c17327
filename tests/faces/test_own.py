"""check_loss, check_penalty and check_function: what is built in passes, and every kind of lie is caught by the check that is there for it."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

import relumodel as rm
from relumodel.functions.ball_loss import BallLoss
from relumodel.functions.base import GroupNorm, L1Norm, Linear, Nonnegative, SampleLoss, ZeroIndicator
from relumodel.functions.class_sample_loss import ClassSampleLoss
from relumodel.functions.crossing import CrossingLoss
from relumodel.functions.losses import ResidualLoss
from relumodel.functions.norms import NormExcess
from relumodel.functions.robust import RobustCones, RobustLoss
from relumodel.functions.semidefinite import Semidefinite
from relumodel.functions.sides import sides
from relumodel.functions.support import SupportEpigraph
from relumodel.testing import (
    FUNCTION_CHECKS,
    LOSS_CHECKS,
    PENALTY_CHECKS,
    ConformanceError,
    check_function,
    check_loss,
    check_penalty,
)
from user_losses import Elastic, ElasticNorm, EvenPinball, HeavierHuber, Pinball

LOSSES = [rm.Squared(), rm.Absolute(), rm.Huber(0.7), rm.Hinge(), rm.SquaredHinge(), rm.Logistic()]
OF_CLASSES = [rm.MultiMargin(), rm.SoftmaxCrossEntropy()]
Y = np.array([0.3, -1.0, 2.0, 0.0, 1.0, 1.0])
FUNCTIONS = [
    SampleLoss.bind(rm.Huber(0.7), Y, np.array([1.0, 2, 1, 0.5, 1, 1])),
    SampleLoss.bind(rm.Logistic(), np.where(Y > 0.5, 1.0, -1.0)),
    ClassSampleLoss.bind(rm.MultiMargin(), np.array([1.0, 2.0]), np.array([1.0, 2.0, 3.0])),
    GroupNorm(0.6, 3),
    L1Norm(0.6, 2),
    ElasticNorm(0.6, 3),
    Nonnegative(),
    ZeroIndicator(),
    Semidefinite(3),
]


def name(value):
    return type(value).__name__


@pytest.mark.parametrize("loss", [*LOSSES, *OF_CLASSES, Pinball(0.1), EvenPinball(0.5)], ids=name)
def test_right_losses_pass(loss):
    report = check_loss(loss)
    assert len(report.passed) + len(report.skipped) == len(LOSS_CHECKS)
    assert {"value", "convex", "fenchel_young", "domain", "prox", "rows", "torch"} <= {outcome.name for outcome in report.passed}


@pytest.mark.parametrize("penalty", [rm.WeightDecay(0.5), rm.PathNorm(0.5), Elastic(0.5)], ids=name)
def test_right_penalties_pass(penalty):
    report = check_penalty(penalty)
    assert len(report.passed) + len(report.skipped) == len(PENALTY_CHECKS)
    assert {"norm", "function", "neurons", "dual_gauge", "rows"} <= {outcome.name for outcome in report.passed}


@pytest.mark.parametrize("function", FUNCTIONS, ids=name)
def test_right_functions_pass(function):
    report = check_function(function)
    assert len(report.passed) + len(report.skipped) == len(FUNCTION_CHECKS)


LABELS, VALUES = np.array([1.0, -1.0, 1.0]), np.array([0.3, -0.5, 0.8])
SAMPLES = np.array([0, 1, 0])


def worst_cases():
    """Functions of worst cases on two features, each with its size."""
    box, ball, diamond = (kind.ball(2) for kind in (rm.LInf(0.3), rm.L2((0.3, 0.1)), rm.L1(0.2)))
    hinge, huber = SampleLoss.bind(rm.Hinge(), LABELS), SampleLoss.bind(rm.Huber(0.5), VALUES)
    both, two = (np.arange(2), np.arange(2)), SampleLoss.bind(rm.Huber(0.5), VALUES[:2])
    yield RobustCones(2, box), 4
    yield RobustLoss(hinge, ball, SAMPLES), 7
    yield RobustLoss(huber, box, SAMPLES), 7
    yield SupportEpigraph(box, 1), 3
    yield CrossingLoss(hinge, diamond, (np.array([0, 2]), np.array([1])), 1, 0.1), 3 * 4
    yield CrossingLoss(two, box, both, 1, 0.0), 4 * 4
    samples, signs = sides(rm.Squared(), VALUES)
    yield BallLoss(SampleLoss.bind(rm.Squared(), VALUES), samples, signs, 1), 1 + 6 * 2


@pytest.mark.parametrize(("function", "size"), list(worst_cases()), ids=name)
def test_functions_of_worst_cases_pass(function, size):
    # they hold NumPy arrays; "moreau" and "conjugate" say more of a proximal map than "prox", in less time
    report = check_function(function, size, only=[check for check in FUNCTION_CHECKS if check not in ("torch", "prox")])
    assert {"fenchel_young", "domain", "rows"} <= {outcome.name for outcome in report.passed}


def test_a_linear_function_has_no_least_value():
    """Polynomial programs, which have one, do not scale their multipliers towards 0."""
    report = check_function(Linear(0.5), raise_on_failure=False)
    assert [outcome.name for outcome in report.failed] == ["domain"]
    assert "lacks 0, so f has no least value" in report.failed[0].detail


def lie(base, **faces):
    """A class with some faces of an honest one replaced, each a function of the honest object and the arguments."""

    def method(call):
        return lambda self, *arguments: call(base, *arguments)

    bodies = {word: method(call) for word, call in faces.items() if callable(call)}
    rest = {word: value for word, value in faces.items() if not callable(value)}
    kind = type(base)
    made = type(f"Lying{kind.__name__}", (kind,), {**bodies, **rest, "__annotations__": {}})
    return replace_type(base, made)


def replace_type(base, kind):
    out = object.__new__(kind)
    out.__dict__.update(base.__dict__)
    return out


HUBER, HINGE, NORM = rm.Huber(0.7), rm.Hinge(), GroupNorm(0.6, 3)


def in_place(f, s):
    s[:] = s * 1.0000001
    return f.value(s)


LOSS_LIES = [
    # (what it does, the check that must catch it, a word of the message)
    (lie(HUBER, value=lambda f, s: f.value(s).sum()), "value", "shape"),
    (lie(HUBER, value=in_place), "value", "changed its argument in place"),
    (lie(HUBER, value=lambda f, s: f.value(s) - f.value(s).mean()), "value", "of a sample alone"),
    (lie(HUBER, value=lambda f, s: np.minimum(f.value(s), 1.0)), "convex", "not convex"),
    (lie(HUBER, slope=lambda f, s: 0.9 * f.slope(s)), "slope", "no subgradient"),
    (lie(HUBER, conjugate=lambda f, m: 0.9 * f.conjugate(m)), "fenchel_young", "disagree"),
    (lie(HUBER, clip=lambda f, m: np.clip(m, -0.8, 0.8)), "fenchel_young", "disagree"),
    (HeavierHuber(1.0), "fenchel_young", "value, conjugate and clip disagree"),
    (lie(HUBER, conjugate=lambda f, m: 1.1 * f.conjugate(m)), "conjugate", "must be z.q"),
    (lie(HUBER, clip=lambda f, m: np.clip(m, -0.6, 0.6)), "conjugate", "domain is too small"),
    (lie(HUBER, clip=lambda f, m: 0.5 * f.clip(m)), "domain", "moves a point that it returned itself"),
    (lie(HINGE, clip=lambda f, m: np.clip(m, -1.0, -0.1)), "domain", "lacks 0"),
    (lie(HINGE, clip=lambda f, m: np.where(m == -0.5, -0.6, f.clip(m))), "domain", "half of one of its points"),
    (lie(HINGE, clip=lambda f, m: np.where(m < -1, -0.9, f.clip(m))), "clip", "nearer"),
    (lie(HUBER, prox=lambda f, s, t: f.prox(s, 1.1 * t)), "prox", "costs"),
    (lie(HUBER, prox=lambda f, s, t: f.prox(s, 1.1 * t)), "moreau", "prox"),
    (lie(HUBER, conjugate_slopes=lambda f, m: (2 * m, 2 + 0 * m)), "conjugate_slopes", "conjugate'"),
    (lie(HUBER, conjugate_slopes=lambda f, m: (m, 2 + 0 * m)), "conjugate_slopes", "conjugate''"),
    (lie(HUBER, rows=lambda f, w: replace(f.rows(w), cost=1.1 * f.rows(w).cost)), "rows", "conic rows allow"),
    (lie(HUBER, rows=lambda f, w: f.rows(np.ones_like(w))), "weights", "with weights"),
    (EvenPinball(0.1), "sides", "declares even = True"),
    (lie(HINGE, value=lambda f, s: (1 - s) ** 2), "sides", "must not increase"),
    (lie(HINGE, likelihood=True), "likelihood", "sum to"),
    (lie(HUBER, slope=lambda f, s: np.clip(np.asarray(s), -0.7, 0.7) if isinstance(s, np.ndarray) else 0 * s), "torch", "torch"),
    (lie(HUBER, formula="huber"), "declared", "where its argument stands"),
    (lie(HUBER, prox=lambda f, s, t: 1 / 0), "prox", "raised ZeroDivisionError"),
    (lie(rm.MultiMargin(), conjugate=lambda f, q, own: 1.1 * f.conjugate(q, own)), "fenchel_young", "class 0 of 3"),
]


@pytest.mark.parametrize(("loss", "caught_by", "word"), LOSS_LIES)
def test_lies_of_losses_are_caught_by_name(loss, caught_by, word):
    report = check_loss(loss, only=[caught_by], raise_on_failure=False)
    assert [outcome.name for outcome in report.failed] == [caught_by]
    assert word in report.failed[0].detail


DECAY = rm.WeightDecay(0.5)
PENALTY_LIES = [
    (lie(DECAY, norms=lambda p, B: np.sqrt(p.norms(B))), "norm", "-3 b"),
    (lie(DECAY, norms=lambda p, B: (np.abs(B) ** 0.5).sum(axis=1) ** 2), "norm", "above norms"),
    (lie(DECAY, norms=lambda p, B: np.abs(B).sum(axis=1)), "function", "not beta norms"),
    (lie(DECAY, function=lambda p, size: GroupNorm(0.5, size)), "function", "not beta norms"),
    (lie(DECAY, of_network=lambda p, hidden, output: 2 * p.of_network(hidden, output)), "neurons", "its network would cost"),
    (lie(DECAY, of_network=lambda p, hidden, output: p.beta * (hidden**2).sum()), "neurons", "below beta |b|"),
    (lie(DECAY, of_network=lambda p, hidden, output: 0.25 * float((hidden**2).sum() + (output**2).sum())), "outputs", "|a|_1"),
    (lie(DECAY, fold=lambda p, z: 1.1 * p.fold(z)), "factors", "is not b"),
    (lie(DECAY, pull=lambda p, z, G: 1.1 * p.pull(z, G)), "factors", "pull"),
    (lie(DECAY, of_sub_networks=lambda p, W1, w2, w3: float((W1**2).sum())), "sub_networks", "3 W1"),
]


@pytest.mark.parametrize(("penalty", "caught_by", "word"), PENALTY_LIES)
def test_lies_of_penalties_are_caught_by_name(penalty, caught_by, word):
    report = check_penalty(penalty, only=[caught_by], raise_on_failure=False)
    assert [outcome.name for outcome in report.failed] == [caught_by]
    assert word in report.failed[0].detail


FUNCTION_LIES = [
    (lie(NORM, dual_gauge=lambda f, q: 0.5 * f.dual_gauge(q)), "dual_gauge", "too small"),
    (lie(NORM, dual_gauge=lambda f, q: 2 * f.dual_gauge(q)), "dual_gauge", "too large"),
    (lie(NORM, project_dual=lambda f, q: GroupNorm(0.7, 3).project_dual(q)), "fenchel_young", "project_dual"),
    (lie(NORM, prox=lambda f, z, t: f.prox(z, 1.2 * t)), "prox", "costs"),
    (lie(Nonnegative(), project_dual=lambda f, q: q), "fenchel_young", "disagree"),
    (lie(Nonnegative(), prox=lambda f, z, t: z), "prox", "outside of the domain"),
    (lie(Nonnegative(), rows=lambda f, m: ZeroIndicator().rows(m)), "rows", "nothing"),
    (lie(NormExcess(2, 0.0, 1.0), cone=True), "cone", "is not in it"),
    (lie(NormExcess(2, 1.0, np.inf), cone=True), "cone", "where that of a cone is 0"),
]


@pytest.mark.parametrize(("function", "caught_by", "word"), FUNCTION_LIES)
def test_lies_of_functions_are_caught_by_name(function, caught_by, word):
    report = check_function(function, only=[caught_by], raise_on_failure=False)
    assert [outcome.name for outcome in report.failed] == [caught_by]
    assert word in report.failed[0].detail


@dataclass(frozen=True)
class ValueOnly(ResidualLoss):
    """All that an attack or a plot needs."""

    formula: ClassVar[str] = "|{s}|"

    def value(self, s):
        return abs(s)


def test_missing_faces_are_skipped_by_name():
    report = check_loss(ValueOnly())
    reasons = {outcome.name: outcome.detail for outcome in report.skipped}
    assert reasons["prox"] == "it has no prox"
    assert reasons["fenchel_young"] == "it has no clip"
    assert {"value", "convex", "declared"} <= {outcome.name for outcome in report.passed}


def test_the_error_lists_every_failure():
    with pytest.raises(ConformanceError) as caught:
        check_loss(HeavierHuber(1.0))
    assert isinstance(caught.value, rm.RelumodelError)
    assert str(caught.value).startswith("loss HeavierHuber(reduction='mean', delta=1.0): 7 passed, 8 failed, 1 skipped in")
    assert "FAILED   fenchel_young: value, conjugate and clip disagree: at z = " in str(caught.value)


@pytest.mark.parametrize("check", [check_loss, check_penalty, check_function])
def test_what_cannot_be_checked(check):
    with pytest.raises(rm.InputTypeError, match=r"the class Hinge \(add parentheses\)"):
        check(rm.Hinge)
    with pytest.raises(rm.InputError, match="There is no check 'speed'"):
        check({check_loss: HINGE, check_penalty: DECAY, check_function: NORM}[check], only=["speed"])


def test_checks_say_what_they_are():
    for checks in (LOSS_CHECKS, PENALTY_CHECKS, FUNCTION_CHECKS):
        for key, one in checks.items():
            assert (one.name, one.since) == (key, "0.1")
            assert one.about
