"""The class losses obey the identities of a convex function, and their conic rows say the same."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import relumodel as rm
from reference import epigraph_minimum
from relumodel.functions.class_losses import onto_simplex
from relumodel.functions.class_sample_loss import ClassSampleLoss

LABELS = np.array([2.0, 0, 7, 2])
CLASSES = np.array([0.0, 2, 7])
WEIGHTS = np.array([1.0, 2, 1, 0.5])
BOUND = [
    ClassSampleLoss.bind(make(reduction=reduction), LABELS, CLASSES, weights)
    for make in (rm.MultiMargin, rm.SoftmaxCrossEntropy)
    for reduction, weights in (("mean", None), ("sum", WEIGHTS))
]
points = arrays(float, 12, elements=st.floats(-8, 8).map(lambda x: round(x, 3)))
every_loss = pytest.mark.parametrize("f", BOUND, ids=lambda f: f"{type(f.loss).__name__}-{f.loss.reduction}")


def by_definition(f, z):
    total = 0.0
    for k, row in enumerate(z.reshape(3, 4).T):
        y = int(np.flatnonzero(LABELS[k] == CLASSES)[0])
        others = np.delete(row, y)
        margin = max(0.0, 1 + others.max() - row[y])
        entropy = np.log(np.exp(row - row.max()).sum()) + row.max() - row[y]
        total += f.weights[k] * (margin if isinstance(f.loss, rm.MultiMargin) else entropy)
    return total


@every_loss
@given(z=points)
def test_value(f, z):
    assert f.value(z) == pytest.approx(by_definition(f, z), abs=1e-11)
    np.testing.assert_array_equal(f.targets, LABELS)


@every_loss
@given(z=points, q=points)
def test_fenchel_young(f, z, q):
    q = f.project_dual(q)
    assert f.value(z) + f.conjugate(q) >= z @ q - 1e-10


@every_loss
@given(z=points, other=points)
def test_gradient_supports(f, z, other):
    q = f.gradient(z)
    assert f.value(other) >= f.value(z) + q @ (other - z) - 1e-10
    assert f.value(z) + f.conjugate(f.project_dual(q)) == pytest.approx(z @ q, abs=1e-9)


@every_loss
@given(z=points, t=st.floats(0.01, 50))
def test_prox_by_moreau(f, z, t):
    p = f.prox(z, t)
    q = (z - p) / t
    np.testing.assert_allclose(f.project_dual(q), q, atol=1e-9)
    assert f.value(p) + f.conjugate(f.project_dual(q)) == pytest.approx(p @ q, abs=1e-8)


@every_loss
@given(q=points, scale=st.floats(0, 1))
def test_the_domain_of_the_conjugate_reaches_zero(f, q, scale):
    q = scale * f.project_dual(q)
    np.testing.assert_allclose(f.project_dual(q), q, atol=1e-12)
    assert f.conjugate(0 * q) == pytest.approx(0, abs=1e-12)


@every_loss
@pytest.mark.parametrize("seed", range(2))
def test_rows(f, seed):
    z = 3 * np.random.default_rng(seed).standard_normal(12)
    assert epigraph_minimum(f.rows(12), z) == pytest.approx(f.value(z), rel=1e-6, abs=1e-7)


@every_loss
def test_single_precision_and_torch(f):
    z = np.linspace(-3, 3, 12)
    single = dataclasses.replace(f, own=f.own.astype("f4"), weights=f.weights.astype("f4"))
    assert single.prox(z.astype("f4"), 2.0).dtype == np.float32
    np.testing.assert_allclose(single.prox(z.astype("f4"), 2.0), f.prox(z, 2.0), atol=1e-4)
    tensors = dataclasses.replace(f, own=torch.tensor(f.own), weights=torch.tensor(f.weights))
    np.testing.assert_allclose(tensors.prox(torch.tensor(z), 2.0).numpy(), f.prox(z, 2.0), atol=1e-12)
    np.testing.assert_allclose(tensors.gradient(torch.tensor(z)).numpy(), f.gradient(z), atol=1e-12)


@given(arrays(float, (3, 5), elements=st.floats(-9, 9)))
def test_the_simplex(z):
    p = onto_simplex(z)
    np.testing.assert_allclose(p.sum(axis=0), 1, atol=1e-14)
    assert (p >= 0).all()
    # the nearest point: no vertex lies on the far side of the plane through p, normal to z - p
    assert ((np.eye(3)[:, :, None] - p) * (z - p)).sum(axis=1).max() <= 1e-10
