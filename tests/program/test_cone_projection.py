"""The nearest point of a cone: its conditions of optimality, against Lawson and Hanson, on degenerate rows too."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from relumodel.arrangement import cone_projection
from relumodel.arrangement.cone_projection import cone_multipliers


def cone(n, d, seed, kind="plain"):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    if kind == "repeated":
        X = X[rng.integers(0, max(1, n // 3), n)]
    elif kind == "zero rows":
        X[::3] = 0
    elif kind == "scales":
        X *= 10.0 ** rng.integers(-6, 7, n)[:, None]
    elif kind == "low rank":
        X = X[:, :2] @ rng.standard_normal((2, d)) if d > 2 else X
    side = np.where(X @ rng.standard_normal(d) >= 0, 1.0, -1.0)
    return side[:, None] * X, rng.standard_normal(d)


@given(
    st.integers(1, 60),
    st.integers(1, 12),
    st.integers(0, 10**6),
    st.sampled_from(["plain", "repeated", "zero rows", "scales", "low rank"]),
)
def test_the_conditions_of_the_nearest_point(n, d, seed, kind):
    G, u = cone(n, d, seed, kind)
    alpha = cone_multipliers(G, u)
    v = u + G.T @ alpha
    scale = np.linalg.norm(u) * np.maximum(np.linalg.norm(G, axis=1), 1e-300)
    assert (alpha >= 0).all()
    assert (G @ v >= -1e-9 * scale).all()
    assert abs(v @ (v - u)) <= 1e-9 * (u @ u)


@pytest.mark.parametrize("guess", [None, np.arange(40)])
def test_pivoting_agrees_with_lawson_and_hanson(monkeypatch, guess):
    monkeypatch.setattr(cone_projection, "FEW", 0)
    for seed in range(5):
        G, u = cone(300, 60, seed)
        u = u + 0.5 * G[0]
        _, least = nnls(G.T, -u)
        assert np.linalg.norm(u + G.T @ cone_multipliers(G, u, guess)) == pytest.approx(least, rel=1e-9, abs=1e-9)
