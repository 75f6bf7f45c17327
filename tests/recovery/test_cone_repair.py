import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from data_strategies import matrices
from relumodel.lift.cone_repair import into_cone


@st.composite
def cones(draw):
    """(u, G, witness) with G witness > 0 on non-zero rows; G often degenerate, rows and u of any scale."""
    X = draw(matrices(rows=(1, 8), columns=(1, 4)))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    witness = rng.standard_normal(X.shape[1])
    witness /= np.linalg.norm(witness)
    side = np.where(X @ witness >= 0, 1.0, -1.0)
    G = side[:, None] * X * 10.0 ** rng.integers(-3, 4, (len(X), 1))
    u = rng.standard_normal(X.shape[1]) * 10.0 ** draw(st.integers(-6, 6))
    return u, G, witness


def projection(u, G):
    """The nearest point of { G u >= 0 } by the Moreau decomposition: u + G'a, a = argmin over a >= 0 of | G'a + u |."""
    rows = G[np.linalg.norm(G, axis=1) > 0]
    if not len(rows):
        return u
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return u + rows.T @ nnls(rows.T, -u)[0]


@settings(max_examples=200)
@given(cones())
def test_the_result_is_inside_and_nearly_the_nearest(cone):
    u, G, witness = cone
    if (np.abs(G @ witness) <= 1e-6 * np.linalg.norm(G, axis=1)).any():
        return  # a zero row, or a witness on the border
    point = into_cone(u, G, witness)
    assert (G @ point >= 0).all()
    assert np.linalg.norm(point - projection(u, G)) <= 1e-7 * np.linalg.norm(u)


@given(cones())
def test_a_point_well_inside_is_not_touched(cone):
    _, G, witness = cone
    if (np.abs(G @ witness) > 1e-9 * np.linalg.norm(G, axis=1)).all():
        np.testing.assert_array_equal(into_cone(3 * witness, G, witness), 3 * witness)


@given(cones())
def test_repairing_twice_changes_nothing(cone):
    u, G, witness = cone
    once = into_cone(u, G, witness)
    np.testing.assert_array_equal(into_cone(once, G, witness), once)


def test_by_hand():
    # the quadrant: (-1, 2) -> (0, 2), then inside by a rounding
    G, witness = np.eye(2), np.array([1.0, 1.0]) / np.sqrt(2)
    np.testing.assert_allclose(into_cone(np.array([-1.0, 2.0]), G, witness), [0, 2], atol=1e-13)
    assert (into_cone(np.array([-1.0, 2.0]), G, witness) > 0).all()
    # the wedge x >= |y|: (0, 1) -> (1/2, 1/2)
    wedge = np.array([[1.0, 1.0], [1.0, -1.0]])
    np.testing.assert_allclose(into_cone(np.array([0.0, 1.0]), wedge, np.array([1.0, 0.0])), [0.5, 0.5], atol=1e-13)


def test_a_cone_without_interior_gets_its_nearest_point():
    # y >= 0 and -y >= 0: the line y = 0
    G, none = np.array([[0.0, 1.0], [0.0, -1.0]]), np.full(2, np.nan)
    np.testing.assert_allclose(into_cone(np.array([3.0, -4.0]), G, none), [3, 0], atol=1e-14)


def test_zero_rows_do_not_matter():
    G = np.array([[0.0, 0.0], [1.0, 0.0]])
    point = into_cone(np.array([-1.0, 2.0]), G, np.array([1.0, 0.0]))
    np.testing.assert_allclose(point, [0, 2], atol=1e-13)
    assert point[0] > 0


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_at_extreme_scales(scale):
    G, witness = np.eye(2), np.array([1.0, 1.0]) / np.sqrt(2)
    point = into_cone(np.array([-1.0, 2.0]) * scale, G, witness)
    assert (point >= 0).all()
    np.testing.assert_allclose(point / scale, [0, 2], atol=1e-12)


@settings(max_examples=200)
@given(cones())
def test_without_a_witness_at_hand_the_result_is_as_good(cone):
    u, G, witness = cone
    if (np.abs(G @ witness) <= 1e-6 * np.linalg.norm(G, axis=1)).any():
        return  # a zero row, or a witness on the border
    point = into_cone(u, G, np.full_like(u, np.nan), search=lambda: witness)
    if np.linalg.norm(point) > 1e-13 * np.linalg.norm(u):  # else the apex is nearest, and the block is zero
        assert (G @ point >= 0).all()
    assert np.linalg.norm(point - projection(u, G)) <= 1e-7 * np.linalg.norm(u)


def test_a_search_is_made_only_where_the_boundary_rows_do_not_say_which_way():
    rng, none = np.random.default_rng(0), np.full(30, np.nan)
    a = rng.standard_normal(30)
    X = rng.standard_normal((200, 30))
    G = np.sign(X @ a)[:, None] * X
    for u in a + 3 * rng.standard_normal((20, 30)):  # in general position: never
        assert (G @ into_cone(u, G, none) > 0).all()
    asked = []
    facet = G[(G @ a / np.linalg.norm(G, axis=1)).argmin()]
    thin = np.vstack([G, -facet])  # no interior: asked once, and the answer is the nearest point up to rounding
    point = into_cone(a, thin, none, search=lambda: asked.append(1) or none)
    assert len(asked) == 1
    assert (thin @ point).min() >= -1e-13 * np.linalg.norm(thin, axis=1).max() * np.linalg.norm(point)
