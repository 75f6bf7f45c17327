"""The structured linear algebra against dense matrices, and the pricing of blocks against non-negative least squares."""

import numpy as np
import pytest
from scipy.optimize import nnls

import relumodel as rm
from relumodel_admm import coupling as couplings
from relumodel_admm.block_newton import BlockNewton, State
from relumodel_admm.coupling import Coupling
from relumodel_admm.linear_algebra import Gram, inverse_factors
from relumodel_admm.norm_cone import NormScaling, longest_step
from relumodel_admm.pricing import price
from relumodel_admm.scaled import scaled


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def units(rng):
    X = rng.standard_normal((30, 4))
    X[3] = 0
    y = np.where(rng.standard_normal(30) > 0, 1.0, -1.0)
    model = rm.Model(rm.TwoLayer(rm.LeakyReLU(0.2)), rm.Squared(), rm.WeightDecay(1e-2))
    return scaled(model.compile(X, y, patterns=rm.SamplePatterns(6, seed=0)))


def spd(rng, B, d):
    A = rng.standard_normal((B, d, 2 * d))
    return A @ A.transpose(0, 2, 1)


def test_gram_both_ways(rng, units):
    weights = rng.random((5, len(units.X)))
    dense = np.stack([units.X.T @ np.diag(w) @ units.X for w in weights])
    for memory in (1e9, 0.0):
        assert np.allclose(np.tril(Gram(units.X, memory).weighted(weights)), np.tril(dense))


@pytest.mark.parametrize("memory", [1e9, 0.0], ids=["pairs", "products"])
@pytest.mark.parametrize("worth", [0, 1e9], ids=["narrow", "wide"])
@pytest.mark.parametrize("which", [np.arange(12), np.array([0, 6, 2, 9])], ids=["all", "some"])
@pytest.mark.parametrize("form", couplings.FORMS)
def test_coupling_solves_the_whole_system(rng, units, monkeypatch, memory, worth, which, form):
    monkeypatch.setattr(couplings, "WORTH", worth)
    monkeypatch.setattr(couplings, "FINE", worth)
    monkeypatch.setattr(couplings, "PIECE", 8 * units.X.size * 2)
    blocks, gram = units.blocks(which), Gram(units.X, memory)
    B, n, d = len(which), *units.X.shape
    H, E = spd(rng, B, d), 1 + rng.random(n)
    R, r = rng.standard_normal((B, d)), rng.standard_normal(n)
    coupling = Coupling(blocks, units.readings, gram, inverse_factors(H), E, form)
    du, dq = coupling.solve(R, r)
    for _ in range(3 * (form == "single")):  # refinement, as the interior point does it
        mask = blocks.mask
        wrong = R - np.einsum("bij,bj->bi", H, du) - (mask * dq) @ gram.X
        off = r - np.einsum("bn,bn->n", mask, du @ gram.XT) + E * dq
        du_more, dq_more = coupling.solve(wrong, off)
        du, dq = du + du_more, dq + dq_more
    F = [m[:, None] * units.X for m in blocks.mask]
    assert np.allclose(np.stack([H[b] @ du[b] + F[b].T @ dq for b in range(B)]), R)
    assert np.allclose(sum(F[b] @ du[b] for b in range(B)) - E * dq, r)


@pytest.mark.parametrize("size", [1, 4])
def test_scaling_maps_both_points_to_lambda(rng, size):
    u, y = rng.standard_normal((7, size)), rng.standard_normal((7, size))
    t = np.linalg.norm(u, axis=1) + rng.random(7)
    y *= (rng.random(7) / np.linalg.norm(y, axis=1))[:, None]
    scaling = NormScaling.at(t, u, y)
    W = [np.zeros((size + 1, size + 1)) for _ in t]
    for g in range(7):
        w = np.append(scaling.w0[g], scaling.w1[g])
        J = np.diag(np.append(1.0, -np.ones(size)))
        inverse = (2 * np.outer(J @ w, J @ w) - J) / scaling.eta[g] ** 2  # W^-2
        x, dual = np.append(t[g], u[g]), np.append(1.0, y[g])
        assert np.allclose(inverse @ x, dual)
        K = inverse[1:, 1:] - np.outer(inverse[1:, 0], inverse[0, 1:]) / inverse[0, 0]
        W[g] = K @ u[g]
    assert np.allclose(scaling.times(u), W)


def test_longest_step_ends_on_the_cone(rng):
    head, body = np.full(50, 2.0), rng.standard_normal((50, 3)) * 0.3
    dhead, dbody = rng.standard_normal(50), rng.standard_normal((50, 3))
    alpha = longest_step(head, body, dhead, dbody)
    ends = np.isfinite(alpha)
    at = head[ends] + alpha[ends] * dhead[ends], body[ends] + alpha[ends, None] * dbody[ends]
    assert np.allclose(at[0], np.linalg.norm(at[1], axis=1))
    forever = dhead[~ends] >= np.linalg.norm(dbody[~ends], axis=1) - 1e-12
    assert forever.all()


