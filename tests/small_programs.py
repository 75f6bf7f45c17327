"""One small program of every kind that files can hold."""

from __future__ import annotations

from functools import cache

import numpy as np

import relumodel as rm

RELU = rm.TwoLayer(rm.ReLU(), bias=True)
POLYNOMIAL = rm.TwoLayer(rm.Polynomial(), bias=True)

KINDS = {
    "LP": (RELU, rm.Hinge(), rm.PathNorm(0.05), {}),
    "QP": (RELU, rm.Squared(), rm.PathNorm(0.05), {}),
    "SOCP": (RELU, rm.Squared(), rm.WeightDecay(0.05), {}),
    "exponential": (RELU, rm.Logistic(), rm.WeightDecay(0.05), {}),
    "strict LP": (RELU, rm.Hinge(), rm.PathNorm(0.05), {"perturbation": rm.LInf(0.01)}),
    "strict SOCP": (RELU, rm.Huber(0.5), rm.WeightDecay(0.05), {"perturbation": rm.L2(0.01)}),
    "crossing": (RELU, rm.Hinge(), rm.WeightDecay(0.05), {"perturbation": rm.LInf(0.05), "robust": "crossing"}),
    "crossing exponential": (RELU, rm.Logistic(), rm.PathNorm(0.05), {"perturbation": rm.L1(0.05), "robust": "crossing"}),
    "random features": (rm.RandomFeatures(bias=True), rm.Absolute(), rm.WeightDecay(0.05), {}),
    "three layers": (rm.ParallelThreeLayer(width=2), rm.Huber(0.5), rm.WeightDecay(0.05), {}),
    "SDP": (POLYNOMIAL, rm.Squared(), rm.WeightDecay(0.05), {}),
    "strict SDP": (POLYNOMIAL, rm.Hinge(), rm.WeightDecay(0.05), {"perturbation": rm.L2(0.3)}),
    "exponential SDP": (POLYNOMIAL, rm.Logistic(), rm.WeightDecay(0.05), {}),
}


@cache
def compiled(kind: str) -> rm.Program:
    """Eight samples, two features, four sampled patterns where the network has any."""
    network, loss, penalty, more = KINDS[kind]
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((8, 2)), np.where(np.arange(8) % 3 == 0, 1.0, -1.0)
    model = rm.Model(network, loss, penalty, **more)
    return model.compile(X, y, patterns=None if network == POLYNOMIAL else rm.SamplePatterns(4, seed=0))


@cache
def optimum(kind: str) -> float:
    """Its optimum, to a certified gap of 1e-7."""
    solution = compiled(kind).solve(backend="clarabel", tol=1e-7)
    assert solution.gap <= 1e-7
    return solution.objective
