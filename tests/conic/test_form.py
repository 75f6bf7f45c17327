import numpy as np
import pytest
from scipy import sparse

from relumodel.conic.form import Cone, ConicForm


def form(A, b, cones, P=None, c=None, offset=0.0):
    A = sparse.csc_array(np.asarray(A, dtype=float))
    N = A.shape[1]
    P = sparse.csc_array((N, N)) if P is None else sparse.csc_array(np.asarray(P, dtype=float))
    c = np.zeros(N) if c is None else np.asarray(c, dtype=float)
    return ConicForm(P, c, A, np.asarray(b, dtype=float), tuple(cones), offset, tuple(f"x{i}" for i in range(N)))


ALL = form(
    np.zeros((13, 1)),
    np.zeros(13),
    [Cone("zero", 2), Cone("nonnegative", 2), *[Cone("second-order", 3)] * 2, Cone("exponential", 3)],
)


def test_objective_by_hand():
    # 1/2 (2 * 9 + 4) + (3 - 2) + 10
    assert form([[0, 0]], [0], [Cone("zero", 1)], P=np.diag([2, 1]), c=[1, -1], offset=10).objective(np.array([3.0, 2.0])) == 22


def test_rows_and_sizes():
    assert [ALL.rows(k) for k in ("zero", "nonnegative", "second-order", "exponential")] == [
        slice(0, 2),
        slice(2, 4),
        slice(4, 10),
        slice(10, 13),
    ]
    assert ALL.sizes("second-order") == [3, 3]
    assert ALL.kinds == {"zero", "nonnegative", "second-order", "exponential"}
    assert repr(ALL) == (
        "<ConicForm: 1 variables, 13 rows, 0 coefficients, cones: 1 zero, 1 nonnegative, 2 second-order, 1 exponential>"
    )


def test_a_quadratic_objective_is_a_kind():
    assert form([[1]], [0], [Cone("nonnegative", 1)], P=[[1]]).kinds == {"nonnegative", "quadratic"}
    assert form([[1]], [0], [Cone("nonnegative", 1)]).kinds == {"nonnegative"}


@pytest.mark.parametrize(
    ("cones", "s", "violation"),
    [
        ([Cone("zero", 2)], [0.5, -2], 2),
        ([Cone("zero", 2)], [0, 0], 0),
        ([Cone("nonnegative", 2)], [1, -0.25], 0.25),
        ([Cone("nonnegative", 2)], [1, 0], 0),
        ([Cone("second-order", 3)], [5, 3, 4], 0),  # |(3, 4)| = 5
        ([Cone("second-order", 3)], [4, 3, 4], 1),
        ([Cone("second-order", 3)], [-1, 0, 0], 1),
        ([Cone("second-order", 1), Cone("second-order", 2)], [-3, 1, 2], 3),
        ([Cone("zero", 1), Cone("nonnegative", 1), Cone("second-order", 2)], [0.1, -0.2, 1, 1.3], 0.3),
        ([Cone("exponential", 3)], [0, 1, 1], 0),  # 1 exp(0) <= 1
        ([Cone("exponential", 3)], [1, 1, np.e - 0.5], 0.5),
        ([Cone("exponential", 3)], [2, 2, 2 * np.e], 0),  # 2 exp(1) <= 2 e
        ([Cone("exponential", 3)], [-1, 0, 0], 0),  # the face y = 0, x <= 0, z >= 0
        ([Cone("exponential", 3)], [0.5, 0, 0], 0.5),
        ([Cone("exponential", 3)], [-1, -0.75, 1], 0.75),
        ([Cone("exponential", 3), Cone("exponential", 3)], [0, 1, 1, 0, 1, 0], 1),
    ],
)
def test_violation_by_hand(cones, s, violation):
    """s = b - A x with A = 0."""
    size = len(s)
    assert form(np.zeros((size, 1)), s, cones).violation(np.zeros(1)) == pytest.approx(violation, abs=1e-12)


def test_violation_of_a_point():
    # 1 - 3 x >= 0 at x = 2
    assert form([[3]], [1], [Cone("nonnegative", 1)]).violation(np.array([2.0])) == 5


def test_violation_is_finite_far_out():
    assert form(np.zeros((3, 1)), [1e5, 1, 1], [Cone("exponential", 3)]).violation(np.zeros(1)) > 1e300
