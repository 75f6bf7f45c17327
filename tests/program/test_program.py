import numpy as np
import pytest
from hypothesis import given

import relumodel as rm
from data_strategies import LOSS_AND_PENALTY, example, label, problems
from relumodel.functions.base import GroupNorm

# X = [[1], [-2]], both patterns: D = [[1, 0], [0, 1]]. With v = (3, -1), w = (0.5, 0):
#   prediction = D X (v - w) = (3 - 0.5, (-2)(-1)) = (2.5, 2);   y = (2, 0)
#   loss  1/2 (0.25 + 4) = 2.125 ("sum");   penalty  0.1 (3 + 1 + 0.5) = 0.45;   all cones hold
MODEL = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(reduction="sum"), rm.WeightDecay(0.1))
X, Y = [[1.0], [-2.0]], [2.0, 0.0]
PATTERNS = rm.GivenPatterns([[1, 0], [0, 1]])
POINT = np.array([3.0, -1.0, 0.5, 0.0])


@pytest.fixture
def program():
    return MODEL.compile(X, Y, patterns=PATTERNS)


def test_by_hand(program):
    assert (program.n_variables, program.n_constraints) == (4, 8)
    assert program.objective(POINT) == pytest.approx(2.575, rel=1e-15)
    assert program.violation(POINT) == 0
    # v_1 = -3 leaves its cone by 3 at x = 1 and by -(+1)(-2)(-3) = 6 at x = -2
    assert program.violation([-3, 0, 0, 0]) == 6
    assert [v.names() for v in program.variables] == [["v[0,0]", "v[1,0]"], ["w[0,0]", "w[1,0]"]]


def test_printed(program):
    assert str(program) == (
        "problem     minimise  sum_k 1/2 (f(x_k) - y_k)^2  +  0.1/2 sum_j ( |u_j|_2^2 + a_j^2 )\n"
        "            over neurons (u_j, a_j),  f(x) = sum_j max(0, x.u_j) a_j\n"
        "data        2 samples, 1 features\n"
        "patterns    2 given\n"
        "size        4 variables, 8 linear inequalities\n"
        "guarantee   upper bound: the optimum is attained by a network, so it bounds the non-convex optimum from above; "
        "patterns left out may lower it\n"
        "source      Bai et al. 2023, Algorithm 2.1"
    )
    assert repr(program) == "<Program: 4 variables, 8 inequalities, upper bound>"


def test_the_bias_is_said_in_print():
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(0.1))
    program = model.compile(X, Y, patterns=rm.EnumeratePatterns())
    assert "data        2 samples, 2 features with the ones column" in str(program)
    assert str(program.guarantee).startswith("exact: the optimum equals that of the non-convex training problem")


def test_patterns_are_read_only(program):
    np.testing.assert_array_equal(program.patterns, [[True, False], [False, True]])
    with pytest.raises(ValueError, match="read-only"):
        program.patterns[0, 0] = False


def test_terms_have_names(program):
    assert isinstance(program.term("penalty").function, GroupNorm)
    with pytest.raises(rm.InputError, match="no term 'robust'; it has loss, penalty, cones"):
        program.term("robust")


@pytest.mark.parametrize(
    ("point", "error", "message"),
    [
        ([1, 2, 3], rm.InputError, r"A point of this program has shape \(4,\); got \(3,\)"),
        ([[1, 2, 3, 4]], rm.InputError, r"shape \(4,\); got \(1, 4\)"),
        (1.0, rm.InputError, r"shape \(4,\); got \(\)"),
        ([1, 2, 3, float("nan")], rm.InputError, "The point holds NaN or infinite entries"),
        ([1, 2, 3, float("inf")], rm.InputError, "The point holds NaN or infinite entries"),
        ("abcd", rm.InputTypeError, "A point is a vector of 4 numbers; got str"),
        ([1, 2, 3, 1j], rm.InputTypeError, "A point is a vector of 4 numbers"),
        ([1, [2, 3], 4, 5], rm.InputTypeError, "A point is a vector of 4 numbers; got list"),
    ],
)
@pytest.mark.parametrize("method", ["objective", "violation", "point"])
def test_bad_points(program, method, point, error, message):
    with pytest.raises(error, match=message):
        getattr(program, method)(point)


def test_points_of_every_kind_of_number(program):
    for point in (POINT.tolist(), POINT.astype(np.float32), POINT.astype(object), POINT[::-1].copy()[::-1]):
        assert program.objective(point) == program.objective(POINT)


def test_a_program_does_not_change_with_the_callers_arrays():
    features, labels, patterns = np.array(X), np.array([-1.0, 1.0]), np.eye(2, dtype=bool)
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge(), rm.WeightDecay(0.1))
    program = model.compile(features, labels, patterns=rm.GivenPatterns(patterns))
    before = program.objective(POINT), program.conic().A.toarray()
    features *= 7
    labels *= -1
    patterns[:] = True
    assert program.objective(POINT) == before[0]
    np.testing.assert_array_equal(program.conic().A.toarray(), before[1])


@given(problems())
def test_kinds_are_those_of_the_conic_form(problem):
    model, X, y = problem
    program = model.compile(X, y, patterns=rm.EnumeratePatterns())
    assert program.kinds == program.conic().kinds


@pytest.mark.parametrize("model", LOSS_AND_PENALTY, ids=label)
def test_with_penalty_is_a_compile_with_that_penalty(model):
    X, y = example(model)
    program = model.compile(X, y, patterns=rm.EnumeratePatterns())
    changed = program.with_penalty(2.5)
    separate = rm.Model(model.network, model.loss, type(model.penalty)(2.5)).compile(X, y, rm.EnumeratePatterns())
    point = np.random.default_rng(0).standard_normal(program.n_variables)
    assert changed.model == separate.model
    assert str(changed) == str(separate)
    assert changed.objective(point) == separate.objective(point)
    for field in ("c", "b"):
        np.testing.assert_array_equal(getattr(changed.conic(), field), getattr(separate.conic(), field))
    assert (changed.conic().A != separate.conic().A).nnz == 0
    assert changed.inverse.model == changed.model
    assert program.model.penalty.beta == 0.05
    assert all(a.map is b.map for a, b in zip(program.terms, changed.terms, strict=True))


def test_with_penalty_checks_beta(program):
    with pytest.raises(rm.InputError, match="beta must be a finite number >= 0; got -1"):
        program.with_penalty(-1)
