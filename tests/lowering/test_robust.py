"""The robust programs against CVXPY models written down independently, and what must hold between programs."""

import os
import re
import resource
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import relumodel as rm
from data_strategies import example, matrices, targets
from pairwise import pairwise
from robust_reference import crossing_optimum, strict_optimum

LOSSES = [rm.Hinge(), rm.SquaredHinge(), rm.Logistic(), rm.Squared(), rm.Absolute(), rm.Huber(0.3)]
SETS = [rm.LInf((0.2, 0.1)), rm.L2(0.2), rm.L1(0.3, fixed=(0,))]
ACTIVATIONS = [rm.ReLU(), rm.LeakyReLU(0.2), rm.GatedReLU()]


def name(value):
    return type(value).__name__


def model_of(activation=None, loss=None, perturbation=None, robust="strict", bias=True, penalty=None):
    network = rm.TwoLayer(activation or rm.ReLU(), bias)
    return rm.Model(network, loss or rm.Hinge(), penalty or rm.WeightDecay(0.05), perturbation, robust)


def solved(model, X, y, patterns, tol=1e-7):
    solution = model.compile(X, y, patterns=patterns).solve(tol=tol)
    assert solution.status == "optimal"
    assert solution.bound <= solution.objective * (1 + 1e-12)
    assert solution.violation <= 1e-12
    return solution


