"""The same small programs through every backend that can take them: they agree with each other and with the paper's formulation."""

import numpy as np
import pytest

import relumodel as rm
from data_strategies import COVERING, example, label
from reference import optimum
from relumodel.solve import registry
from relumodel.solve.solution import Solution

#: but the one for polynomial networks alone, and the one that does the iterations of admm elsewhere
OTHERS = ("descent", "torch")
AVAILABLE = [info.name for info in rm.backends() if info.available and info.name not in OTHERS]
PATTERNS = rm.SamplePatterns(4, seed=1)


def able(program):
    """The names of the backends that have the program's cones."""
    return [name for name in registry.able(program) if name != "torch"]


def solved(program, name, **options) -> Solution:
    """The solution, with what must hold of it whatever the backend did."""
    solution = program.solve(backend=name, **options)
    assert solution.backend == name
    assert solution.violation == 0
    assert solution.bound <= solution.objective * (1 + 1e-12)
    assert solution.objective == program.objective(solution.point)
    return solution


@pytest.mark.parametrize("model", COVERING, ids=label)
def test_every_backend_finds_the_optimum(model):
    X, y = example(model)
    program = model.compile(X, y, patterns=PATTERNS)
    best = optimum(model, X, y, program.patterns)
    names = able(program)
    assert {"admm", "clarabel", "ecos", "scs", "cvxpy"} <= set(names)
    assert ("highs" in names) == (type(model.penalty) is rm.PathNorm and type(model.loss) is not rm.Logistic)
    for name in names:
        solution = solved(program, name)
        assert solution.status == "optimal", (name, solution.message)
        assert solution.objective == pytest.approx(best, rel=3e-6), name
        assert solution.bound <= best * (1 + 1e-7)
        assert solution.network().objective(model, X, y) == pytest.approx(solution.objective, rel=1e-9)


PERTURBED = [
    rm.Model(rm.TwoLayer(rm.ReLU(), True), loss, rm.WeightDecay(0.05), perturbation, robust)
    for loss, perturbation in ((rm.Hinge(), rm.LInf(0.05)), (rm.Squared(), rm.L2(0.05)), (rm.Logistic(), rm.L1(0.1)))
    for robust in ("strict", "crossing")
]


@pytest.mark.parametrize("model", PERTURBED, ids=lambda m: f"{type(m.loss).__name__}-{type(m.perturbation).__name__}-{m.robust}")
def test_perturbed_programs_agree(model):
    program = model.compile(*example(model, n=5), patterns=rm.SamplePatterns(2, seed=0))
    best, *others = [solved(program, name) for name in able(program) if name != "admm"]
    assert len(others) >= 3
    for solution in (best, *others):
        assert solution.gap <= 1e-5
        assert solution.objective == pytest.approx(best.objective, rel=1e-5)
    # the proximal maps of the native engine find roots here, and nested ones for crossing programs of residual losses: it is asked for less
    if model.robust == "strict" or model.loss.reads == "margin":
        native = solved(program, "admm", tol=1e-2)
        assert native.status == "optimal"
        assert native.bound <= best.objective * (1 + 1e-8)
        assert best.bound <= native.objective * (1 + 1e-8)


@pytest.mark.parametrize("name", AVAILABLE)
@pytest.mark.parametrize("beta", [1e-6, 1e-3, 10.0])
def test_penalties_of_any_size(name, beta):
    """Tiny penalties are where absolute tolerances of solvers stop meaning anything."""
    model = rm.Model(rm.TwoLayer(rm.ReLU(), True), rm.Hinge(), rm.PathNorm(beta))
    program = model.compile(*example(model), patterns=rm.SamplePatterns(4, seed=0))
    if name in able(program):
        solution = solved(program, name)
        assert solution.objective == pytest.approx(program.solve().objective, rel=1e-5)
        assert solution.gap <= 1e-5


@pytest.mark.parametrize("name", AVAILABLE)
def test_a_looser_tolerance_is_met(name):
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge(), rm.PathNorm(0.05))
    solution = solved(model.compile(*example(model, n=20), patterns=PATTERNS), name, tol=1e-3)
    assert solution.gap <= 1e-3


@pytest.mark.parametrize("name", AVAILABLE)
def test_the_same_call_gives_the_same_answer(name):
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Absolute(), rm.PathNorm(0.05))
    program = model.compile(*example(model, n=20), patterns=PATTERNS)
    first, second = program.solve(backend=name), program.solve(backend=name)
    np.testing.assert_array_equal(first.point, second.point)
    assert first.iterations == second.iterations
