import dataclasses

import pytest

import relumodel as rm
from relumodel.solve.solution import STATUSES


@pytest.fixture(scope="module")
def solution():
    # optimum 0.875, see tests/lowering
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(0.5))
    return model.compile([[1.0]], [2.0], patterns=rm.EnumeratePatterns()).solve()


def shown(solution, **changes):
    fixed = {"objective": 0.875, "bound": 0.8749999, "gap": 1.142857e-7, "violation": 0.0, "iterations": 9, "time": 0.256}
    return dataclasses.replace(solution, **{"status": "optimal", "backend": "clarabel", "message": "", **fixed, **changes})


def test_printed(solution):
    assert str(shown(solution, message="Clarabel: Solved")) == (
        "status      optimal\n"
        "objective   0.875\n"
        "bound       0.8749999\n"
        "gap         1.14e-07 (wanted 1e-06)\n"
        "violation   0.00e+00\n"
        "backend     clarabel, 9 iterations\n"
        "time        0.26 s\n"
        "message     Clarabel: Solved"
    )
    assert repr(shown(solution)) == "<Solution: optimal, objective 0.875, gap 1.14e-07, backend clarabel>"


def test_what_is_unknown_is_not_printed(solution):
    text = str(shown(solution, iterations=None))
    assert "iterations" not in text
    assert "message" not in text


def test_what_a_solution_holds(solution):
    assert solution.status in STATUSES
    assert solution.point.shape == (solution.program.n_variables,)
    assert {name: len(q) for name, q in solution.dual.items()} == {"loss": 1, "penalty": 4, "cones": 4}
    assert solution.gap == pytest.approx((solution.objective - solution.bound) / solution.objective)
    assert solution.iterations == solution.history[-1].iteration
    assert solution.time > 0


def test_an_infeasible_program_has_no_network(solution):
    with pytest.raises(rm.BackendError, match="There is no network: the program is infeasible"):
        dataclasses.replace(solution, status="infeasible").network()
    assert solution.network().n_neurons == 1
