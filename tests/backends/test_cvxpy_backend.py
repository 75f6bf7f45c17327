"""CVXPY: one compilation for a path and for new targets, any solver it has, and nothing kept alive."""

import dataclasses
import gc
import re
import weakref

import cvxpy as cp
import numpy as np
import pytest
from cvxpy.reductions.dcp2cone.cone_matrix_stuffing import ConeMatrixStuffing
from scipy.sparse.linalg import ArpackNoConvergence

import relumodel as rm
from data_strategies import LOSS_AND_PENALTY, example, label, targets
from relumodel.functions.base import SampleLoss
from relumodel.program.program import Term
from relumodel_cvxpy.backend import CvxpyBackend
from relumodel_cvxpy.cache import SIZE


@pytest.fixture
def backend():
    return CvxpyBackend()


@pytest.fixture
def compilations(monkeypatch):
    """One entry each time CVXPY turns a problem into matrices."""
    seen = []
    real = ConeMatrixStuffing.apply
    monkeypatch.setattr(ConeMatrixStuffing, "apply", lambda self, problem: seen.append(problem) or real(self, problem))
    return seen


def compiled(model, seed=0, n=12):
    return model.compile(*example(model, n=n, seed=seed), patterns=rm.SamplePatterns(5, seed=0))


def retargeted(program, y):
    """The program with other targets on the same linear maps."""
    loss = SampleLoss.bind(program.model.loss, y)
    terms = tuple(Term(t.name, loss, t.map) if t.name == "loss" else t for t in program.terms)
    return dataclasses.replace(program, terms=terms)


MODELS = LOSS_AND_PENALTY


@pytest.mark.parametrize("model", MODELS, ids=label)
def test_a_path_compiles_once(model, backend, compilations):
    X, y = example(model, n=12)
    betas = [0.3, 0.1, 0.03, 0.01]
    solutions = rm.path(model, X, y, betas=betas, patterns=rm.SamplePatterns(5, seed=0), backend=backend)
    assert len(compilations) == 1
    for solution in solutions:
        assert solution.status == "optimal"
        assert solution.objective == pytest.approx(solution.program.solve(backend="clarabel").objective, rel=3e-6)


@pytest.mark.parametrize("model", MODELS, ids=label)
def test_new_targets_compile_nothing(model, backend, compilations):
    program = compiled(model)
    for seed in range(4):
        y = targets(model.loss, 12, seed)
        other = retargeted(program, y)
        solution = other.solve(backend=backend)
        assert solution.status == "optimal"
        assert solution.objective == pytest.approx(other.solve(backend="clarabel").objective, rel=3e-6)
    assert len(compilations) == 1


def test_another_structure_compiles_anew(backend, compilations):
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Huber(0.5), rm.WeightDecay(0.05))
    program = compiled(model)
    program.solve(backend=backend)
    loss = program.term("loss")
    squared = dataclasses.replace(loss.function, loss=rm.Squared())
    dataclasses.replace(program, terms=(dataclasses.replace(loss, function=squared), *program.terms[1:])).solve(backend=backend)
    compiled(model, seed=1).solve(backend=backend)
    assert len(compilations) == 3
    program.solve(backend=backend)
    assert len(compilations) == 3  # the first is still there


def test_unequal_weights_are_not_taken_for_equal_ones(backend):
    """Equal numbers are one parameter; the key of the cache knows the difference."""
    program = compiled(rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(0.05)))
    loss = program.term("loss")
    for weights in (loss.function.weights, np.linspace(0.01, 0.2, 12), np.linspace(0.2, 0.01, 12)):
        term = dataclasses.replace(loss, function=dataclasses.replace(loss.function, weights=weights))
        other = dataclasses.replace(program, terms=(term, *program.terms[1:]))
        assert other.solve(backend=backend).objective == pytest.approx(other.solve(backend="clarabel").objective, rel=3e-6)


def test_compiled_problems_go_with_their_data(backend):
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(0.05))
    program = compiled(model)
    program.solve(backend=backend)
    data = weakref.ref(program.term("loss").map.X)
    assert len(backend._compiled) == 1
    del program
    gc.collect()
    assert data() is None
    assert len(backend._compiled) == 0


