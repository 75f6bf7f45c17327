"""Proximal maps in the metrics of the data, by their optimality conditions."""

from __future__ import annotations

import numpy as np
import pytest

import relumodel as rm
from relumodel.batches.metric import DIRECTIONS, SpectralMetric, metric_of

BETA = 0.3


def matrix(metric: object) -> np.ndarray:
    if isinstance(metric, SpectralMetric):
        d = len(metric.V)
        return metric.floor * np.eye(d) + (metric.V * (metric.values - metric.floor)) @ metric.V.T
    return np.diag(metric.values)  # type: ignore[attr-defined]


@pytest.mark.parametrize("d", [1, 3, DIRECTIONS + 9])
@pytest.mark.parametrize("penalty", [rm.WeightDecay(BETA), rm.PathNorm(BETA)], ids=repr)
def test_proximal_maps_are_optimal(penalty: rm.WeightDecay, d: int) -> None:
    rng = np.random.default_rng(d)
    A = rng.standard_normal((200, d)) * rng.uniform(0.1, 1, d) + 0.5
    metric = metric_of(A.T @ A / 200, penalty)
    M = matrix(metric)
    U, G, L = rng.standard_normal((2, 5, d)), rng.standard_normal((2, 5, d)), rng.uniform(0.5, 3, (2, 5))
    G[0, 0] = L[0, 0] * M @ U[0, 0]  # a step to zero, and ...
    G[0, 1] = L[0, 1] * M @ U[0, 1] + 1e-3
    V = metric.prox(U, G, L)
    slope = G + L[..., None] * ((V - U) @ M)  # minus a subgradient of the penalty at V
    for v, s in zip(V.reshape(-1, d), slope.reshape(-1, d), strict=True):
        if isinstance(penalty, rm.PathNorm):
            assert (abs(s) <= BETA + 1e-9).all()
            np.testing.assert_allclose(s @ v, -BETA * abs(v).sum(), atol=1e-9)
        else:
            assert np.linalg.norm(s) <= BETA + 1e-6
            np.testing.assert_allclose(s @ v, -BETA * np.linalg.norm(v), atol=1e-6)
    assert not V[0, 0].any()  # ... stays there
    dual = metric.dual_squares(G)
    np.testing.assert_allclose(dual, np.einsum("abi,abi->ab", G, np.linalg.solve(M, G[..., None])[..., 0]), rtol=1e-9)


def test_the_spectral_metric_is_above_the_gram_matrix() -> None:
    rng = np.random.default_rng(0)
    A = rng.uniform(0, 1, (300, DIRECTIONS + 20))
    gram = A.T @ A / 300
    M = matrix(metric_of(gram, rm.WeightDecay(BETA)))
    assert np.linalg.eigvalsh(M - gram).min() > -1e-9
    np.testing.assert_allclose(np.linalg.eigvalsh(M)[-1], np.linalg.eigvalsh(gram)[-1])


def test_data_of_zeros_have_a_metric() -> None:
    metric = metric_of(np.zeros((3, 3)), rm.WeightDecay(BETA))
    assert not metric.prox(np.zeros((1, 3)), np.full((1, 3), 0.1), np.ones(1)).any()


def test_the_diagonal_alone_gives_a_scalar_metric() -> None:
    metric = metric_of(np.array([1.0, 2.0, 3.0]), rm.WeightDecay(BETA))
    np.testing.assert_allclose(matrix(metric), 6 * np.eye(3))
