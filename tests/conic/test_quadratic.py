import dataclasses

import clarabel
import numpy as np
import pytest
from scipy import sparse

import relumodel as rm
from data_strategies import LOSS_AND_PENALTY, example, label
from reference import CONES, minimum_over_cones
from relumodel.conic.quadratic import quadratic_to_cone

QUADRATIC = [m for m in LOSS_AND_PENALTY if type(m.loss) in (rm.Squared, rm.SquaredHinge, rm.Huber)]


@pytest.mark.parametrize("model", QUADRATIC, ids=label)
def test_the_optimum_stays_and_so_do_its_certificates(model):
    """Solved without the quadratic: same optimum, and x and z brought back meet the KKT conditions of the original."""
    form = model.compile(*example(model), patterns=rm.SamplePatterns(3, seed=0)).conic()
    linear, undo_x, undo_z = quadratic_to_cone(form)
    assert "quadratic" in form.kinds
    assert linear.kinds == form.kinds - {"quadratic"} | {"second-order"}
    assert len(linear.names) == len(linear.c)
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    cones = [CONES[c.kind](c.size) for c in linear.cones]
    P, A = sparse.csc_matrix(linear.P), sparse.csc_matrix(linear.A)
    answer = clarabel.DefaultSolver(P, linear.c, A, linear.b, cones, settings).solve()
    x, z = undo_x(np.array(answer.x)), undo_z(np.array(answer.z))
    assert form.objective(x) == pytest.approx(minimum_over_cones(form.P, form.c, form.A, form.b, form.cones), abs=1e-6)
    assert form.violation(x) < 1e-6
    np.testing.assert_allclose(form.P @ x + form.c + form.A.T @ z, 0, atol=1e-3)
    assert abs(z @ (form.b - form.A @ x)) < 1e-3


def test_the_value_of_the_new_variable_is_the_quadratic():
    """At any x, w = 1/2 x'Px is the least that the new cone allows."""
    form = QUADRATIC[0].compile(*example(QUADRATIC[0]), patterns=rm.SamplePatterns(3, seed=0)).conic()
    linear, *_ = quadratic_to_cone(form)
    x = np.random.default_rng(0).standard_normal(len(form.c))
    w = 0.5 * x @ (form.P @ x)
    assert linear.objective(np.append(x, w)) == pytest.approx(form.objective(x))
    own = linear.sizes("second-order")[-1]
    s = (linear.b - linear.A @ np.append(x, w))[linear.rows("second-order")][-own:]
    assert s[0] == pytest.approx(np.linalg.norm(s[1:]))


def test_duals_after_the_new_cone_are_kept():
    """Exponential cones stand after the second-order ones, so the new cone comes between."""
    cones = (rm.Cone("nonnegative", 1), rm.Cone("exponential", 3))
    A, b = sparse.csc_array(np.ones((4, 2))), np.arange(4.0)
    form = rm.ConicForm(sparse.csc_array(np.diag([1.0, 4.0])), np.ones(2), A, b, cones, 0.5, ("x", "y"))
    linear, undo_x, undo_z = quadratic_to_cone(form)
    assert linear.cones == (cones[0], rm.Cone("second-order", 4), cones[1])
    np.testing.assert_array_equal(linear.b, [0, 0.5, -0.5, 0, 0, 1, 2, 3])
    np.testing.assert_array_equal(undo_z(linear.b), b)
    np.testing.assert_array_equal(undo_x(np.array([7.0, 8.0, 9.0])), [7, 8])
    assert (linear.offset, linear.kinds) == (0.5, {"nonnegative", "second-order", "exponential"})


def test_only_diagonal_quadratics():
    form = QUADRATIC[0].compile(*example(QUADRATIC[0]), patterns=rm.SamplePatterns(3, seed=0)).conic()
    N = len(form.c)
    with pytest.raises(rm.InputError, match="Only a diagonal quadratic objective"):
        quadratic_to_cone(dataclasses.replace(form, P=sparse.csc_array(np.ones((N, N)))))
