import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import relumodel as rm
from data_strategies import LOSSES, targets
from reference import epigraph_minimum
from relumodel.functions.base import GroupNorm, L1Norm, Nonnegative, SampleLoss, block_norms

SIZE = 6
BOUND = [SampleLoss.bind(loss, targets(loss, SIZE)) for loss in LOSSES]
NORMS = [GroupNorm(0.6, 3), GroupNorm(0.6, 1), L1Norm(0.6, 2), GroupNorm(0.0, 2), L1Norm(0.0, 3)]
FUNCTIONS = [*BOUND, *NORMS, Nonnegative()]


def name(f):
    return f"{type(f.loss).__name__}-{f.loss.reduction}" if isinstance(f, SampleLoss) else repr(f)


every_function = pytest.mark.parametrize("f", FUNCTIONS, ids=name)
every_norm = pytest.mark.parametrize("f", NORMS, ids=name)
points = arrays(float, SIZE, elements=st.floats(-8, 8).map(lambda x: round(x, 3)))


@every_function
@given(z=points, q=points)
def test_fenchel_young(f, z, q):
    """f(z) + f*(q) >= z.q for z and q in the domains."""
    z, q = f.prox(z, 0) if f.indicator else z, f.project_dual(q)
    assert f.violation(z) == 0
    assert f.value(z) + f.conjugate(q) >= z @ q - 1e-10


@every_function
@given(z=points, t=st.floats(0.01, 20))
def test_prox_by_moreau(f, z, t):
    """p = prox(z) iff q = (z - p) / t is a subgradient of f at p: q in the domain of f*, f(p) + f*(q) = p.q."""
    p = f.prox(z, t)
    q = (z - p) / t
    assert f.violation(p) == 0
    np.testing.assert_allclose(f.project_dual(q), q, atol=1e-9)
    assert f.value(p) + f.conjugate(f.project_dual(q)) == pytest.approx(p @ q, abs=1e-8)


@every_function
@given(z=points, t=st.floats(0.01, 20), other=points)
def test_prox_beats_every_other_point(f, z, t, other):
    def cost(p):
        return t * f.value(p) + 0.5 * ((p - z) ** 2).sum()

    other = np.abs(other) if f.indicator else other
    assert cost(f.prox(z, t)) <= cost(other) + 1e-10


@pytest.mark.parametrize("f", BOUND, ids=name)
@given(z=points)
def test_the_gradient_of_a_loss_is_a_dual_point_with_equality(f, z):
    q = f.gradient(z)
    np.testing.assert_allclose(f.project_dual(q), q, rtol=1e-15, atol=1e-300)
    assert f.value(z) + f.conjugate(q) == pytest.approx(z @ q, abs=1e-10)


