"""The factored descent: the same optimum as Clarabel's, proved by the same certificate, and the manners of a backend."""

import numpy as np
import pytest

import data_strategies as ds
import relumodel as rm
from relumodel.backend import many_matrices
from relumodel.testing import check_backend
from relumodel_descent.backend import DescentBackend, Envelope, RoundedSides


def compiled(loss, perturbation=None, n=15):
    model = rm.Model(rm.TwoLayer(rm.Polynomial(), True), loss, rm.WeightDecay(0.02), perturbation=perturbation)
    return model.compile(*ds.example(model, n=n))


@pytest.mark.parametrize("perturbation", [None, rm.L2(0.3), rm.LInf(0.1)], ids=str)
@pytest.mark.parametrize("loss", ds.LOSSES[::2], ids=str)
def test_it_comes_to_the_optimum_with_a_proof(loss, perturbation):
    program = compiled(loss, perturbation, n=8)
    best = program.solve(backend="clarabel")
    tol = 1e-3 if perturbation is None else 1e-1 if isinstance(loss, rm.Absolute) else 1e-2
    found = program.solve(backend=DescentBackend(), tol=tol)
    assert found.status == "optimal"
    assert found.bound <= best.objective * (1 + 1e-9)
    assert best.bound * (1 - 1e-9) <= found.objective <= best.objective * (1 + tol)
    assert found.violation <= 1e-12


def test_a_tighter_gap_takes_longer_and_is_reached():
    program = compiled(rm.Logistic())
    loose, tight = (program.solve(backend=DescentBackend(), tol=tol) for tol in (1e-2, 1e-5))
    assert tight.gap <= 1e-5
    assert tight.iterations > loose.iterations


def test_the_conformance_kit():
    report = check_backend(DescentBackend())
    passed = {outcome.name for outcome in report.passed}
    assert {"polynomial", "perturbed_polynomial", "dual_stationary", "dual_value", "honest_status", "quiet"} <= passed


def test_other_programs_are_declined():
    model = rm.Model(rm.TwoLayer(rm.ReLU(), True), rm.Hinge(), rm.PathNorm(0.02))
    program = model.compile(*ds.example(model), patterns=rm.SamplePatterns(3, seed=0))
    with pytest.raises(rm.BackendError, match="it takes programs of polynomial networks only"):
        program.solve(backend=DescentBackend())


@pytest.mark.parametrize("after", [1, 30])
def test_a_callback_stops_it_with_a_feasible_point_and_a_bound(after):
    seen = []
    program = compiled(rm.Hinge(), rm.L2(0.3))
    solution = program.solve(backend=DescentBackend(), tol=1e-9, callback=lambda line: seen.append(line) or len(seen) >= after)
    assert solution.status == "interrupted"
    assert len(seen) == after
    assert solution.violation <= 1e-12
    assert solution.bound <= program.solve(backend="clarabel").objective


def test_one_neuron_a_sign_is_too_few_and_the_bound_says_so():
    narrow = compiled(rm.Squared()).solve(backend=DescentBackend(), tol=1e-4, width=1)
    full = compiled(rm.Squared()).solve(backend=DescentBackend(), tol=1e-4)
    assert full.status == "optimal"
    assert narrow.network().n_neurons <= 2
    assert narrow.objective >= full.bound


@pytest.mark.parametrize("loss", ds.LOSSES[::2], ids=str)
def test_the_envelope_is_below_by_at_most_its_width(loss):
    s, mu = np.linspace(-4, 4, 201), 0.1
    smooth = Envelope(loss, mu)
    gap = loss.value(s) - smooth.value(s)
    assert (gap >= -1e-12).all()
    assert (gap <= mu * loss.slope(s) ** 2 / 2 + 1e-12).all()
    numeric = (smooth.value(s + 1e-6) - smooth.value(s - 1e-6)) / 2e-6
    np.testing.assert_allclose(smooth.slope(s), numeric, atol=1e-5)


def test_auto_leaves_large_robust_programs_to_it():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((12, 24)), np.where(np.arange(12) % 2 == 0, 1.0, -1.0)
    model = rm.Model(rm.TwoLayer(rm.Polynomial(), True), rm.Hinge(), rm.WeightDecay(0.02), perturbation=rm.L2(0.5))
    solution = model.compile(X, y).solve(tol=0.1)
    assert (solution.backend, solution.status) == ("descent", "optimal")
    small = model.compile(X[:, :3], y).solve(tol=1e-2)
    assert (small.backend, small.status) == ("clarabel", "optimal")
    clean = rm.Model(model.network, model.loss, model.penalty).compile(X, y)
    assert not many_matrices(clean)


def test_rounded_sides_have_the_gradient_of_their_value():
    program = compiled(rm.Huber(0.5), rm.L2(0.3))
    loss = program.term("loss")
    smooth = RoundedSides(loss.function.clean, loss.function.samples, loss.function.signs, loss.function.p, 0.05)
    rng = np.random.default_rng(0)
    point, step = rng.standard_normal((2, program.n_variables))
    z, dz = loss.map.forward(point), loss.map.forward(step)
    numeric = (smooth.value(z + 1e-6 * dz) - smooth.value(z - 1e-6 * dz)) / 2e-6
    assert smooth.gradient(z) @ dz == pytest.approx(numeric, rel=1e-5)
    assert loss.function.value(z) <= smooth.value(z) <= loss.function.value(z) + 0.5 * 0.05 * np.log(2) + 1e-12
