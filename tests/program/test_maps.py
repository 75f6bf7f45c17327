import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_strategies import matrices
from relumodel.maps.base import Dense, Identity, MaskedProduct, SegmentSums

SIGNS = [(1.0, -1.0), (1.0, 1.0), (1.0,), (-1.0, 1.0)]
MASKS = [lambda D: D.astype(np.int8), lambda D: np.where(D, 1, -1).astype(np.int8), lambda D: np.where(D, 1.0, 0.3)]


@st.composite
def masked_products(draw):
    X = draw(matrices())
    D = np.random.default_rng(draw(st.integers(0, 99))).random((draw(st.integers(1, 4)), len(X))) < 0.5
    return MaskedProduct(X, draw(st.sampled_from(MASKS))(D), draw(st.sampled_from(SIGNS)), draw(st.booleans()))


def vectors(K, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(K.shape[1]), rng.standard_normal(K.shape[0])


def by_definition(K, x):
    """Entry by entry, as the docstring says."""
    C, P, d = K.blocks
    U, n = x.reshape(C, P, d), len(K.X)
    out = np.array([[[K.signs[c] * K.mask[i, k] * (K.X[k] @ U[c, i]) for k in range(n)] for i in range(P)] for c in range(C)])
    return out.sum(axis=(0, 1)) if K.summed else out.reshape(-1)


@settings(max_examples=100)
@given(masked_products())
def test_forward_is_the_definition(K):
    x, z = vectors(K)
    assert K.forward(x).shape == (K.shape[0],)
    assert K.adjoint(z).shape == (K.shape[1],)
    np.testing.assert_allclose(K.forward(x), by_definition(K, x), atol=1e-12)


@settings(max_examples=100)
@given(masked_products())
def test_adjoint(K):
    """<K x, z> = <x, K'z>."""
    x, z = vectors(K)
    assert K.forward(x) @ z == pytest.approx(x @ K.adjoint(z), abs=1e-11)


@settings(max_examples=100)
@given(masked_products())
def test_matrix(K):
    A = K.matrix()
    x, z = vectors(K)
    assert A.shape == K.shape
    assert A.format == "csr"
    assert A.dtype == np.float64
    assert (A.data != 0).all()
    assert A.has_canonical_format
    np.testing.assert_allclose(A @ x, K.forward(x), atol=1e-12)
    np.testing.assert_allclose(A.T @ z, K.adjoint(z), atol=1e-12)


@settings(max_examples=100)
@given(masked_products())
def test_the_matrix_is_the_callers_own(K):
    """Scaling one matrix in place must not change the map or the next matrix."""
    x, _ = vectors(K)
    before = K.forward(x)
    K.matrix().data *= 7
    np.testing.assert_array_equal(K.forward(x), before)
    np.testing.assert_allclose(K.matrix() @ x, before, atol=1e-12)


@settings(max_examples=100)
@given(masked_products())
def test_torch_shares_the_code(K):
    on_torch = dataclasses.replace(K, X=torch.from_numpy(K.X), mask=torch.from_numpy(K.mask))
    x, z = vectors(K)
    np.testing.assert_allclose(on_torch.forward(torch.from_numpy(x)).numpy(), K.forward(x), atol=1e-12)
    np.testing.assert_allclose(on_torch.adjoint(torch.from_numpy(z)).numpy(), K.adjoint(z), atol=1e-12)


def test_by_hand():
    # X = [[1, 2], [3, 4]], pattern (1, 0); v = (1, 1), w = (0, 1): D X (v - w) = (1, 0); cones +-X v = (3, -7), +-X w = (2, -4)
    X, x = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0, 0.0, 1.0])
    prediction = MaskedProduct(X, np.array([[1, 0]], dtype=np.int8), (1.0, -1.0), summed=True)
    np.testing.assert_array_equal(prediction.forward(x), [1, 0])
    cones = MaskedProduct(X, np.array([[1, -1]], dtype=np.int8), (1.0, 1.0), summed=False)
    np.testing.assert_array_equal(cones.forward(x), [3, -7, 2, -4])
    np.testing.assert_array_equal(cones.matrix().toarray()[2:], [[0, 0, 1, 2], [0, 0, -3, -4]])


def test_identity():
    K, x = Identity(3), np.arange(3.0)
    assert K.shape == (3, 3)
    np.testing.assert_array_equal(K.forward(x), x)
    np.testing.assert_array_equal(K.adjoint(x), x)
    np.testing.assert_array_equal(K.matrix().toarray(), np.eye(3))


def test_dense():
    """The features of three samples, zeros included."""
    K = Dense(np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]]))
    x, z = vectors(K)
    np.testing.assert_allclose(K.forward(x), K.F @ x)
    np.testing.assert_allclose(K.adjoint(z), K.F.T @ z)
    assert K.matrix().nnz == 4
    np.testing.assert_allclose(K.matrix() @ x, K.forward(x))
    np.testing.assert_allclose(Dense(torch.asarray(K.F)).forward(torch.asarray(x)).numpy(), K.forward(x))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_segment_sums(size):
    """Rows of a product summed over consecutive patterns, some rows left out."""
    rng = np.random.default_rng(size)
    X, mask = rng.standard_normal((4, 2)), rng.integers(-1, 2, (2 * size, 4)).astype(np.int8)
    inner = MaskedProduct(X, mask, (1.0, -1.0), summed=False)
    rows = np.array([0, 3, 5, 6, 10, 15])
    K = SegmentSums(inner, size, rows)
    x, z = vectors(K)
    products = by_definition(inner, x).reshape(4, size, 4)  # (C G, size, n)
    np.testing.assert_allclose(K.forward(x), products.sum(axis=1).reshape(-1)[rows], atol=1e-12)
    assert K.forward(x) @ z == pytest.approx(x @ K.adjoint(z), abs=1e-12)
    A = K.matrix()
    assert A.shape == K.shape
    np.testing.assert_allclose(A @ x, K.forward(x), atol=1e-12)
    on_torch = dataclasses.replace(K, inner=dataclasses.replace(inner, X=torch.asarray(X), mask=torch.asarray(mask)))
    np.testing.assert_allclose(on_torch.forward(torch.asarray(x)).numpy(), K.forward(x), atol=1e-12)
    np.testing.assert_allclose(on_torch.adjoint(torch.asarray(z)).numpy(), K.adjoint(z), atol=1e-12)