def test_few_compiled_problems_are_kept(backend):
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(0.05))
    programs = [compiled(model, seed) for seed in range(SIZE + 2)]
    for program in programs:
        program.solve(backend=backend)
    assert len(backend._compiled) == SIZE


@pytest.mark.parametrize("solver", ["CLARABEL", "SCS", "ECOS", "HIGHS", "OSQP", "clarabel"])
def test_solvers(solver, backend):
    program = compiled(rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.PathNorm(0.05)))
    solution = program.solve(backend=backend, solver=solver, tol=1e-5)
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(program.solve().objective, rel=1e-5)
    assert f"CVXPY with {solver.upper()}: optimal" in solution.message
    assert solution.iterations > 0


def test_errors_say_what_is_allowed(backend):
    program = compiled(rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge(), rm.WeightDecay(0.05)))
    for given in ("GUROBIX", 3, None):
        with pytest.raises(rm.InputError, match=f"CVXPY has no solver {given!r} here; installed are .*CLARABEL"):
            program.solve(backend=backend, solver=given)
    with pytest.raises(rm.BackendError, match="CVXPY's OSQP cannot take this program"):
        program.solve(backend=backend, solver="OSQP")
    with pytest.raises(rm.BackendError, match=r"CVXPY's ECOS has no time limit that relumodel knows of; .* one of CLARABEL, "):
        program.solve(backend=backend, solver="ECOS", time_limit=10)
    with pytest.raises(rm.InputError, match="solver_options must be a dictionary; got 7"):
        program.solve(backend=backend, solver_options=7)
    with pytest.raises(rm.InputError, match=r"CVXPY's CLARABEL refuses the solver_options \{'max_iters': 3\}"):
        program.solve(backend=backend, solver_options={"max_iters": 3})


@pytest.mark.parametrize("where", ["get_problem_data", "unpack_results"])
@pytest.mark.parametrize(
    "error", [ArpackNoConvergence("no convergence (9 iterations)", [], []), RuntimeError("licence expired"), OSError()]
)
def test_errors_of_solvers_keep_their_words(where, error, backend, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(cp.Problem, where, fail)
    program = compiled(rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge(), rm.WeightDecay(0.05)))
    words = str(error) or "no message"
    with pytest.raises(
        rm.BackendError, match=rf"CVXPY's CLARABEL failed with {type(error).__name__}: {re.escape(words)}.*another solver="
    ):
        program.solve(backend=backend)


def test_solver_options_are_passed_on_and_warnings_kept(backend):
    program = compiled(rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge(), rm.WeightDecay(0.05)))
    solution = program.solve(backend=backend, solver_options={"max_iter": 3})
    assert solution.iterations == 3
    assert solution.status == "tolerance not reached"
    assert "Solution may be inaccurate" in solution.message


def test_a_failed_solve_does_not_return_the_answer_before(backend, monkeypatch):
    program = compiled(rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge(), rm.WeightDecay(0.05)))
    assert program.solve(backend=backend, solver="ECOS").status == "optimal"
    raw = backend.solve(program, rm.Options(extra={"solver": "ECOS", "solver_options": {"max_iters": 1}}))
    assert raw.status != "solved"
    assert raw.x is None or program.objective(raw.x) > 0


def test_nothing_is_printed_unless_asked(backend, capfd):
    program = compiled(rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge(), rm.WeightDecay(0.05)))
    program.solve(backend=backend)
    assert capfd.readouterr() == ("", "")
    program.solve(backend=backend, verbose="solver")
    assert "Clarabel" in capfd.readouterr().out


def test_two_threads_share_a_compiled_problem(backend):
    """The numbers of one solve never mix with those of another."""
    from concurrent.futures import ThreadPoolExecutor

    program = compiled(rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(0.05)))
    betas = [0.01, 0.1] * 4
    alone = {beta: program.with_penalty(beta).solve(backend="clarabel").objective for beta in set(betas)}
    with ThreadPoolExecutor(2) as pool:
        raws = list(pool.map(lambda beta: backend.solve(program.with_penalty(beta), rm.Options()), betas))
    for beta, raw in zip(betas, raws, strict=True):
        assert raw.objective == pytest.approx(alone[beta], rel=1e-5)