@pytest.mark.parametrize(("activation", "perturbation", "loss"), pairwise(ACTIVATIONS, SETS, LOSSES), ids=name)
def test_strict_program_agrees_with_cvxpy(activation, perturbation, loss):
    model = model_of(activation, loss, perturbation)
    X, y = example(model, n=5)
    solution = solved(model, X, y, rm.SamplePatterns(4, seed=1))
    D = solution.program.patterns
    assert D.shape[1] >= 2
    assert solution.objective == pytest.approx(strict_optimum(model, X, y, D), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(("activation", "perturbation", "loss"), pairwise(ACTIVATIONS[:2], SETS, LOSSES), ids=name)
def test_crossing_program_agrees_with_cvxpy(activation, perturbation, loss):
    model = model_of(activation, loss, perturbation, robust="crossing")
    X, y = example(model, n=5)
    solution = solved(model, X, y, rm.SamplePatterns(2, seed=1))
    D = solution.program.patterns
    shares = np.broadcast_to(D.T, (2, 2, *D.T.shape))
    assert solution.objective == pytest.approx(crossing_optimum(model, X, y, shares), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("robust", ["strict", "crossing"])
@pytest.mark.parametrize("loss", [rm.Hinge(reduction="sum"), rm.Absolute()], ids=name)
def test_with_the_path_norm_and_without_a_bias(robust, loss):
    model = model_of(loss=loss, perturbation=rm.LInf(0.05), robust=robust, bias=False, penalty=rm.PathNorm(0.02))
    X = np.random.default_rng(0).uniform(0.5, 2, (5, 2))
    y = targets(loss, 5)
    solution = solved(model, X, y, rm.SamplePatterns(2, seed=0))
    D = solution.program.patterns
    shares = np.broadcast_to(D.T, (2, 2, *D.T.shape))
    expected = strict_optimum(model, X, y, D) if robust == "strict" else crossing_optimum(model, X, y, shares)
    assert solution.objective == pytest.approx(expected, rel=1e-6)
    assert "quadratic" not in solution.program.kinds
    assert "second-order" not in solution.program.kinds  # an LP, which plain MPS can hold


@pytest.mark.parametrize(("perturbation", "loss"), pairwise(SETS, LOSSES), ids=name)
def test_order_of_the_programs(perturbation, loss):
    """On the same patterns  clean <= crossing and strict,  crossing <= strict,  and a larger set costs more."""
    clean = model_of(loss=loss)
    X, y = example(clean, n=8, seed=3)
    small, large = model_of(loss=loss, perturbation=perturbation.scaled(0.3)), model_of(loss=loss, perturbation=perturbation)
    patterns = rm.GivenPatterns(large.compile(X, y, patterns=rm.SamplePatterns(12, seed=0)).patterns)
    crossing = model_of(loss=loss, perturbation=perturbation, robust="crossing")
    values = [solved(m, X, y, patterns).objective for m in (clean, small, large)]
    assert values[0] <= values[1] * (1 + 1e-6)
    assert values[1] <= values[2] * (1 + 1e-6)
    assert values[0] <= solved(crossing, X, y, patterns).objective * (1 + 1e-6) <= values[2] * (1 + 2e-6)


@pytest.mark.parametrize("robust", ["strict", "crossing"])
@pytest.mark.parametrize("perturbation", [rm.LInf(0.0), rm.L2((0.0, 0.0)), rm.L1(1.0, fixed=(0, 1))], ids=str)
def test_nothing_perturbed_is_the_clean_program(robust, perturbation):
    X, y = example(model_of())
    clean = model_of().compile(X, y, patterns=rm.SamplePatterns(5))
    program = model_of(perturbation=perturbation, robust=robust).compile(X, y, patterns=rm.SamplePatterns(5))
    a, b = clean.conic(), program.conic()
    np.testing.assert_array_equal(program.patterns, clean.patterns)
    np.testing.assert_array_equal(a.A.toarray(), b.A.toarray())
    assert program.guarantee == clean.guarantee


@settings(max_examples=25)
@given(matrices(rows=(2, 5)), st.sampled_from([*SETS[1:2], rm.LInf(0.3), rm.L1(0.4)]), st.sampled_from(LOSSES), st.data())
def test_on_degenerate_data_the_network_attains_the_objective(X, perturbation, loss, data):
    model = model_of(data.draw(st.sampled_from(ACTIVATIONS)), loss, perturbation, bias=data.draw(st.booleans()))
    y = targets(loss, len(X), 1)
    try:
        program = model.compile(X, y, patterns=rm.EnumeratePatterns())
    except rm.InputError:  # no cone, or two radii for one feature
        return
    solution = program.solve()
    assert solution.gap <= 1e-6
    assert solution.violation <= 1e-12
    assert solution.network().objective(model, X, y) == pytest.approx(solution.objective, rel=1e-9, abs=1e-12)


def test_dropped_patterns_are_counted():
    X, y = np.array([[-1.0], [-0.2], [0.2], [1.0]]), np.array([-1.0, 1, -1, 1])
    everything = rm.EnumeratePatterns()
    assert "dropped" not in str(model_of(perturbation=rm.LInf(0.1)).compile(X, y, patterns=everything))
    program = model_of(perturbation=rm.LInf(0.3)).compile(X, y, patterns=everything)  # the two in the middle overlap
    assert "all 8 patterns, enumerated (rank 2); 2 dropped, whose robust cone is {0}" in str(program)
    assert program.patterns.shape[1] == 6
    assert program.guarantee.kind == "upper bound"


def test_strategies_gain_the_uniform_patterns_but_given_ones_stay():
    X, y = example(model_of(), n=8, seed=1)
    sampled = rm.SamplePatterns(3, seed=5)
    clean = model_of().compile(X, y, patterns=sampled).patterns
    crossing = model_of(perturbation=rm.LInf(0.1), robust="crossing")
    program = crossing.compile(X, y, patterns=sampled)
    np.testing.assert_array_equal(program.patterns[:, :3], clean)
    np.testing.assert_array_equal(program.patterns[:, 3:], np.array([[1, 0]] * 8, dtype=bool))
    assert "3 sampled (seed 5), all-active and all-inactive" in str(program)
    np.testing.assert_array_equal(crossing.compile(X, y, patterns=rm.GivenPatterns(clean)).patterns, clean)
    strict = model_of(perturbation=rm.LInf(0.01)).compile(X, y, patterns=sampled)
    assert {True, False} <= {bool(column[0]) for column in strict.patterns.T if column.all() or not column.any()}


@pytest.mark.parametrize("perturbation", [rm.LInf(0.5), rm.L2(0.5), rm.L1(0.5)], ids=name)
@pytest.mark.parametrize("bias", [False, True])
def test_the_error_names_the_largest_radius(perturbation, bias):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((6, 3)) * 0.2, np.array([1.0, -1, 1, -1, 1, -1])
    D = X @ rng.standard_normal((3, 5)) >= 0  # never all-active, so that a bias does not save them

    def compiles(radius):
        model = model_of(perturbation=type(perturbation)(radius), bias=bias)
        try:
            model.compile(X, y, patterns=rm.GivenPatterns(D))
        except rm.InputError as error:
            return str(error)
        return None

    message = compiles(0.5)
    assert "robust cone of each of the 5 patterns is {0}" in message
    largest = float(re.search(r"largest radius that leaves one is ([0-9.e-]+)\.", message).group(1))
    low, high = 0.0, 0.5
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if compiles(middle) is None else (low, middle)
    assert largest == pytest.approx(low, rel=2e-3)
    assert compiles(largest) is None


def test_the_error_with_a_radius_per_feature_and_with_none_that_helps():
    X, y = np.array([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.5]]), np.array([1.0, -1, 1])
    model = model_of(perturbation=rm.LInf((5.0, 5.0)), bias=False)
    with pytest.raises(rm.InputError, match=r"the largest perturbation that leaves one is 0\.[0-9]+ times as large"):
        model.compile(X, y, patterns=rm.EnumeratePatterns())
    X[0] = 0  # perturbed, it is on both sides of every hyperplane
    with pytest.raises(rm.InputError, match=r"they are \{0\} at any radius"):
        model_of(perturbation=rm.LInf(1e-6), bias=False).compile(X, y, patterns=rm.EnumeratePatterns())


def test_a_zero_sample_allows_only_neurons_that_ignore_what_moves():
    X, y = np.array([[0.0, 0.0], [1.0, 1.0], [-1.0, 2.0], [0.5, -1.0]]), np.array([1.0, -1, 1, 1])
    model = model_of(perturbation=rm.LInf(0.1, fixed=1), bias=False)
    solution = solved(model, X, y, rm.EnumeratePatterns())
    network = solution.network()
    assert (network.hidden_weights[0] == 0).all()
    assert network.objective(model, X, y) == pytest.approx(solution.objective, rel=1e-9)


def test_gated_networks_have_no_crossing_program():
    model = model_of(rm.GatedReLU(), perturbation=rm.LInf(0.1), robust="crossing")
    X, y = example(model)
    with pytest.raises(rm.InputError, match="for a gated network use robust='strict'"):
        model.compile(X, y, patterns=rm.SamplePatterns(3))


def test_by_hand():
    """One feature, x = -1 and 1, no bias, radius 1/2: v and w of the pattern (0, 1) give the hinge 1 - v / 2 at x = 1 and 1 at
    x = -1; with beta = 1/8 a sum of max(0, 1 - v / 2) + v / 8 is least at v = 2."""
    model = model_of(loss=rm.Hinge(reduction="sum"), perturbation=rm.LInf(0.5), bias=False, penalty=rm.WeightDecay(0.125))
    solution = solved(model, [[-1.0], [1.0]], [-1.0, 1.0], rm.GivenPatterns(np.array([[0], [1]])))
    assert solution.objective == pytest.approx(1.25, rel=1e-6)
    assert solution.point == pytest.approx([2, 0], abs=1e-5)


@pytest.mark.skipif("RELUMODEL_DATA" not in os.environ, reason="needs the CIFAR data of the paper's Table 5")
def test_the_size_of_table_5():
    """600 x 147, 36 given patterns: compiled and in conic form within 2 s and 2 GB."""
    file = np.load(Path(os.environ["RELUMODEL_DATA"]) / "cifar600_robust" / "cifar600_robust.npz")
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge(), rm.WeightDecay(1e-4), rm.LInf(10 / 255))
    start = time.process_time()
    program = model.compile(file["X"], file["y"], patterns=rm.GivenPatterns(file["D"]))
    form = program.conic()
    assert time.process_time() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2e6  # kB, all that this process ever held
    assert "36 given; 30 dropped, whose robust cone is {0}" in str(program)
    assert form.A.shape[1] < 10_000
