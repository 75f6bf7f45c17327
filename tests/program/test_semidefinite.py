import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relumodel as rm
from relumodel.conic.form import cone_violation
from relumodel.functions.semidefinite import Semidefinite
from relumodel.maps.symmetric import order_of, packed_size, smat, svec

orders = st.integers(1, 6)
seeds = st.integers(0, 10**6)


def symmetric(order, seed, count=3):
    M = np.random.default_rng(seed).standard_normal((count, order, order))
    return M + M.transpose(0, 2, 1)


@given(orders, seeds)
def test_svec_is_an_isometry_and_smat_undoes_it(order, seed):
    Y, Z = symmetric(order, seed), symmetric(order, seed + 1)
    np.testing.assert_allclose((svec(Y) * svec(Z)).sum(axis=1), (Y * Z).sum(axis=(1, 2)), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(smat(svec(Y)), Y, rtol=1e-14)
    assert order_of(svec(Y).shape[1]) == order


def test_entries_go_down_the_columns_of_the_upper_triangle():
    Z = np.array([[1, 2, 4], [2, 3, 5], [4, 5, 6.0]])
    np.testing.assert_allclose(svec(Z), [1, 2 * 2**0.5, 3, 4 * 2**0.5, 5 * 2**0.5, 6])
    np.testing.assert_allclose(svec(Z)[:3], svec(Z[:2, :2]))


@pytest.mark.parametrize("size", [2, 4, 5, 7])
def test_other_lengths_are_no_triangles(size):
    with pytest.raises(ValueError, match="not"):
        order_of(size)


@given(orders, seeds)
def test_the_two_projections_split_every_vector(order, seed):
    """Moreau: z = (projection on the cone) + (projection on its polar), orthogonal; the cone's violation is that of the form."""
    f, z = Semidefinite(order), svec(symmetric(order, seed)).reshape(-1)
    inside, polar = f.prox(z, 1.0), f.project_dual(z)
    np.testing.assert_allclose(inside + polar, z, atol=1e-12)
    assert abs(inside @ polar) <= 1e-10 * (1 + z @ z)
    assert f.violation(inside) <= 1e-13 * (1 + abs(z).max())
    lowest = min(np.linalg.eigvalsh(smat(part)).min() for part in z.reshape(3, -1))
    assert f.violation(z) == pytest.approx(max(0, -lowest))
    cones = tuple(rm.Cone("semidefinite", packed_size(order)) for _ in range(3))
    empty = np.zeros((0, 0))
    form = rm.ConicForm(empty, z, empty, z, cones, 0.0, ())
    assert cone_violation(z, form) == pytest.approx(f.violation(z), abs=1e-13)


def test_a_vector_of_rank_one_is_inside():
    """The eigenvalues of p p' are zero but for rounding, which is no violation."""
    p = np.random.default_rng(0).standard_normal(30)
    assert Semidefinite(30).violation(svec(np.outer(p, p))) == 0
    assert Semidefinite(30).violation(svec(np.outer(p, p) - 1e-6 * np.eye(30))) == pytest.approx(1e-6)
