"""The maps of polynomial networks, and the exact worst-case loss on them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import data_strategies as ds
import relumodel as rm
from reference import epigraph_minimum
from relumodel.functions.ball_loss import BallLoss

POLYNOMIAL = rm.TwoLayer(rm.Polynomial(), bias=True)


@st.composite
def programs(draw):
    loss = draw(st.sampled_from(ds.LOSSES))
    radius = draw(st.sampled_from([0.3, (0.1, 0.5, 0.2), (0.2, 0.0, 0.4)]))
    perturbation = draw(st.sampled_from([None, rm.L2(radius), rm.LInf(radius)]))
    X = draw(ds.matrices(rows=(2, 5), columns=(3, 3)))
    model = rm.Model(POLYNOMIAL, loss, rm.WeightDecay(0.05), perturbation=perturbation)
    return model.compile(X, ds.targets(loss, len(X), 1)), draw(st.integers(0, 999))


@given(programs())
def test_forward_adjoint_and_matrix_are_one_map(problem):
    program, seed = problem
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(program.n_variables)
    for term in program.terms:
        K, z = term.map.matrix(), rng.standard_normal(term.map.shape[0])
        assert K.shape == term.map.shape
        np.testing.assert_allclose(K @ x, term.map.forward(x), atol=1e-12)
        np.testing.assert_allclose(K.T @ z, term.map.adjoint(z), atol=1e-12)


def ball_losses(problem):
    program, seed = problem
    loss = program.term("loss")
    return (loss, np.random.default_rng(seed)) if isinstance(loss.function, BallLoss) else (None, None)


@given(programs())
def test_the_value_is_that_of_the_worst_points_and_no_other_is_worse(problem):
    term, rng = ball_losses(problem)
    if term is None:
        return
    f = term.function
    z = term.map.forward(rng.standard_normal(term.map.shape[1]))
    S, G, value = f.split(z)
    from relumodel.maps.symmetric import smat

    h, e = f.worst(z)
    attained = f.signs * (value + (G * e).sum(axis=1) + ((e @ smat(S)) * e).sum(axis=1))
    np.testing.assert_allclose(attained, h, atol=1e-9)
    others = rng.standard_normal((200, f.p))
    others /= np.maximum(np.linalg.norm(others, axis=1), 1)[:, None]
    each = f.signs[:, None] * (value[:, None] + G @ others.T + ((others @ smat(S)) * others).sum(axis=1))
    assert (h <= each.min(axis=1) + 1e-12).all()


@settings(max_examples=30)
@given(programs())
def test_the_conic_rows_are_the_epigraph(problem):
    term, rng = ball_losses(problem)
    if term is None:
        return
    z = term.map.forward(0.5 * rng.standard_normal(term.map.shape[1]))
    rows = term.function.rows(len(z))
    assert epigraph_minimum(rows, z) == pytest.approx(term.function.value(z), rel=1e-5, abs=1e-5)


@given(programs())
def test_fenchel_and_the_gradient(problem):
    """value(z) + conjugate(q) >= q.z on the domain, with equality at a gradient, which the projection leaves alone."""
    term, rng = ball_losses(problem)
    if term is None:
        return
    f = term.function
    z = term.map.forward(rng.standard_normal(term.map.shape[1]))
    q = f.gradient(z)
    np.testing.assert_allclose(f.project_dual(q), q, atol=1e-9 * (1 + abs(q).max()))
    assert f.value(z) + f.conjugate(f.project_dual(q)) == pytest.approx(q @ z, abs=1e-8 * (1 + abs(q @ z)))
    for size in (0.1, 1.0):
        other = f.project_dual(q + size * rng.standard_normal(len(q)))
        assert f.value(z) + f.conjugate(other) >= other @ z - 1e-9 * (1 + abs(other @ z))
        np.testing.assert_allclose(f.project_dual(other), other, atol=1e-9 * (1 + abs(other).max()))
        np.testing.assert_allclose(f.project_dual(0.5 * other), 0.5 * other, atol=1e-9)  # the domain is a star
