"""The largest price against sampled directions, enumerated patterns and linear programs."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

import relumodel as rm
from data_strategies import matrices, targets
from pairwise import pairwise
from relumodel.pricing import largest_price, training_bound


def sigma(t, slope):
    return np.where(t > 0, t, slope * t)


def prices(X, nu, slope, U):
    """|nu'sigma(Xu)| of every row of U."""
    return np.abs(nu @ sigma(X @ U.T, slope))


def size(U, norm):
    return np.linalg.norm(U, axis=1) if norm == "l2" else np.abs(U).sum(axis=1)


def enumerated(X, nu, slope, norm):
    """The largest price pattern by pattern: a linear function over a cone within the ball."""
    D = rm.EnumeratePatterns().find(X, False).D
    best = 0.0
    for d in D.T:
        T = np.where(d, 1.0, -1.0)[:, None] * X
        for sign in (1.0, -1.0):
            g = sign * X.T @ (np.where(d, 1.0, slope) * nu)
            best = max(best, euclidean(g, T) if norm == "l2" else by_lp(g, T))
    return best


def euclidean(g, T):
    """max g.u over |u|_2 <= 1, T u >= 0: the length of the projection of g on the cone."""
    from scipy.optimize import nnls

    return nnls(T.T, -g)[1]


def by_lp(g, T):
    """max g.u over |u|_1 <= 1, T u >= 0, with u = p - m."""
    d = len(g)
    rows = np.vstack([np.hstack([-T, T]), np.ones((1, 2 * d))])
    answer = linprog(np.concatenate([-g, g]), A_ub=rows, b_ub=np.append(np.zeros(len(T)), 1.0), method="highs")
    return -answer.fun


def check(X, nu, slope, norm, price):
    """What holds of every answer."""
    scale = np.abs(nu) @ np.abs(X).sum(axis=1)
    assert price.lower <= price.upper
    assert size(price.direction[None], norm)[0] <= 1 + 1e-12
    assert prices(X, nu, slope, price.direction[None])[0] == pytest.approx(price.lower, abs=1e-13 * scale)
    U = np.random.default_rng(0).standard_normal((500, X.shape[1]))
    assert prices(X, nu, slope, U / size(U, norm)[:, None]).max() <= price.upper


norms = pytest.mark.parametrize("norm", ["l2", "l1"])


@pytest.mark.parametrize(("norm", "slope"), [("l2", 0.0), ("l1", 0.3)])
@given(matrices(), st.integers(0, 99))
def test_the_largest_over_all_patterns_of_degenerate_data(norm, slope, X, seed):
    nu = np.random.default_rng(seed).standard_normal(len(X))
    if seed % 3 == 0:
        nu = np.round(nu)
    price = largest_price(X, nu, slope, norm)
    check(X, nu, slope, norm, price)
    best = enumerated(X, nu, slope, norm)
    assert price.exhaustive
    assert price.upper == pytest.approx(best, rel=1e-7, abs=1e-9)
    assert price.lower == pytest.approx(best, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize(("norm", "slope", "shape"), pairwise(["l2", "l1"], [0.0, 0.3], [(16, 3), (9, 4)]))
def test_the_largest_over_all_patterns(norm, slope, shape):
    n, d = shape
    rng = np.random.default_rng(n)
    X, nu = rng.standard_normal((n, d)), rng.standard_normal(n)
    price = largest_price(X, nu, slope, norm)
    check(X, nu, slope, norm, price)
    assert price.upper == pytest.approx(enumerated(X, nu, slope, norm), rel=1e-8)
    assert price.upper - price.lower <= 1.1e-9 * price.lower


@norms
@pytest.mark.parametrize("seed", range(6))
def test_hyperplanes_through_the_maxima(norm, seed):
    """Points of a grid, integer multipliers: many hyperplanes meet in the directions where the price is largest."""
    rng = np.random.default_rng(seed)
    X = np.array(list(itertools.product([-1.0, 0.0, 1.0], repeat=3)))
    nu = rng.integers(-3, 4, len(X)).astype(float)
    price = largest_price(X, nu, 0.0, norm)
    check(X, nu, 0.0, norm, price)
    assert price.exhaustive
    assert price.upper - price.lower <= 1e-8 * price.lower


@norms
def test_scales_and_units(norm):
    """Prices are proportional to X and to nu, and nothing overflows on the way."""
    rng = np.random.default_rng(0)
    X, nu = rng.standard_normal((15, 3)), rng.standard_normal(15)
    price = largest_price(X, nu, norm=norm)
    for a, b in ((1e-150, 1e-100), (1e100, 1e150), (1e-8, 1e3)):
        assert largest_price(a * X, b * nu, norm=norm).upper == pytest.approx(a * b * price.upper, rel=1e-8)
    assert largest_price(X, -nu, norm=norm).upper == pytest.approx(price.upper, rel=1e-8)


def test_rotations_and_further_columns_change_nothing():
    rng = np.random.default_rng(1)
    X, nu = rng.standard_normal((20, 3)), rng.standard_normal(20)
    wide = X @ np.linalg.qr(rng.standard_normal((40, 3)))[0].T
    price, same = largest_price(X, nu), largest_price(wide, nu)
    assert "rank 3" in same.method
    assert same.upper == pytest.approx(price.upper, rel=1e-8)
    assert same.direction.shape == (40,)


@norms
def test_a_target_stops_the_search_early(norm):
    rng = np.random.default_rng(2)
    X, nu = rng.standard_normal((40, 3)), rng.standard_normal(40)
    best = largest_price(X, nu, norm=norm)
    for target in (3 * best.upper, 1.1 * best.upper, (1 + 1e-7) * best.upper):
        price = largest_price(X, nu, norm=norm, target=target)
        assert price.exhaustive
        assert best.lower <= price.upper <= target
        assert price.nodes <= best.nodes
    assert largest_price(X, nu, norm=norm, target=3 * best.upper).nodes < best.nodes
    missed = largest_price(X, nu, norm=norm, target=0.5 * best.upper)
    assert missed.upper == pytest.approx(best.upper, rel=1e-8)


@norms
@pytest.mark.parametrize("d", [5, 20])
def test_a_bound_is_valid_when_time_runs_out(norm, d):
    rng = np.random.default_rng(3)
    X, nu = rng.standard_normal((60, d)), rng.standard_normal(60)
    price = largest_price(X, nu, norm=norm, time_limit=0.05)
    assert not price.exhaustive
    check(X, nu, 0.0, norm, price)
    assert price.lower > 0


def test_nothing_to_price():
    X = np.ones((3, 2))
    for data, nu in ((X, np.zeros(3)), (0 * X, np.ones(3))):
        price = largest_price(data, nu)
        assert (price.lower, price.upper, price.exhaustive) == (0, 0, True)
    cancelled = largest_price(X, [1.0, -2.0, 1.0])
    assert 0 <= cancelled.lower <= cancelled.upper <= 1e-12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nu": [1.0]}, r"nu must hold one finite number a sample, shape \(3,\); got shape \(1,\)"),
        ({"nu": [1.0, np.nan, 0]}, "nu must hold one finite number"),
        ({"norm": "max"}, "norm must be 'l2'"),
        ({"slope": 1.0}, "slope"),
        ({"time_limit": 0}, "time_limit"),
        ({"target": -1}, "target"),
        ({"X": [[np.inf, 0]] * 3}, "X holds"),
    ],
)
def test_bad_input(change, message):
    with pytest.raises(rm.InputError, match=message):
        largest_price(**{"X": np.ones((3, 2)), "nu": np.ones(3), **change})


