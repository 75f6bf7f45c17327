"""What is particular to ECOS, SCS and HiGHS."""

import dataclasses

import numpy as np
import pytest

import relumodel as rm
from data_strategies import example
from relumodel.solve import registry

CONIC = ["clarabel", "ecos", "scs", "highs"]


def compiled(loss=None, penalty=None, **sizes):
    model = rm.Model(rm.TwoLayer(rm.ReLU(), True), loss or rm.Hinge(), penalty or rm.PathNorm(0.01))
    return model.compile(*example(model, **{"n": 20, "d": 3, **sizes}), patterns=rm.SamplePatterns(10, seed=0))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("clarabel", {"max_iter": 2}),
        ("ecos", {"max_iters": 2}),
        ("scs", {"max_iters": 20}),
        ("highs", {"simplex_iteration_limit": 5, "solver": "simplex"}),
        ("highs", {"ipm_iteration_limit": 2, "run_crossover": "off"}),
    ],
)
def test_iteration_limits_are_kept_and_said(name, options):
    program = compiled()
    raw = registry.find(name).solve(program.conic(), rm.Options(extra=options))
    assert raw.status == "iteration limit"
    assert 0 < raw.iterations <= next(iter(options.values()))
    solution = program.solve(backend=name, **options)
    assert solution.status == "tolerance not reached"
    assert solution.bound <= program.solve().objective


@pytest.mark.parametrize("name", CONIC)
def test_verbose_solvers_speak(name, capfd):
    compiled().solve(backend=name, verbose="solver")
    spoken = capfd.readouterr().out
    assert {"clarabel": "Clarabel", "ecos": "ECOS", "scs": "SCS", "highs": "HiGHS"}[name] in spoken
    compiled().solve(backend=name)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", CONIC)
def test_tolerances_can_be_set(name):
    names = {
        "clarabel": {},
        "ecos": {"abstol": 1e-3, "reltol": 1e-3, "feastol": 1e-3},
        "scs": {"eps_abs": 1e-3, "eps_rel": 1e-3},
        "highs": {"ipm_optimality_tolerance": 1e-3, "run_crossover": "off"},
    }
    sharp, loose = compiled().solve(backend=name), compiled().solve(backend=name, **names[name])
    assert loose.iterations <= sharp.iterations
    assert sharp.gap <= 1e-6


@pytest.mark.parametrize("start", [0.0, 1.0, 1e3])
def test_scs_starts_from_any_point(start):
    program = compiled(rm.Squared(), rm.WeightDecay(0.01))
    solution = program.solve(backend="scs", warm_start=np.full(program.n_variables, start))
    assert solution.status == "optimal"
    again = program.solve(backend="scs", warm_start=solution)
    assert again.objective == pytest.approx(solution.objective, rel=1e-6)
    assert again.objective <= solution.objective


def test_scs_stretches_go_on_where_they_stopped():
    """A solve in stretches reaches the tolerance; its history has a line for each of them."""
    solution = compiled(rm.Squared(), rm.WeightDecay(0.001), n=40).solve(backend="scs")
    assert solution.status == "optimal"
    assert len(solution.history) == -(-solution.iterations // 151)
    assert solution.history[-1].iteration == solution.iterations


def test_highs_refuses_values_it_does_not_know(capfd):
    with pytest.raises(rm.InputError, match="HiGHS refuses solver='gurobi'"):
        compiled().solve(backend="highs", solver="gurobi")


def test_highs_linear_solvers_are_refused_quadratic_objectives():
    """Some versions would solve without the quadratic part."""
    program = compiled(rm.Squared())
    assert program.solve(backend="highs", solver="choose").status == "optimal"
    with pytest.raises(rm.InputError, match="HiGHS's solver='ipm' is for linear programs; this one has a quadratic objective"):
        program.solve(backend="highs", solver="ipm")


@pytest.mark.parametrize("solver", ["ipm", "simplex", "choose", "pdlp"])
def test_highs_solvers(solver):
    program = compiled()
    solution = program.solve(backend="highs", solver=solver, tol=1e-4)
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(program.solve().objective, rel=1e-4)


@pytest.mark.parametrize("name", CONIC)
def test_forms_with_one_kind_of_cone_only(name):
    """No equations, or nothing but equations: the empty parts are left out as each solver wants it."""
    backend = registry.find(name)
    form = compiled().conic()
    only = form.rows("nonnegative")
    bounded = dataclasses.replace(
        form, A=form.A[only], b=form.b[only], cones=tuple(c for c in form.cones if c.kind == "nonnegative")
    )
    raw = backend.solve(bounded, rm.Options())
    assert raw.status == "solved"
    np.testing.assert_allclose(bounded.c + bounded.A.T @ raw.dual, 0, atol=1e-5)


def test_numbers_that_overflow_in_scs_are_a_failure_not_an_exception():
    form = compiled().conic()
    with np.errstate(all="ignore"):
        raw = registry.find("scs").solve(dataclasses.replace(form, A=form.A * 1e308), rm.Options())
    assert raw.status == "failed"
    assert "SCS could not set the problem up" in raw.message
