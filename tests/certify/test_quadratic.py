"""Exact worst cases and distances of polynomial networks, against attacks and against the semidefinite program."""

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import data_strategies as ds
import relumodel as rm
from relumodel.robustness.quadratic import Quadratic, distance_to_boundary


def network_of(seed, d=3, loss=None, activation=None, neurons=6):
    rng = np.random.default_rng(seed)
    U = rng.standard_normal((d + 1, neurons))
    model = rm.Model(rm.TwoLayer(activation or rm.Polynomial(0.4, 0.5, -0.2), True), loss or rm.Hinge(), rm.WeightDecay(0.1))
    X, y = ds.example(model, n=8, d=d, seed=seed)
    kind = type(model.compile(X, y).solve(backend="clarabel").network())
    out = kind(model.network.activation, True, U / np.linalg.norm(U, axis=0), rng.standard_normal(neurons), classifies=loss is None)
    return model, X, y, out


def attacked(network, x, sign, radius, starts=1000, steps=60):
    """The lowest s f found by projected gradient descent in the ball |delta|_2 <= radius from many random starts."""
    rng = np.random.default_rng(0)
    delta = rng.standard_normal((starts, len(x)))
    delta *= radius / np.linalg.norm(delta, axis=1)[:, None]
    best = np.inf
    for step in range(steps):
        best = min(best, (sign * network(x + delta)).min())
        gradient = sign * network.input_gradient(x + delta)
        size = radius * 0.3 * 0.93**step
        delta -= size * gradient / np.maximum(np.linalg.norm(gradient, axis=1), 1e-12)[:, None]
        delta *= np.minimum(1, radius / np.maximum(np.linalg.norm(delta, axis=1), 1e-12))[:, None]
    return min(best, (sign * network(x + delta)).min())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_attacks_come_near_the_worst_case_and_never_beyond(seed):
    model, X, y, network = network_of(seed)
    robust = rm.Model(model.network, model.loss, model.penalty, perturbation=rm.L2(0.5))
    moved, losses = worst = network.worst_case(robust, X, y)
    assert worst.exact.all()
    assert (np.linalg.norm(moved - X, axis=1) <= 0.5 + 1e-9).all()
    np.testing.assert_allclose(np.maximum(0, 1 - y * network(moved)), losses, atol=1e-9)
    for k in range(len(X)):
        margin = attacked(network, X[k], y[k], 0.5)
        exact = y[k] * network(moved[k : k + 1])[0]
        assert margin >= exact - 1e-9
        assert margin <= exact + 0.01 * abs(exact) + 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_attacks_cross_just_beyond_the_distance_and_never_before(seed):
    _, X, _, network = network_of(seed)
    distance = network.distance_to_boundary(X)
    for k in np.flatnonzero(np.isfinite(distance))[:4]:
        sign = np.sign(network(X[k : k + 1])[0])
        assert attacked(network, X[k], sign, distance[k] * (1 - 1e-7)) > 0
        assert attacked(network, X[k], sign, distance[k] * 1.01) <= 0
    for k in np.flatnonzero(np.isinf(distance))[:2]:
        assert attacked(network, X[k], np.sign(network(X[k : k + 1])[0]), 100.0) > 0


def distance_by_sdp(H, x):
    """max v s.t. some t >= 0 makes [I + t s M, t s g / 2; ., t s f - v] positive semidefinite (S-procedure)."""
    A = np.append(x, 1.0)
    f, g, M = A @ H @ A, 2 * (A @ H)[:-1], H[:-1, :-1]
    s, d = np.sign(f), len(x)
    t, v, B = cp.Variable(), cp.Variable(), cp.Variable((d + 1, d + 1), PSD=True)
    block = s * np.block([[M, g[:, None] / 2], [g[None] / 2, np.array([[f]])]])
    eye, corner = np.diag([1.0] * d + [0.0]), np.diag([0.0] * d + [1.0])
    problem = cp.Problem(cp.Maximize(v), [t >= 0, eye + t * block - v * corner == B])
    problem.solve(solver="CLARABEL")
    return np.inf if problem.status.startswith("unbounded") else np.sqrt(max(v.value, 0))


@pytest.mark.parametrize("seed", range(3))
def test_the_secular_equation_and_the_sdp_agree(seed):
    _, X, _, network = network_of(seed)
    wanted = [distance_by_sdp(network.quadratic().H, x) for x in X[:5]]
    np.testing.assert_allclose(network.distance_to_boundary(X[:5]), wanted, rtol=1e-4)