def test_block_directions_solve_the_linearised_conditions(rng, units):
    blocks, gram = units.blocks(np.arange(12)), Gram(units.X)
    B, n, d = 12, *units.X.shape
    u = 0.1 * rng.standard_normal((B, d))
    state = State(u, np.linalg.norm(u, axis=1) + 0.1, 0.1 + rng.random((B, n)), rng.random((B, n)), 0.2 * u)
    newton = BlockNewton(blocks, gram, state)
    dual, primal, dc = rng.standard_normal((B, d)), rng.standard_normal((B, n)), rng.standard_normal((B, d))
    newton.affine(dual, primal)

    def left(du):
        return newton.left(du, newton.multipliers(du @ gram.XT), dc)

    H = np.stack([left(np.zeros((B, d))) - left(np.tile(e, (B, 1))) for e in np.eye(d)], axis=2)
    du = np.linalg.solve(H, (newton.right - dc)[:, :, None])[:, :, 0]
    assert np.allclose(left(du), 0, atol=1e-10)
    ahead = newton.direction(du, du @ gram.XT, newton.multipliers(du @ gram.XT), dc)
    assert np.allclose((du @ gram.XT) * blocks.side - ahead.s, -primal)
    assert np.allclose(dc - (blocks.side * ahead.a) @ gram.X - ahead.y, -dual)
    assert np.allclose(state.s * ahead.a + state.a * ahead.s, -state.s * state.a)
    head, body = newton.norms.inverse(ahead.t, ahead.u)
    head2, body2 = newton.norms.forward(ahead.y)
    assert np.allclose(head + head2, -newton.norms.head)
    assert np.allclose(body + body2, -newton.norms.body)


def test_prices_agree_with_least_squares(rng, units):
    blocks, gram = units.blocks(np.arange(12)), Gram(units.X)
    q = units.loss.slope(np.zeros(len(units.X)))
    least = np.array(
        [nnls((side[:, None] * gram.X).T, gram.X.T @ (mask * q))[1] for mask, side in zip(blocks.mask, blocks.side, strict=True)]
    )
    for share in (0.5, 0.9, 1.1):
        scaled_q = q * share / np.median(least)
        prices = price(units, gram, blocks, scaled_q, 1e-8)
        gauge = least * share / np.median(least)
        assert ((prices.gauge <= 1) == (gauge <= 1)).all()
        assert set(prices.enter) == set(np.flatnonzero(gauge > 1))
        proved = (blocks.mask * scaled_q) @ gram.X - (blocks.side * prices.multipliers) @ gram.X
        assert np.allclose(np.linalg.norm(proved, axis=1), prices.gauge)
        assert (prices.multipliers >= 0).all()
        assert (prices.promise <= gauge + 1e-9).all()


@pytest.mark.parametrize("worth", [0, 1e9], ids=["narrow", "wide"])
@pytest.mark.parametrize("kind", ["single values", "sums"])
def test_coupling_of_readings(rng, monkeypatch, worth, kind):
    """Readings that repeat values, leave some out, or add them up: A F in place of F."""
    monkeypatch.setattr(couplings, "WORTH", worth)
    X, f = rng.standard_normal((20, 3)), rm.TwoLayer(rm.LeakyReLU(0.2))
    terms = rm.Squared()(f(X[:15]), rng.standard_normal(15)) + rm.Hinge()(f(X[10:]), np.ones(10)) + rm.WeightDecay(0.1)
    constraints = [f(X[:4]) <= 1] if kind == "single values" else [f(X).mean() == 0, f(X[:2]) - f(X[2:4]) >= 0]
    units = scaled(rm.Problem(terms, constraints).compile(rm.SamplePatterns(5, seed=0)))
    blocks, gram = units.blocks(np.arange(units.count)), Gram(units.X)
    B, d, m = blocks.count, 3, units.loss.size
    H, E = spd(rng, B, d), 1 + rng.random(m)
    R, r = rng.standard_normal((B, d)), rng.standard_normal(m)
    du, dq = Coupling(blocks, units.readings, gram, inverse_factors(H), E).solve(R, r)
    A = units.readings.matrix.toarray()
    F = [A @ (mask[:, None] * units.X) for mask in blocks.mask]
    assert np.allclose(np.stack([H[b] @ du[b] + F[b].T @ dq for b in range(B)]), R)
    assert np.allclose(sum(F[b] @ du[b] for b in range(B)) - E * dq, r)
