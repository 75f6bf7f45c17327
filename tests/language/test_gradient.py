"""Gradients at points, without kinks near them: the program written by hand, and networks that have the gradients read."""

from __future__ import annotations

import numpy as np
import pytest

import relumodel as rm

RNG = np.random.default_rng(4)
Z = RNG.uniform(-1, 1, (7, 2))
Y, G = np.sin(3 * Z[:, 0]) * Z[:, 1], np.column_stack([3 * np.cos(3 * Z[:, 0]) * Z[:, 1], np.sin(3 * Z[:, 0])])
F = rm.TwoLayer(rm.LeakyReLU(0.1), bias=True)
R = 0.05


def problem() -> rm.Problem:
    return rm.Problem(rm.Squared()(F(Z), Y) + 0.3 * rm.Squared()(F.gradient(Z, radius=R), G) + rm.WeightDecay(1e-3))


def around(points: np.ndarray) -> np.ndarray:
    return (points[:, None, :] + R * np.vstack([np.eye(2), -np.eye(2)])).reshape(-1, 2)


def test_the_program_is_that_written_by_hand() -> None:
    cp = pytest.importorskip("cvxpy")
    program = problem().compile(rm.SamplePatterns(40, seed=0))
    solution = program.solve(tol=1e-7)
    points = np.column_stack([program.inverse.read.points, np.ones(len(program.inverse.read.points))])
    D = program.patterns
    P = D.shape[1]
    V, W = cp.Variable((P, 3)), cp.Variable((P, 3))
    # the gradient of a block is that of its side at z, which is on one side with all of its cross-polytope, so that the cone
    # side (z.v) >= R |v|_inf of a robust program is what the points around z ask for
    rows = [cp.multiply(np.where(D, 1.0, -1.0), points @ B.T) >= 0 for B in (V, W)]
    at = [int(np.abs(program.inverse.read.points - z).sum(axis=1).argmin()) for z in Z]
    sides = np.where(D, 1.0, 0.1)
    own = np.column_stack([Z, np.ones(7)])
    for B in (V, W):
        for k in range(7):
            side = np.where(D[at[k]], 1.0, -1.0)
            rows += [cp.multiply(side, B @ own[k]) >= R * cp.max(cp.abs(B[:, :2]), axis=1)]
    gradient = cp.vstack([sides[at[k]] @ (V - W)[:, :2] for k in range(7)])
    values = cp.sum(cp.multiply(sides[at], own @ (V - W).T), axis=1)
    size = cp.sum(cp.norm(V, 2, axis=1)) + cp.sum(cp.norm(W, 2, axis=1))
    objective = cp.sum_squares(values - Y) / 14 + 0.3 * cp.sum_squares(gradient - G) / 14 + 1e-3 * size
    expected = cp.Problem(cp.Minimize(objective), rows).solve(solver="CLARABEL", tol_gap_rel=1e-9, tol_gap_abs=1e-9, tol_feas=1e-9)
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(float(expected), rel=1e-6)
    assert solution.bound <= float(expected) * (1 + 1e-8)


def test_the_network_has_the_gradients_that_the_program_reads() -> None:
    found = problem().fit(rm.AdaptivePatterns(gap=5e-2, seed=0, width=8, starts=10, rounds=1))
    network = found.network
    own = np.mean((network(Z) - Y) ** 2) / 2 + 0.3 * ((network.input_gradient(Z) - G) ** 2).sum() / 14
    assert found.objective == pytest.approx(
        own + 1e-3 / 2 * ((network.hidden_weights**2).sum() + (network.output_weights**2).sum()), rel=1e-6
    )
    near = np.repeat(Z, 50, axis=0)
    step = RNG.laplace(size=near.shape)
    step *= RNG.uniform(0, 0.999 * R, (len(near), 1)) / np.abs(step).sum(axis=1, keepdims=True)
    assert network.input_gradient(near + step) == pytest.approx(np.repeat(network.input_gradient(Z), 50, axis=0), abs=1e-7)
    assert found.bound <= found.objective
    assert "gradient(7 points)" in str(problem())


def test_gradients_meet_other_constraints() -> None:
    slope = F.gradient(Z[:3], radius=R)
    both = rm.Problem(
        rm.Squared()(F(Z), Y) + rm.WeightDecay(1e-3), [slope[:, 0] >= 0, slope[:, 1].mean() == 0.1, F(rm.Box(-1, 1)) <= 0.8]
    )
    found = both.fit(rm.SamplePatterns(60, seed=0))
    gradient = found.network.input_gradient(Z[:3])
    assert gradient[:, 0].min() >= -1e-8
    assert gradient[:, 1].mean() == pytest.approx(0.1, abs=1e-7)
    assert found.certificates[0].proved
    assert found.network(RNG.uniform(-1, 1, (5000, 2))).max() <= 0.8
    assert (
        "without kinks near"
        in rm.Problem(rm.Squared()(slope) + rm.WeightDecay(1)).compile(rm.EnumeratePatterns()).guarantee.statement
    )


def test_what_has_no_gradient_is_refused() -> None:
    with pytest.raises(rm.InputError, match="radius > 0"):
        F.gradient(Z)
    with pytest.raises(rm.InputError, match="radius"):
        F.gradient(Z, radius=0)
    with pytest.raises(rm.InputError, match="at points"):
        F.gradient(rm.Box([0, 0], 1), radius=0.1)
    with pytest.raises(rm.InputError, match=r"is for rm\.TwoLayer"):
        rm.RandomFeatures().gradient(Z, radius=0.1)
