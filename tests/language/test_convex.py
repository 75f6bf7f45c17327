"""Convex and concave networks: the program written by hand, all other networks of that shape, and the quadratic program of convex regression."""

from __future__ import annotations

import numpy as np
import pytest

import relumodel as rm
from relumodel.maps.base import MaskedProduct
from relumodel.maps.on_slice import OnSlice

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (18, 2))
Y = np.abs(X[:, 0]) - 0.8 * X[:, 1] + 0.4 * np.sin(5 * X[:, 1]) + 0.1 * RNG.normal(size=18)


def midpoints(network: rm.Network, spread: float = 3.0) -> np.ndarray:
    A, B = RNG.uniform(-spread, spread, (4000, 2)), RNG.uniform(-spread, spread, (4000, 2))
    return 0.5 * (network(A) + network(B)) - network(0.5 * (A + B))


@pytest.mark.parametrize(("slope", "kind", "penalty"), [(0.0, "convex", rm.WeightDecay), (0.2, "concave", rm.PathNorm)])
def test_the_program_is_that_written_by_hand(slope: float, kind: str, penalty: type[rm.Penalty]) -> None:
    cp = pytest.importorskip("cvxpy")
    f = rm.TwoLayer(rm.LeakyReLU(slope), bias=True)
    sign = 1 if kind == "convex" else -1
    shape = f.convex() if kind == "convex" else f.concave()
    problem = rm.Problem(rm.Squared()(f(X), Y) + penalty(0.01), [shape, f(X[:2]) >= -0.2])
    program = problem.compile(rm.SamplePatterns(12, seed=0))
    solution = program.solve(tol=1e-7)
    D, Z = program.patterns, np.column_stack([X, np.ones(18)])
    V, g = cp.Variable((12, 3)), cp.Variable(3)
    values = sign * (cp.sum(cp.multiply(np.where(D, 1.0, slope), Z @ V.T), axis=1) + 0.5 * (1 + slope) * Z @ g)
    p = 2 if penalty is rm.WeightDecay else 1
    size = cp.sum(cp.norm(V, p, axis=1)) + cp.norm(g, p)
    rows = [cp.multiply(np.where(D, 1.0, -1.0), Z @ V.T) >= 0, values[:2] >= -0.2]
    expected = cp.Problem(cp.Minimize(cp.sum_squares(values - Y) / 36 + 0.01 * size), rows).solve(
        solver="CLARABEL", tol_gap_rel=1e-9, tol_gap_abs=1e-9, tol_feas=1e-9
    )
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(float(expected), rel=1e-6)
    assert solution.bound <= float(expected) * (1 + 1e-8)
    network = solution.network()
    cost = np.mean((network(X) - Y) ** 2) / 2 + problem.penalty.of_network(network.hidden_weights, network.output_weights)
    assert cost == pytest.approx(solution.objective, rel=1e-8)
    assert (sign * midpoints(network)).min() >= -1e-10
    assert f"f is {kind}" in str(problem)
    assert program.n_variables == 13 * 3  # half of the blocks, and the linear one


def test_all_patterns_bound_every_convex_network() -> None:
    f = rm.TwoLayer(rm.ReLU(), bias=True)
    x, y = X[:7], Y[:7]
    problem = rm.Problem(rm.Squared()(f(x), y) + rm.WeightDecay(0.02), f.convex())
    exact = problem.compile(rm.EnumeratePatterns()).solve(tol=1e-7)
    assert exact.program.guarantee.kind == "exact"
    # random networks with kinks >= 0 on every hyperplane: pairs (p, q) on u and -u, p + q >= 0, and their best multiples
    rng = np.random.default_rng(1)
    for _ in range(200):
        U = rng.normal(size=(3, 3))
        p, q = rng.normal(size=3), rng.normal(size=3)
        q = np.maximum(q, -p)
        hidden = np.hstack([U.T, -U.T])
        network = rm.Network(rm.ReLU(), True, hidden, np.concatenate([p, q]))
        assert midpoints(network).min() >= -1e-9
        sizes = (np.linalg.norm(hidden, axis=0) * np.abs(network.output_weights)).sum()
        z = network(x)
        t = max(0.0, (z @ y / 7 - 0.02 * sizes) / (z @ z / 7))
        assert np.mean((t * z - y) ** 2) / 2 + 0.02 * t * sizes >= exact.objective * (1 - 1e-7)
    unshaped = rm.Problem(rm.Squared()(f(x), y) + rm.WeightDecay(0.02)).compile(rm.EnumeratePatterns()).solve()
    assert unshaped.bound <= exact.objective