@every_function
@given(q=points)
def test_project_dual_stays_where_it_is_inside(f, q):
    inside = f.project_dual(q)
    np.testing.assert_allclose(f.project_dual(inside), inside, rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(f.project_dual(0.5 * inside), 0.5 * inside, rtol=1e-12, atol=1e-300)


@every_function
@given(z=points)
def test_rows_describe_the_epigraph(f, z):
    z = np.abs(z) if f.indicator else z
    if f.indicator:
        (piece,) = f.rows(SIZE).pieces
        np.testing.assert_array_equal(piece.b - piece.on_z * z, z)  # rows b - on_z z >= 0 are z >= 0
        assert piece.on_t.shape == (SIZE, 0)
    else:
        assert epigraph_minimum(f.rows(SIZE), z) == pytest.approx(f.value(z), abs=2e-6 * (1 + abs(f.value(z))))


@every_norm
@given(q=points)
def test_the_gauge_scales_onto_the_border_of_the_dual_ball(f, q):
    gauge = f.dual_gauge(q)
    assert gauge == (f.block_gauges(q).max() / f.beta if f.beta else np.inf) or not q.any()
    if not q.any():
        assert gauge == 0
    elif f.beta:
        on_border = q / gauge
        np.testing.assert_allclose(f.project_dual(on_border), on_border, rtol=1e-12)
        assert not np.allclose(f.project_dual(1.01 * on_border), 1.01 * on_border, rtol=1e-6)


@every_norm
@given(z=points)
def test_a_norm_is_the_largest_product_with_its_dual_ball(f, z):
    """|z| = max { z.q : gauge(q) <= 1 }, attained at the projection of a far multiple of z (blockwise, or by signs)."""
    q = f.project_dual(1e9 * (z if isinstance(f, GroupNorm) else np.sign(z)))
    assert f.value(z) == pytest.approx(z @ q, abs=1e-6)
    assert f.dual_gauge(q) <= 1 + 1e-12 or f.beta == 0


def test_norms_by_hand():
    z = np.array([3.0, -4.0, 0.0, 2.0])
    np.testing.assert_array_equal(block_norms(z, 2), [5, 2])
    assert GroupNorm(0.5, 2).value(z) == 3.5
    assert L1Norm(0.5, 2).value(z) == 4.5
    np.testing.assert_array_equal(GroupNorm(0.5, 2).block_gauges(z), [5, 2])
    np.testing.assert_array_equal(L1Norm(0.5, 2).block_gauges(z), [4, 2])
    np.testing.assert_allclose(GroupNorm(1, 2).prox(z, 2.0), [1.8, -2.4, 0, 0])  # (5 - 2) / 5 of the first, none of the second
    np.testing.assert_array_equal(L1Norm(1, 2).prox(z, 2.0), [1, -2, 0, 0])


def test_losses_by_hand():
    squared = SampleLoss.bind(rm.Squared(), np.array([1.0, -1.0]))
    assert squared.value(np.array([3.0, 0.0])) == pytest.approx((2 + 0.5) / 2)  # (1/2) (2^2 / 2 + 1^2 / 2)
    np.testing.assert_array_equal(squared.gradient(np.array([3.0, 0.0])), [1.0, 0.5])
    hinge = SampleLoss.bind(rm.Hinge(reduction="sum"), np.array([1.0, -1.0]))
    assert hinge.value(np.array([0.5, 0.5])) == pytest.approx(0.5 + 1.5)
    np.testing.assert_array_equal(hinge.gradient(np.array([0.5, 0.5])), [-1.0, 1.0])
    # with q = 0 the bound of a loss is its infimum, 0
    assert squared.conjugate(np.zeros(2)) == hinge.conjugate(np.zeros(2)) == 0


def test_the_indicator_by_hand():
    f = Nonnegative()
    assert f.violation(np.array([1.0, -0.25, -0.5])) == 0.5
    assert f.violation(np.array([0.0, 2.0])) == 0
    np.testing.assert_array_equal(f.project_dual(np.array([1.0, -2.0])), [0, -2])


@every_function
def test_torch_agrees_with_numpy(f):
    """What a function holds is moved to torch, as an engine there does."""
    moved = {x.name: torch.tensor(v) for x in dataclasses.fields(f) if isinstance(v := getattr(f, x.name), np.ndarray)}
    g, z = dataclasses.replace(f, **moved), np.linspace(-3, 3, SIZE)
    on_torch = torch.tensor(z)
    assert float(g.value(on_torch)) == pytest.approx(float(f.value(z)))
    assert float(g.violation(on_torch)) == f.violation(z)
    np.testing.assert_allclose(g.prox(on_torch, 0.7).numpy(), f.prox(z, 0.7), atol=1e-14)
    np.testing.assert_allclose(g.project_dual(on_torch).numpy(), f.project_dual(z), atol=1e-14)
    assert float(g.conjugate(g.project_dual(on_torch))) == pytest.approx(float(f.conjugate(f.project_dual(z))))
    if f in NORMS:
        assert g.dual_gauge(on_torch) == pytest.approx(f.dual_gauge(z))
