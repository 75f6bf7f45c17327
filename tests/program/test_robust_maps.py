import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from data_strategies import matrices
from relumodel.maps.base import Identity, MaskedProduct
from relumodel.maps.robust_maps import SampleWeights, Stacked, kron_identity


@st.composite
def sample_weights(draw):
    X = draw(matrices())
    D = np.random.default_rng(draw(st.integers(0, 99))).random((draw(st.integers(1, 4)), len(X))) < 0.5
    mask = D.astype(np.int8) if draw(st.booleans()) else np.where(D, 1.0, 0.3)
    return SampleWeights(X, mask, draw(st.sampled_from([(1.0, -1.0), (1.0,)])))


def vectors(K):
    rng = np.random.default_rng(0)
    return rng.standard_normal(K.shape[1]), rng.standard_normal(K.shape[0])


@given(sample_weights())
def test_forward_is_the_definition(K):
    """q[k] = sum of signs[c] mask[i, k] U[c, i] for every sample, z_k = x_k . q[k]; Q holds one row a group."""
    x, _ = vectors(K)
    n, d = K.X.shape
    U = x.reshape(len(K.signs), len(K.mask), d)
    q = np.einsum("c,ik,cid->kd", K.signs, K.mask.astype(float), U)
    out = K.forward(x)
    group, _ = K.grouping
    np.testing.assert_allclose(out[:n], (K.X * q).sum(axis=1), atol=1e-12)
    np.testing.assert_allclose(out[n:].reshape(-1, d)[group], q, atol=1e-12)


@given(sample_weights())
def test_groups_are_the_samples_with_equal_masks(K):
    group, first = K.grouping
    assert len(first) == len({tuple(column) for column in K.mask.T.tolist()}) == group.max() + 1
    np.testing.assert_array_equal(K.mask[:, first[group]], K.mask)


@given(sample_weights())
def test_adjoint_and_matrix(K):
    x, z = vectors(K)
    A = K.matrix()
    assert A.shape == K.shape
    assert K.forward(x) @ z == pytest.approx(x @ K.adjoint(z), abs=1e-10)
    np.testing.assert_allclose(A @ x, K.forward(x), atol=1e-12)
    np.testing.assert_allclose(A.T @ z, K.adjoint(z), atol=1e-12)


@given(matrices())
def test_stacked(X):
    n, d = X.shape
    sides = MaskedProduct(X, np.where(np.arange(n) % 2, 1, -1).astype(np.int8)[None], (1.0,), summed=False)
    K = Stacked((sides, Identity(d)))
    x, z = vectors(K)
    assert K.shape == (n + d, d)
    np.testing.assert_array_equal(K.forward(x), np.concatenate([sides.forward(x), x]))
    assert K.forward(x) @ z == pytest.approx(x @ K.adjoint(z), abs=1e-10)
    np.testing.assert_allclose(K.matrix() @ x, K.forward(x), atol=1e-12)


@given(st.integers(0, 99), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def testkron_identity(seed, n, m, d):
    M = sparse.random_array((n, m), density=0.6, rng=np.random.default_rng(seed), format="csr")
    np.testing.assert_array_equal(kron_identity(M, d).toarray(), np.kron(M.toarray(), np.eye(d)))