def test_with_next_to_no_penalty_it_is_convex_regression() -> None:
    cp = pytest.importorskip("cvxpy")
    t = np.sort(RNG.uniform(-1, 1, 14))
    y = t**2 - 0.5 * t + 0.3 * RNG.normal(size=14)
    values, slopes = cp.Variable(14), cp.Variable(14)
    above = [values[j] >= values[i] + slopes[i] * (t[j] - t[i]) for i in range(14) for j in range(14) if i != j]
    least = cp.Problem(cp.Minimize(cp.sum_squares(values - y) / 28), above).solve(solver="CLARABEL")
    f = rm.TwoLayer(rm.ReLU(), bias=True)
    found = rm.Problem(rm.Squared()(f(t[:, None]), y) + rm.WeightDecay(1e-7), f.convex()).compile(rm.EnumeratePatterns()).solve()
    network = found.network()
    fitted = np.mean((network(t[:, None]) - y) ** 2) / 2
    assert least * (1 - 1e-6) <= fitted <= least * (1 + 1e-3) + 1e-6
    assert network(t[:, None]) == pytest.approx(values.value, abs=2e-3)


def test_shapes_meet_and_fits_keep_them() -> None:
    f = rm.TwoLayer(rm.ReLU(), bias=True)
    both = [f.convex(), f.decreasing(1, how="neurons"), f.lipschitz(2.0)]
    network = (
        rm.Problem(rm.Squared()(f(X), Y) + rm.WeightDecay(0.01), both).compile(rm.SamplePatterns(12, seed=0)).solve().network()
    )
    assert midpoints(network).min() >= -1e-10
    assert network.input_gradient(RNG.uniform(-3, 3, (1000, 2)))[:, 1].max() <= 1e-12
    everywhere = rm.Problem(rm.Squared()(f(X), Y) + rm.WeightDecay(0.01), [f.convex(), f.decreasing(1), f(rm.Box(-1, 1)) <= 1.2])
    found = everywhere.fit(rm.SamplePatterns(12, seed=0))
    assert [c.proved for c in found.certificates] == [True, True]
    assert midpoints(found.network).min() >= -1e-8
    assert found.network(RNG.uniform(-1, 1, (4000, 2))).max() <= 1.2
    assert found.bound <= found.objective
    q = rm.TwoLayer(rm.ReLU(), bias=True, outputs=2)
    two = rm.Problem(rm.Squared()(q(X), np.column_stack([Y, -Y])) + rm.WeightDecay(0.01), q.concave())
    solution = two.compile(rm.SamplePatterns(10, seed=0)).solve()
    assert solution.status == "optimal"
    for r in range(2):
        assert midpoints(solution.network().output(r)).max() <= 1e-10
    with pytest.raises(rm.InputError, match="affine"):
        rm.Problem(rm.Squared()(f(X), Y) + rm.WeightDecay(0.01), [f.convex(), f.concave()])
    with pytest.raises(rm.InputError, match=r"is for rm\.TwoLayer"):
        rm.TwoLayer(rm.GatedReLU()).convex()


def test_a_map_of_the_first_entries() -> None:
    K = OnSlice(MaskedProduct(X, RNG.integers(0, 2, (3, 18)), (1.0,), summed=False), 9)
    x, z = RNG.normal(size=9), RNG.normal(size=K.shape[0])
    assert K.matrix().toarray() @ x == pytest.approx(K.forward(x))
    assert z @ K.forward(x) == pytest.approx(K.adjoint(z) @ x)
    assert K.nonzeros >= K.matrix().nnz