@pytest.mark.parametrize(
    ("H", "x", "distance"),
    [
        (np.diag([0.0, 0, 1]), [0, 0], np.inf),  # f = 1
        (np.diag([1.0, 1, 1]), [3, 4], np.inf),  # f = |x|^2 + 1
        (np.diag([1.0, 1, -1]), [3, 4], 4),  # the unit circle, from outside
        (np.diag([1.0, 1, -1]), [0, 0], 1),  # and from its centre: the hard case
        (np.diag([1.0, 4, -1]), [0, 0], 0.5),  # an ellipse from its centre
        (np.diag([1.0, -1, 0]), [2, 0], 2**0.5),  # two crossing lines, from their symmetry axis
        (np.array([[0, 0, 0.5], [0, 0, 0], [0.5, 0, -3]]), [1, 7], 2),  # f = x1 - 3
        (np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0.0]]), [1, 2], 2),  # f = x2^2 touches 0 and never changes sign
        (np.diag([1.0, 1, -1]), [1, 0], 0),
    ],
)
def test_distances_by_hand(H, x, distance):
    found = distance_to_boundary(Quadratic(np.asarray(H, float)), np.array([x], float))[0]
    assert found == pytest.approx(distance, abs=1e-7)


@settings(max_examples=60)
@given(st.integers(0, 999), st.integers(1, 4), st.sampled_from([1e-3, 1.0, 1e3]))
def test_distances_scale_with_the_space_and_not_with_f(seed, d, scale):
    rng = np.random.default_rng(seed)
    H = rng.standard_normal((d + 1, d + 1))
    H, X = H + H.T, rng.standard_normal((5, d))
    near = distance_to_boundary(Quadratic(H), X)
    np.testing.assert_allclose(distance_to_boundary(Quadratic(scale * H), X), near, rtol=1e-6)
    S = np.diag([1 / scale] * d + [1.0])
    np.testing.assert_allclose(distance_to_boundary(Quadratic(S @ H @ S), scale * X), scale * near, rtol=1e-6)


@pytest.mark.parametrize("loss", [rm.Squared(), rm.Huber(0.3)], ids=str)
def test_regression_is_attacked_on_both_sides(loss):
    model, X, y, network = network_of(3, loss=loss)
    robust = rm.Model(model.network, loss, model.penalty, perturbation=rm.L2(0.4))
    moved, losses = network.worst_case(robust, X, y)
    np.testing.assert_allclose(loss.value(network(moved) - y), losses, rtol=1e-8)
    for k in range(3):
        low, high = attacked(network, X[k], 1.0, 0.4), -attacked(network, X[k], -1.0, 0.4)
        worst = max(loss.value(np.array([low - y[k], high - y[k]])))
        assert losses[k] * 0.99 - 1e-6 <= worst <= losses[k] + 1e-9


def test_boxes_are_bounded_by_their_balls():
    model, X, y, network = network_of(4)
    box = rm.Model(model.network, model.loss, model.penalty, perturbation=rm.LInf(0.2))
    ball = rm.Model(model.network, model.loss, model.penalty, perturbation=rm.L2(0.2 * 3**0.5))
    worst = network.worst_case(box, X, y)
    np.testing.assert_allclose(worst.losses, network.worst_case(ball, X, y).losses)
    assert (abs(worst.X - X) <= 0.2 + 1e-12).all()
    attained = np.maximum(0, 1 - y * network(worst.X))
    assert (attained <= worst.losses + 1e-9).all()
    corners = X[:, None] + 0.2 * np.stack(np.meshgrid(*[[-1, 1]] * 3), -1).reshape(-1, 3)
    each = np.stack([np.maximum(0, 1 - y * network(corners[:, j])) for j in range(8)])
    assert (each.max(axis=0) <= worst.losses + 1e-9).all()


def test_verdicts_on_labels():
    _, X, y, network = network_of(5)
    distance = network.distance_to_boundary(X)
    for radius in (0.05, 0.3, 1.0):
        verdict = network.certified(X, y, rm.L2(radius))
        right = network.predict(X) == y
        np.testing.assert_array_equal(verdict == "certified", right & (distance > radius))
        np.testing.assert_array_equal(verdict == "falsified", ~right | (distance <= radius))
        boxes = network.certified(X, y, rm.LInf(radius))
        assert not ((boxes == "falsified") & (network.certified(X, y, rm.L2(radius * 3**0.5)) == "certified")).any()
        assert not ((boxes == "certified") & (verdict == "falsified")).any()
