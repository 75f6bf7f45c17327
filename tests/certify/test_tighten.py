import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given

import relumodel as rm
from data_strategies import MODELS, problems
from relumodel.certify.bound import gradients
from relumodel.certify.tighten import tighten
from relumodel.resources.deadline import limited

SELF_GATED = [m for m in MODELS if m.network.activation.self_gated]


def candidate(program, scale):
    """(q, rest): the loss gradient at zero, times a scale, random cone multipliers, and what is left for the penalty."""
    q = gradients(program, np.zeros(program.n_variables))
    q["loss"] *= scale
    q["cones"] = -np.abs(np.random.default_rng(0).standard_normal(len(q["cones"])))
    q.pop("penalty")
    return q, -sum(program.term(name).map.adjoint(v) for name, v in q.items())


@given(problems(models=SELF_GATED))
def test_never_larger_and_still_consistent(problem):
    model, X, y = problem
    program = model.compile(X, y, patterns=rm.EnumeratePatterns())
    penalty = program.term("penalty").function
    q, rest = candidate(program, 5.0)
    before = penalty.block_gauges(rest)
    better, left = tighten(program, q, rest)
    after = penalty.block_gauges(left)
    assert (after <= before).all()
    np.testing.assert_array_equal(after[before <= penalty.beta], before[before <= penalty.beta])
    assert (better["cones"] <= 0).all()
    np.testing.assert_array_equal(better["loss"], q["loss"])
    again = -sum(program.term(name).map.adjoint(v) for name, v in better.items())
    np.testing.assert_allclose(left, again, atol=1e-9 * (1 + np.abs(rest).max()))


@pytest.mark.parametrize("penalty", [rm.WeightDecay(0.01), rm.PathNorm(0.01)], ids=str)
def test_every_block_reaches_its_least_dual_norm(penalty):
    """min over a >= 0 of | g + G'a | in the dual norm of the penalty, block by block in CVXPY."""
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(reduction="sum"), penalty)
    X, y = np.random.default_rng(0).standard_normal((6, 2)), np.linspace(-3, 3, 6)
    program = model.compile(X, y, patterns=rm.SamplePatterns(3, seed=0))
    q, rest = candidate(program, 1.0)
    _, left = tighten(program, q, rest)
    reached = program.term("penalty").function.block_gauges(left)
    loss_part = -program.term("loss").map.adjoint(q["loss"]).reshape(6, 3)
    A, D = np.column_stack([X, np.ones(6)]), program.patterns
    for block, (g, gauge) in enumerate(zip(loss_part, reached, strict=True)):
        G = np.where(D[:, block % 3], 1.0, -1.0)[:, None] * A
        a = cp.Variable(6, nonneg=True)
        norm = cp.norm(g + G.T @ a, 2 if isinstance(penalty, rm.WeightDecay) else "inf")
        problem = cp.Problem(cp.Minimize(norm))
        problem.solve(solver="CLARABEL")
        assert gauge == pytest.approx(problem.value, abs=1e-6)


def test_gated_networks_have_nothing_to_tighten():
    model = rm.Model(rm.TwoLayer(rm.GatedReLU()), rm.Squared(), rm.WeightDecay(0.01))
    program = model.compile([[1.0], [-1.0]], [1.0, 2.0], patterns=rm.EnumeratePatterns())
    q, rest = {"loss": np.array([1.0, 2.0])}, np.array([3.0, 4.0])
    assert tighten(program, q, rest) == (q, pytest.approx(rest))


def test_a_deadline_leaves_the_blocks_as_they_are():
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(1e-3))
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 2)), rng.standard_normal(20)
    program = model.compile(X, y, patterns=rm.SamplePatterns(5, seed=0))
    q, rest = candidate(program, 5.0)
    with limited(0.0):
        late, left = tighten(program, q, rest)
    np.testing.assert_array_equal(late["cones"], q["cones"])
    np.testing.assert_array_equal(left, rest)
    assert not np.array_equal(tighten(program, q, rest)[1], rest)
