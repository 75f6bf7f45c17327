"""Loss, distance to the cones and their gradient against the terms of the compiled program."""

from __future__ import annotations

import numpy as np
import pytest

import relumodel as rm
from batch_programs import NETWORKS, example, whole_program
from relumodel.batches.layer import pull, smoothed
from relumodel.batches.passes import prepared
from relumodel.data import BatchData
from relumodel.program.arrays import Arrays

RHO, WIDTH = 0.7, 0.05


@pytest.mark.parametrize("loss", [rm.Squared(), rm.Hinge(reduction="sum"), rm.MultiMargin(), rm.SoftmaxCrossEntropy()], ids=repr)
@pytest.mark.parametrize("network", NETWORKS, ids=repr)
def test_the_smoothed_program_is_that_of_the_terms(network: rm.TwoLayer, loss: rm.Loss) -> None:
    X, y = example(loss)
    weight = np.random.default_rng(1).uniform(0.5, 2, len(X))
    program = rm.Model(network, loss, rm.WeightDecay(0.01)).compile_batches((X, y, weight), patterns=rm.SamplePatterns(4, seed=0))
    whole = whole_program(program, X, y, weight)
    assert (program.n_variables, program.outputs) == (whole.n_variables, len(np.unique(y)) if loss.reads == "classes" else 1)
    x = np.random.default_rng(2).standard_normal(whole.n_variables)

    value, gradient, distance = 0.0, np.zeros_like(x), 0.0
    share = np.tile(weight, program.outputs) / (weight.sum() if loss.reduction == "mean" else 1)
    for term in whole.terms:
        image = term.map.forward(x)
        if term.name == "loss":
            value, q = term.function.rounded(image, WIDTH)
            gradient += term.map.adjoint(q)
        elif term.function.indicator:
            one = getattr(term.map, "one", term.map)
            samples = getattr(one, "rows", np.arange(one.shape[0])) % len(X)
            outside = np.minimum(image, 0)
            w = np.tile(share[: len(X)][samples], len(image) // len(samples))
            distance += 0.5 * float((w * outside**2).sum())
            gradient += term.map.adjoint(RHO * w * outside)

    layer, U = program.layer(Arrays()), x.reshape(program.shape)
    found = [0.0, 0.0, np.zeros(program.shape)]
    for at in (slice(0, 25), slice(25, 60)):  # two batches add up to the whole
        batch = prepared(program, Arrays(), layer, BatchData(X[at], y[at], weight[at], None))
        part = smoothed(layer.hidden(U, batch.X), batch, layer, RHO, WIDTH)
        found = [found[0] + part.loss, found[1] + part.distance, found[2] + pull(part.gradient, batch.X)]
    np.testing.assert_allclose(found[0], value, rtol=1e-12)
    np.testing.assert_allclose(found[1], distance, rtol=1e-12)
    np.testing.assert_allclose(found[2].reshape(-1), gradient, rtol=1e-9, atol=1e-12 * abs(gradient).max())


def test_blocks_of_zeros_are_left_out_of_the_product() -> None:
    X, y = example(rm.Squared())
    program = rm.Model(NETWORKS[0], rm.Squared(), rm.WeightDecay(0.01)).compile_batches(
        (X, y), patterns=rm.SamplePatterns(6, seed=0)
    )
    layer, U = program.layer(Arrays()), np.random.default_rng(0).standard_normal(program.shape)
    U[0, 0, 1:] = U[0, 1, :] = 0
    A = np.column_stack([X, np.ones(len(X))])
    np.testing.assert_allclose(layer.hidden(U, A), U @ A.T, atol=1e-12)
