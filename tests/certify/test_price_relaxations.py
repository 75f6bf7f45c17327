"""The bounds over single cones hold at every point, flat cones included, and halves cover the whole."""

import numpy as np
import pytest

from relumodel.pricing.cone_relaxation import ConeRelaxation
from relumodel.pricing.cones import orthants, split
from relumodel.pricing.price_function import reduced
from relumodel.pricing.simplex_relaxation import SimplexRelaxation

RELAXATIONS = pytest.mark.parametrize(("make", "rotate"), [(ConeRelaxation, True), (SimplexRelaxation, False)], ids=["l2", "l1"])


def function(r, n, rotate, seed=0):
    rng = np.random.default_rng(seed)
    return reduced(rng.standard_normal((n, r)), rng.standard_normal(n), 0.0, rotate).function


def some_cones(relaxation, rounds, rng):
    """Cones of many sizes: halves of halves, cut at random points."""
    V = orthants(relaxation.rank)
    for _ in range(rounds):
        one, other = split(V, rng.random(V.shape[:2]), relaxation.function, relaxation.size)
        V = np.concatenate([one, other])[rng.permutation(2 * len(V))[:300]]
    return V


def points_of(V, relaxation, rng, count=50):
    U = rng.dirichlet(np.full(V.shape[1], 0.5), (len(V), count)) @ V
    return U / relaxation.size(U.reshape(-1, V.shape[2])).reshape(len(V), count, 1)


@RELAXATIONS
@pytest.mark.parametrize("r", [1, 2, 4])
@pytest.mark.parametrize("flat", [0.0, 1e-5, 1e-15])
def test_bounds_hold_everywhere(make, rotate, r, flat):
    rng = np.random.default_rng(r)
    relaxation = make(function(r, 12, rotate))
    f = relaxation.function
    V = some_cones(relaxation, 8, rng)
    if flat and r > 1:  # generators that nearly coincide
        V[:, 1] = V[:, 0] + flat * V[:, 1]
        V[:, 1] /= relaxation.size(V[:, 1])[:, None]
    U = points_of(V, relaxation, rng)
    best = f.value(U.reshape(-1, r)).reshape(U.shape[:2]).max(axis=1)
    size = f.up.sum() + f.down.sum() + np.abs(f.c).sum()
    for limit in (0.1 * size, 0.3 * best.max(), best.max() * (1 + 1e-9)):
        upper, weights, points = relaxation.bound(V, limit)
        assert (
            (upper >= np.maximum(best, 0) - 1e-13 * size).all() if make is ConeRelaxation else (upper >= best - 1e-13 * size).all()
        )
        assert (weights >= 0).all()
        assert (relaxation.size(points) <= 1 + 1e-12).all()


@RELAXATIONS
def test_a_bound_is_tight_where_the_convex_part_is_linear(make, rotate):
    """Without a positive nu F is concave on a cone: bound and attained value meet."""
    rng = np.random.default_rng(0)
    X, nu = rng.standard_normal((10, 3)), -rng.random(10)
    X[:5] *= -1
    nu[0] = 3.0
    relaxation = make(reduced(X, nu, 0.5, rotate).function)
    f = relaxation.function
    V = np.array([v for v in some_cones(relaxation, 6, rng) if ((v @ f.Y.T > 0).all(axis=0) | (v @ f.Y.T < 0).all(axis=0)).all()])
    V = V[:20]
    assert len(V) > 5
    for k in range(len(V)):
        cone, limit = V[k : k + 1], 1e-2
        for _ in range(20):  # the work ends where the bound meets the limit: raise it to what is attained
            upper, _, point = relaxation.bound(cone, limit)
            attained = f.value(point)[0]
            if attained <= limit:
                break
            limit = attained * (1 + 1e-7)
        assert upper[0] <= limit + 1e-7


@RELAXATIONS
def test_halves_cover_the_whole(make, rotate):
    rng = np.random.default_rng(3)
    relaxation = make(function(3, 20, rotate))
    V = some_cones(relaxation, 6, rng)
    one, other = split(V, rng.random(V.shape[:2]), relaxation.function, relaxation.size)
    fat = np.abs(np.linalg.det(V)) > 1e-6
    V, one, other = V[fat], one[fat], other[fat]
    U = points_of(V, relaxation, rng, 10)
    inside = [np.einsum("nij,nkj->nki", np.linalg.pinv(half.transpose(0, 2, 1)), U).min(axis=2) for half in (one, other)]
    assert len(V) > 100
    assert (np.maximum(*inside) > -1e-9).all()
    np.testing.assert_allclose(relaxation.size(one.reshape(-1, 3)), 1, rtol=1e-14)


def test_merging_changes_the_function_by_no_more_than_it_says():
    rng = np.random.default_rng(4)
    X = rng.standard_normal((30, 3))
    X = np.vstack([X, -2 * X[:10], X[10:20] * (1 + 1e-14), 0 * X[:2], X[:5] + 1e-12])
    nu = rng.standard_normal(len(X))
    for rotate in (True, False):
        small = reduced(X, nu, 0.2, rotate)
        assert len(small.function.Y) + len(small.function.Z) <= 35
        U = rng.standard_normal((100, 3))
        U /= np.linalg.norm(U, axis=1)[:, None]
        T = X @ U.T
        exact = nu @ np.where(T > 0, T, 0.2 * T)
        assert np.abs(small.function.value(U @ small.basis.T) - exact).max() <= small.error
        assert small.error <= 1e-10
