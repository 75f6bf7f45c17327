"""Small problems by batches, and the same program compiled in memory."""

from __future__ import annotations

import numpy as np

import relumodel as rm
from relumodel.api import Program
from relumodel.batches.program import BatchProgram
from relumodel.data import read, with_bias
from relumodel.lift.lower import rebuild
from relumodel.patterns import PatternSet
from relumodel.patterns.sub_networks import patterns

NETWORKS = [
    rm.TwoLayer(rm.ReLU(), bias=True),
    rm.TwoLayer(rm.LeakyReLU(0.2)),
    rm.TwoLayer(rm.GatedReLU(), bias=True),
    rm.ParallelThreeLayer(width=3, bias=True),
]


def example(loss: rm.Loss, n: int = 60, d: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian features, a row of zeros among them, and targets that a small network can learn."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    X[3] = 0
    score = np.abs(X[:, 0]) - np.abs(X[:, 1]) + 0.1 * rng.standard_normal(n)
    if loss.reads == "residual":
        return X, score
    if loss.reads == "margin":
        return X, np.where(score > 0, 1.0, -1.0)
    return X, np.digitize(score, [-0.5, 0.5]).astype(float)


def whole_program(program: BatchProgram, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> rm.Program:
    """The program in memory on the patterns of the same directions."""
    model = program.model
    data = read(X, y, model.loss, sample_weight)
    A = with_bias(data.X, model.network.bias)
    D = A @ program.gates.T >= 0
    found = PatternSet(D, program.gates, complete=False, origin="the same directions")
    arrays = {}
    if program.second_weights is not None:
        weights = program.second_weights
        directions = program.gates.reshape(*weights.shape, -1)
        outer = np.stack([patterns(A, *pair)[1] for pair in zip(directions, weights, strict=True)])
        arrays = {"second_weights": weights, "second_patterns": outer}
    return Program.of(rebuild(model.network, model, data, found, arrays))
