"""The functions of the robust programs: their faces must agree with each other, for every loss and every perturbation set."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import relumodel as rm
from data_strategies import LOSSES, targets
from pairwise import pairwise
from reference import epigraph_minimum
from relumodel.declare.perturbations import Ball
from relumodel.functions.base import SampleLoss
from relumodel.functions.crossing import CrossingLoss
from relumodel.functions.robust import RobustCones, RobustLoss
from relumodel.functions.support import SupportEpigraph

#: n samples, d columns of which the second is never perturbed, P patterns
N, D, P = 4, 3, 2
RADII = np.array([0.5, 0.0, 0.2])
BALLS = [Ball(make(1.0), RADII) for make in (rm.LInf, rm.L2, rm.L1)]
EVERYONE, HALVES = (np.arange(N), np.arange(N)), (np.array([1, 3]), np.array([0, 2]))


@dataclasses.dataclass(frozen=True)
class Case:
    """A function and the length of its argument."""

    f: object
    size: int

    def __str__(self):
        inner = getattr(self.f, "clean", None)
        loss = f"-{type(inner.loss).__name__}" if inner else ""
        return f"{type(self.f).__name__}{loss}-{type(self.f.ball.perturbation).__name__}"


def _case(loss, ball, kind):
    y_halves = np.array([-1.0, 1.0, -1.0, 1.0])
    clean = SampleLoss.bind(loss, targets(loss, N) if loss.reads == "residual" else y_halves)
    if kind is RobustLoss:
        return Case(RobustLoss(clean, ball, np.array([0, 1, 0, 2])), N + 3 * D)
    samples = HALVES if loss.reads == "margin" else EVERYONE
    return Case(CrossingLoss(clean, ball, samples, P, 0.25), sum(map(len, samples)) * (1 + D + P))


#: of the losses those that are means; sums differ by a factor only
LOSS_CASES = [_case(*row) for row in pairwise(LOSSES[::2], BALLS, [RobustLoss, CrossingLoss])]
CASES = LOSS_CASES + [
    c for ball in BALLS for c in (Case(RobustCones(N, ball), 2 * (N + D)), Case(SupportEpigraph(ball, 3), 3 * (D + 1)))
]
every_case = pytest.mark.parametrize("case", CASES, ids=str)
#: there are many cases, so few examples of each
few = settings(max_examples=6)
every_loss = pytest.mark.parametrize("case", LOSS_CASES, ids=str)


@st.composite
def points(draw, case):
    """An argument; zeros and ties included."""
    if draw(st.booleans()):
        return np.random.default_rng(draw(st.integers(0, 999))).standard_normal(case.size) * draw(st.sampled_from([0.1, 1.0, 5.0]))
    return draw(arrays(float, case.size, elements=st.integers(-3, 3).map(float)))


def feasible(f, z):
    """A point of the domain next to z: its projection, for an indicator."""
    return f.prox(z, 1.0) if f.indicator else z


@every_case
@few
@given(data=st.data())
def test_fenchel_young(case, data):
    """f(z) + f*(q) >= z.q for z and q in the domains."""
    f = case.f
    z, q = feasible(f, data.draw(points(case))), f.project_dual(data.draw(points(case)))
    assert f.violation(z) <= 1e-12
    assert f.value(z) + f.conjugate(q) >= z @ q - 1e-9 * (1 + abs(z @ q))


@every_case
@few
@given(data=st.data(), t=st.floats(0.05, 10))
def test_prox_by_moreau(case, data, t):
    """p = prox(z) iff q = (z - p) / t is a subgradient of f at p: q in the domain of f*, f(p) + f*(q) = p.q."""
    f, z = case.f, data.draw(points(case))
    p = f.prox(z, t)
    q = (z - p) / t
    assert f.violation(p) <= 1e-12
    inside = f.project_dual(q)
    np.testing.assert_allclose(inside, q, atol=2e-7)
    assert f.value(p) + f.conjugate(inside) == pytest.approx(p @ q, abs=1e-6)


@every_case
@few
@given(data=st.data(), t=st.floats(0.05, 10))
def test_prox_beats_every_other_point(case, data, t):
    f, z = case.f, data.draw(points(case))

    def cost(p):
        return t * f.value(p) + 0.5 * ((p - z) ** 2).sum()

    best = f.prox(z, t)
    for other in (data.draw(points(case)), z, best + 1e-3 * data.draw(points(case))):
        assert cost(best) <= cost(feasible(f, other)) + 1e-9 * (1 + cost(best))


@every_loss
@few
@given(data=st.data())
def test_the_gradient_of_a_loss_is_a_dual_point_with_equality(case, data):
    f, z = case.f, data.draw(points(case))
    q = f.gradient(z)
    np.testing.assert_allclose(f.project_dual(q), q, rtol=1e-9, atol=1e-12)
    assert f.value(z) + f.conjugate(q) == pytest.approx(z @ q, abs=1e-9)


@every_case
@few
@given(data=st.data())
def test_project_dual_stays_where_it_is_inside(case, data):
    """Also on the segment to 0, which the certificate relies on."""
    f = case.f
    inside = f.project_dual(data.draw(points(case)))
    for scale in (1.0, 0.5):
        np.testing.assert_allclose(f.project_dual(scale * inside), scale * inside, rtol=1e-9, atol=1e-12)


@every_case
@few
@given(data=st.data())
def test_rows_describe_the_epigraph(case, data):
    f = case.f
    z = feasible(f, data.draw(points(case)))
    if not f.indicator:
        z = np.clip(z, -4, 4)
    assert epigraph_minimum(f.rows(case.size), z) == pytest.approx(f.value(z), abs=1e-5 * (1 + abs(f.value(z))))


@pytest.mark.parametrize("ball", BALLS, ids=str)
def test_rows_of_the_indicators_exclude_what_is_outside(ball):
    for f, z in (
        (RobustCones(2, ball), np.array([0.49, 2.0, 1.0, 7.0, 0.0])),
        (SupportEpigraph(ball, 1), np.array([1.0, 7.0, 0.0, 0.49])),
    ):
        assert f.violation(z) == pytest.approx(0.01)
        with pytest.raises(AssertionError):  # no optimum: the rows are infeasible
            epigraph_minimum(f.rows(len(z)), z)
        epigraph_minimum(f.rows(len(z)), f.prox(z, 1.0))


def test_robust_losses_by_hand():
    # margins 2 - 0.5 and -1 - 0.5 * 3 (LInf, |q| = 1 and 3 on the perturbed column), hinge 0 and 3.5
    ball = Ball(rm.LInf(1.0), np.array([0.5, 0.0]))
    hinge = RobustLoss(SampleLoss.bind(rm.Hinge(reduction="sum"), np.array([1.0, -1.0])), ball, np.array([0, 1]))
    z = np.array([2.0, 1.0, 1.0, 9.0, -3.0, 9.0])
    assert hinge.value(z) == pytest.approx(3.5)
    np.testing.assert_allclose(hinge.gradient(z), [0, 1, 0, 0, -0.5, 0])
    # residuals |1 - 0| + 0.5 and |-1 - 2| + 1.5
    squared = RobustLoss(SampleLoss.bind(rm.Squared(reduction="sum"), np.array([0.0, 2.0])), ball, np.array([0, 1]))
    assert squared.value(np.array([1.0, -1.0, 1.0, 9.0, -3.0, 9.0])) == pytest.approx(0.5 * 1.5**2 + 0.5 * 4.5**2)


def test_cones_by_hand():
    ball = Ball(rm.L2(1.0), np.array([1.0, 1.0]))
    cones = RobustCones(2, ball)
    assert cones.violation(np.array([5.0, 6.0, 3.0, 4.0])) == 0  # |(3, 4)| = 5
    assert cones.violation(np.array([4.0, 6.0, 3.0, 4.0])) == 1
    np.testing.assert_allclose(cones.project_dual(np.array([-1.0, 2.0, 3.0, 4.0])), [-1, 0, 0.6, 0.8])


def moved(f):
    """The function with its arrays in torch, as an engine there holds them."""
    out = {}
    for field in dataclasses.fields(f):
        value = getattr(f, field.name)
        if isinstance(value, np.ndarray):
            value = torch.tensor(value)
        elif dataclasses.is_dataclass(value) and not isinstance(value, rm.LInf | rm.L1 | rm.L2):
            value = moved(value)
        elif field.name == "samples":
            value = tuple(torch.tensor(k) for k in value)
        out[field.name] = value
    return dataclasses.replace(f, **out)


@pytest.mark.parametrize("case", [c for c in CASES if not isinstance(c.f, CrossingLoss)], ids=str)
def test_torch_agrees_with_numpy(case):
    f, g, z = case.f, moved(case.f), np.linspace(-3, 3, case.size)
    on_torch = torch.tensor(z)
    assert float(g.value(on_torch)) == pytest.approx(float(f.value(z)))
    np.testing.assert_allclose(g.prox(on_torch, 0.7).numpy(), f.prox(z, 0.7), atol=1e-12)
    np.testing.assert_allclose(g.project_dual(on_torch).numpy(), f.project_dual(z), atol=1e-12)
    assert float(g.conjugate(g.project_dual(on_torch))) == pytest.approx(float(f.conjugate(f.project_dual(z))))