@pytest.mark.parametrize(
    ("network", "penalty", "loss"),
    pairwise(
        [rm.TwoLayer(rm.ReLU(), bias=True), rm.TwoLayer(rm.LeakyReLU(0.2))],
        [rm.WeightDecay(0.03), rm.PathNorm(0.03)],
        [rm.Squared(), rm.Hinge(), rm.Logistic(reduction="sum")],
    ),
    ids=str,
)
def test_the_bound_meets_the_optimum_over_all_patterns(network, penalty, loss):
    X = np.random.default_rng(4).standard_normal((12, 2))
    y = targets(loss, 12)
    model = rm.Model(network, loss, penalty)
    solution = model.compile(X, y, patterns=rm.EnumeratePatterns()).solve(tol=1e-8)
    proven = training_bound(model, X, y, -solution.dual["loss"])
    assert proven.price.exhaustive
    assert proven.bound <= solution.objective * (1 + 1e-12)
    assert proven.bound == pytest.approx(solution.objective, rel=2e-6)


@pytest.mark.parametrize("seed", range(5))
def test_any_candidate_bounds_every_network(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((20, 2)), rng.standard_normal(20)
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Huber(0.5), rm.WeightDecay(0.02))
    bound = training_bound(model, X, y, 10.0 ** rng.integers(-3, 3) * rng.standard_normal(20)).bound
    network = model.compile(X, y, patterns=rm.SamplePatterns(30, seed=seed)).solve().network()
    assert 0 <= bound <= network.objective(model, X, y)


def test_what_the_training_bound_refuses():
    X, y = np.ones((2, 1)), np.ones(2)
    with pytest.raises(rm.InputError, match="gated network's program is exact"):
        training_bound(rm.Model(rm.TwoLayer(rm.GatedReLU()), rm.Squared(), rm.WeightDecay(1)), X, y, y)
    with pytest.raises(rm.InputError, match="nu must hold one finite number"):
        training_bound(rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(1)), X, y, y[:1])


def test_a_direction_above_the_target_may_end_the_search():
    rng = np.random.default_rng(2)
    X, nu = rng.standard_normal((30, 4)), rng.standard_normal(30)
    best = largest_price(X, nu).lower
    short = largest_price(X, nu, target=0.9 * best, beyond=False)
    assert short.lower > 0.9 * best
    assert not short.exhaustive
    check(X, nu, 0.0, "l2", short)
    assert largest_price(X, nu, target=1.1 * best, beyond=False).exhaustive
