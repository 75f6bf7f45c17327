"""The crossing program's map and bound. The faces of its functions are tested with those of the strict program in test_robust."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relumodel as rm
from data_strategies import matrices
from relumodel.declare.perturbations import Ball
from relumodel.functions.base import SampleLoss
from relumodel.functions.crossing import CrossingLoss
from relumodel.functions.support import SupportEpigraph
from relumodel.maps.crossing import CrossingMap
from robust_reference import draws


@st.composite
def crossing_maps(draw):
    X = draw(matrices(rows=(2, 6)))
    n, P = len(X), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    some = np.sort(rng.permutation(n)[: n // 2])
    samples = (np.arange(n), np.arange(n)) if draw(st.booleans()) else (some, np.setdiff1d(np.arange(n), some))
    shares = np.clip(rng.uniform(-0.5, 1.5, (2, 2, P, n)), 0, 1)  # a quarter 0, a quarter 1
    return CrossingMap(X, samples, shares, draw(st.sampled_from([0.0, 0.3])))


def by_definition(K, x):
    P, _, d = K.sizes
    U, p = x[: 2 * P * d].reshape(2, P, d), x[2 * P * d :].reshape(2, P)
    out = []
    for s, samples in enumerate(K.samples):
        z = np.zeros(len(samples))
        Q = np.zeros((len(samples), d))
        R = np.zeros((len(samples), P))
        for row, k in enumerate(samples):
            for i in range(P):
                up, down = (K.slope + (1 - K.slope) * K.shares[s, c, i, k] for c in (s, 1 - s))
                t, share = K.X[k] @ U[1 - s, i], K.shares[s, 1 - s, i, k]
                Q[row] += up * U[s, i] - down * U[1 - s, i]
                z[row] -= (1 - K.slope) * share * (p[1 - s, i] - t)
                R[row, i] = t + (1 - 2 * share) * p[1 - s, i]
            z[row] += K.X[k] @ Q[row]
        out += [z, Q.ravel(), R.ravel()]
    return np.concatenate(out)


@given(crossing_maps())
def test_map_adjoint_and_matrix(K):
    rng = np.random.default_rng(0)
    x, z = rng.standard_normal(K.shape[1]), rng.standard_normal(K.shape[0])
    A = K.matrix()
    assert A.shape == K.shape
    np.testing.assert_allclose(K.forward(x), by_definition(K, x), atol=1e-12)
    np.testing.assert_allclose(A @ x, K.forward(x), atol=1e-12)
    np.testing.assert_allclose(A.T @ z, K.adjoint(z), atol=1e-12)
    assert K.forward(x) @ z == pytest.approx(x @ K.adjoint(z), abs=1e-10)


@given(crossing_maps(), st.sampled_from([rm.LInf, rm.L2, rm.L1]), st.integers(0, 99))
def test_the_bound_is_below_every_perturbed_prediction(K, make, seed):
    """G <= s f(x + delta) for any weights and any choice of slopes, as soon as p >= h(u)."""
    P, n, d = K.sizes
    rng = np.random.default_rng(seed)
    K = dataclasses.replace(K, samples=(np.arange(n), np.arange(n)))
    ball = Ball(make(1.0), np.where(rng.random(d) < 0.8, rng.uniform(0, 2, d), 0.0))
    U = rng.standard_normal((2, P, d))
    x = np.concatenate([U.ravel(), ball.support(U.reshape(-1, d))])
    loss = CrossingLoss(SampleLoss.bind(rm.Squared(), np.zeros(n)), ball, K.samples, P, K.slope)
    assert SupportEpigraph(ball, 2 * P).violation(x) == 0
    plus, minus = loss.bounds(K.forward(x))
    moved = K.X + draws(ball.perturbation, ball.radii, (200, n), rng)
    t = np.einsum("tnd,cid->ctin", moved, U)
    f = np.maximum(t, K.slope * t).sum(axis=2)
    values = f[0] - f[1]
    assert (plus <= values + 1e-9).all()
    assert (minus <= -values + 1e-9).all()


@given(crossing_maps(), st.sampled_from([rm.LInf, rm.L2, rm.L1]), st.integers(0, 99))
def test_the_slack_of_a_share(K, make, seed):
    """G is the lines' sum less h, with the slack max(e (p - t), (1 - e) (p + t)) of every neuron that pushes down."""
    P, n, d = K.sizes
    rng = np.random.default_rng(seed)
    ball = Ball(make(1.0), rng.uniform(0, 2, d))
    U, p = rng.standard_normal((2, P, d)), rng.uniform(0, 3, (2, P))
    z = K.forward(np.concatenate([U.ravel(), p.ravel()]))
    loss = CrossingLoss(SampleLoss.bind(rm.Squared(), np.zeros(n)), ball, K.samples, P, K.slope)
    for s, (samples, G) in enumerate(zip(K.samples, loss.bounds(z), strict=True)):
        for k, value in zip(samples, G, strict=True):
            m, e = K.slope + (1 - K.slope) * K.shares[s, :, :, k], K.shares[s, 1 - s, :, k]
            q = m[s] @ U[s] - m[1 - s] @ U[1 - s]
            t = U[1 - s] @ K.X[k]
            slack = (1 - K.slope) * np.maximum(e * (p[1 - s] - t), (1 - e) * (p[1 - s] + t)).sum()
            assert value == pytest.approx(K.X[k] @ q - ball.support(q[None])[0] - slack, abs=1e-10)


def test_by_hand():
    """One sample x = 1, radius 1, ReLU, v = 1 and w = 2: f = (t)_+ - (2 t)_+ = -t for t in [0, 2]."""
    ball, samples = Ball(rm.LInf(1.0), np.array([1.0])), (np.array([0]), np.array([0]))
    clean = SampleLoss.bind(rm.Absolute(), np.array([0.0]))
    x = np.array([1.0, 2.0, 1.0, 2.0])  # v, w, h(v), h(w)
    loss = CrossingLoss(clean, ball, samples, 1, 0.0)
    K = CrossingMap(np.array([[1.0]]), samples, np.ones((2, 2, 1, 1)), 0.0)
    # all of slope 1: q = v - w = -1, G+ = -1 - 1 - max(2 - 2, 0) = -2, the true minimum; G- = 1 - 1 - max(1 - 1, 0) = 0, the true one
    np.testing.assert_allclose(np.concatenate(loss.bounds(K.forward(x))), [-2, 0])
    assert loss.value(K.forward(x)) == 2
    # all of slope 0: G+ = -max(0, 2 + 2), G- = -max(0, 1 + 1), both sound and loose
    K = dataclasses.replace(K, shares=np.zeros((2, 2, 1, 1)))
    np.testing.assert_allclose(np.concatenate(loss.bounds(K.forward(x))), [-4, -2])
    # of slope 1/2: G+ = (1 - 2) / 2 - 1 / 2 - max(0, 4 / 2), G- = (2 - 1) / 2 - 1 / 2 - max(0, 2 / 2)
    K = dataclasses.replace(K, shares=np.full((2, 2, 1, 1), 0.5))
    np.testing.assert_allclose(np.concatenate(loss.bounds(K.forward(x))), [-3, -1])
