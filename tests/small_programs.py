"""One small program of every kind that files can hold."""

from __future__ import annotations

from functools import cache

import numpy as np

import relumodel as rm

KINDS = {
    "LP": (rm.Hinge(), rm.PathNorm(0.05), {}),
    "QP": (rm.Squared(), rm.PathNorm(0.05), {}),
    "SOCP": (rm.Squared(), rm.WeightDecay(0.05), {}),
    "exponential": (rm.Logistic(), rm.WeightDecay(0.05), {}),
    "strict LP": (rm.Hinge(), rm.PathNorm(0.05), {"perturbation": rm.LInf(0.01)}),
    "strict SOCP": (rm.Huber(0.5), rm.WeightDecay(0.05), {"perturbation": rm.L2(0.01)}),
    "crossing": (rm.Hinge(), rm.WeightDecay(0.05), {"perturbation": rm.LInf(0.05), "robust": "crossing"}),
    "crossing exponential": (rm.Logistic(), rm.PathNorm(0.05), {"perturbation": rm.L1(0.05), "robust": "crossing"}),
}


@cache
def compiled(kind: str) -> rm.Program:
    """Eight samples, two features, a bias, four sampled patterns."""
    loss, penalty, more = KINDS[kind]
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((8, 2)), np.where(np.arange(8) % 3 == 0, 1.0, -1.0)
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), loss, penalty, **more)
    return model.compile(X, y, patterns=rm.SamplePatterns(4, seed=0))


@cache
def optimum(kind: str) -> float:
    """Its optimum, to a certified gap of 1e-7."""
    solution = compiled(kind).solve(backend="clarabel", tol=1e-7)
    assert solution.gap <= 1e-7
    return solution.objective
