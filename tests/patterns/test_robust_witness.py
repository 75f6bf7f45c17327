import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

import relumodel as rm
from data_strategies import matrices
from relumodel.arrangement.robust_witness import is_robust, largest_factor, robust_witnesses
from relumodel.declare.perturbations import Ball
from relumodel.patterns import EnumeratePatterns
from robust_reference import draws

SETS = [rm.LInf, rm.L2, rm.L1]
every_set = pytest.mark.parametrize("make", SETS)


def nothing(D, d):
    return np.full((D.shape[1], d), np.nan)


def exact_smallest(G, ball) -> float:
    """min h(a) subject to G a >= 1 for boxes and diamonds, by a linear program in other variables; inf where there is none."""
    n, d = G.shape
    if isinstance(ball.perturbation, rm.LInf):  # |a| <= s, cost r.s
        cost = np.concatenate([np.zeros(d), ball.radii])
        size = np.hstack([np.vstack([np.eye(d), -np.eye(d)]), -np.vstack([np.eye(d)] * 2)])
    else:  # r |a| <= s
        cost = np.append(np.zeros(d), 1.0)
        size = np.hstack([np.vstack([np.diag(ball.radii), -np.diag(ball.radii)]), -np.ones((2 * d, 1))])
    A = np.vstack([np.hstack([-G, np.zeros((n, len(cost) - d))]), size])
    b = np.concatenate([-np.ones(n), np.zeros(2 * d)])
    found = linprog(cost, A_ub=A, b_ub=b, bounds=[(None, None)] * d + [(0, None)] * (len(cost) - d), method="highs")
    return found.fun if found.status == 0 else np.inf


@every_set
@given(matrices(rows=(1, 6)), st.sampled_from([0.05, 0.3, 1.0]), st.booleans())
def test_witnesses_keep_the_pattern_of_every_perturbed_sample(make, X, radius, bias):
    d = X.shape[1]
    ball = make(radius).ball(d, bias=bias)
    A = np.column_stack([X, np.ones(len(X))]) if bias else X
    D = EnumeratePatterns().find(A, bias).D
    witnesses = robust_witnesses(A, D, ball, nothing(D, A.shape[1]))
    delta = draws(ball.perturbation, ball.radii, (60, len(A)), np.random.default_rng(0))
    for a, pattern in zip(witnesses, D.T, strict=True):
        if not np.isnan(a).any():
            assert np.linalg.norm(a) == pytest.approx(1)
            np.testing.assert_array_equal(((A + delta) @ a >= 0), np.tile(pattern, (60, 1)))


@pytest.mark.parametrize("make", [rm.LInf, rm.L1])
@given(matrices(rows=(1, 6)), st.sampled_from([0.02, 0.1, 0.4]), st.booleans(), st.integers(0, 9))
def test_what_is_dropped_has_no_witness(make, X, radius, bias, seed):
    """A pattern is dropped exactly when the smallest h(a) with T X a >= 1 is not below 1."""
    radii = radius * np.random.default_rng(seed).uniform(0.5, 2, X.shape[1])
    A = np.column_stack([X, np.ones(len(X))]) if bias else X
    if not A.any(axis=1).all():
        A = A[A.any(axis=1)]
    if not len(A):
        return
    ball = Ball(make(1.0), np.append(radii, 0) if bias else radii)
    D = EnumeratePatterns().find(A, bias).D
    kept = np.isfinite(robust_witnesses(A, D, ball, nothing(D, A.shape[1]))).all(axis=1)
    least = np.array([exact_smallest(np.where(p, 1, -1)[:, None] * A, ball) for p in D.T])
    sure = np.abs(least - 1) > 1e-6
    np.testing.assert_array_equal(kept[sure], (least < 1)[sure])
    if least.min() > 0:
        assert largest_factor(A, D, ball) == pytest.approx(1 / least.min(), rel=1e-6)


@every_set
@pytest.mark.parametrize("fixed", [(), (0,)])
def test_the_largest_factor_is_where_the_last_cone_closes(make, fixed):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((7, 3)) + np.array([0.0, 3.0, 3.0])  # the unperturbed column has a lot to explain
    D = X @ np.array([[0.3, 1.0, -1.0], [1.0, -1.0, 1.0], [0.1, 1.0, -2.0]]).T >= 0
    ball = make(0.5, fixed=fixed).ball(3)
    factor = largest_factor(X, D, ball)
    for share, survivors in ((1 - 1e-5, True), (1 + 1e-5, False)):
        scaled = Ball(ball.perturbation, share * factor * ball.radii)
        assert np.isfinite(robust_witnesses(X, D, scaled, nothing(D, 3))).any() == survivors


def test_candidates_are_used_when_they_are_robust():
    X, ball = np.array([[1.0, 0.2], [2.0, -0.3]]), rm.LInf(0.1).ball(2)
    D = np.array([[True], [True]])
    np.testing.assert_array_equal(robust_witnesses(X, D, ball, np.array([[1.0, 0.0]])), [[1, 0]])
    found = robust_witnesses(X, D, ball, np.array([[0.0, 1.0]]))  # not robust: another is looked for
    assert is_robust(X, found[0], ball)


def test_is_robust_by_hand():
    G = np.array([[1.0, 0.0], [2.0, 1.0]])
    assert is_robust(G, np.array([1.0, 0.0]), rm.LInf(0.9).ball(2))
    assert not is_robust(G, np.array([1.0, 0.0]), rm.LInf(1.0).ball(2))
    assert not is_robust(G, np.array([0.0, 0.0]), rm.LInf(0.1).ball(2))
    assert not is_robust(G, np.array([np.nan, 0.0]), rm.LInf(0.1).ball(2))


def test_a_zero_sample_needs_witnesses_that_ignore_what_moves():
    X = np.array([[0.0, 0.0], [1.0, 1.0], [5.0, -2.0]])
    D = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)
    assert np.isnan(robust_witnesses(X, D, rm.LInf(1e-9).ball(2), nothing(D, 2))).all()
    witnesses = robust_witnesses(X, D, rm.LInf(0.5, fixed=1).ball(2), nothing(D, 2))
    np.testing.assert_array_equal(witnesses[0], [0, 1])
    assert np.isnan(witnesses[1]).all()  # no (0, b) is positive on both samples
    assert np.isnan(witnesses[2]).all()  # and x = 0 is always on the active side
    np.testing.assert_array_equal(
        robust_witnesses(0 * X, D[:, 1:2], rm.LInf(1.0, fixed=0).ball(2), nothing(D[:, 1:2], 2)), [[1, 0]]
    )
    assert np.isnan(robust_witnesses(0 * X, D[:, 1:2], rm.LInf(1.0).ball(2), nothing(D[:, 1:2], 2))).all()
    assert largest_factor(X, D, rm.LInf(1.0).ball(2)) == 0
