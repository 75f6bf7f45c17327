"""The convex-concave repetition: the certified objective never rises, and ends below every program it started from."""

import numpy as np
import pytest

import relumodel as rm
from data_strategies import example
from relumodel.fit.refine import improved
from robust_reference import crossing_optimum

LOSSES = [rm.Hinge(), rm.Squared(), rm.Huber(0.3)]


def name(value):
    return type(value).__name__


def model_of(loss, perturbation, activation=None, robust="crossing"):
    return rm.Model(rm.TwoLayer(activation or rm.ReLU(), True), loss, rm.WeightDecay(0.002), perturbation, robust)


def product(loss, n=20):
    """The product of two features, or its sign: no linear function of them comes near."""
    X = np.random.default_rng(0).uniform(-1, 1, (n, 2))
    return X, np.sign(X[:, 0] * X[:, 1]) if loss.reads == "margin" else 3 * X[:, 0] * X[:, 1]


@pytest.mark.parametrize("loss", LOSSES, ids=name)
@pytest.mark.parametrize("perturbation", [rm.LInf((0.2, 0.1)), rm.L2(0.2), rm.L1(0.3)], ids=name)
def test_the_certified_objective_never_rises(perturbation, loss):
    model = model_of(loss, perturbation, rm.LeakyReLU(0.1))
    X, y = product(loss)
    solution = first = model.compile(X, y, patterns=rm.SamplePatterns(6)).solve()
    for _ in range(3):
        program = solution.program
        better = rm.refine(solution, rounds=1)
        assert better.objective <= solution.objective
        # already at the point it starts from, before anything is solved
        assert better.program.objective(solution.point) <= solution.objective * (1 + 1e-12)
        # where it is worth what the network's own certificate says
        assert better.program.objective(solution.point) == pytest.approx(solution.network().objective(model, X, y), rel=1e-9)
        assert better.status == "optimal"
        assert better.network().objective(model, X, y) <= better.objective * (1 + 1e-6)
        np.testing.assert_array_equal(better.program.patterns, program.patterns)
        solution = better
    assert solution.objective < first.objective * (1 - 1e-3)


def test_a_refined_program_is_the_one_with_its_slopes():
    model = model_of(rm.Absolute(reduction="sum"), rm.LInf(0.1))
    X, y = product(model.loss, n=10)
    solution = rm.refine(model.compile(X, y, patterns=rm.SamplePatterns(2)).solve(), rounds=2)
    shares = solution.program.term("loss").map.shares
    assert ((shares > 0) & (shares < 1)).any()
    assert solution.objective == pytest.approx(crossing_optimum(model, X, y, shares), rel=1e-6)


def test_it_stops_when_a_round_gains_nothing():
    model = model_of(rm.Hinge(), rm.LInf(0.2))
    X, y = example(model, n=8)
    solution = rm.refine(model.compile(X, y, patterns=rm.SamplePatterns(3)).solve(), rounds=30)
    np.testing.assert_allclose(rm.refine(solution, rounds=1).objective, solution.objective, rtol=1e-5)
    assert rm.refine(solution, rounds=3, tol=0.5, backend="clarabel").tol == 0.5


def test_zero_blocks_keep_their_slopes_and_stable_ones_take_their_side():
    model = model_of(rm.Hinge(), rm.LInf(0.01))
    X, y = example(model, n=6)
    program = model.compile(X, y, patterns=rm.SamplePatterns(3))
    P, n = program.patterns.shape[1], 6
    old = program.term("loss").map.shares
    np.testing.assert_array_equal(improved(program, np.zeros(program.n_variables)), old)
    point = np.zeros(program.n_variables)
    point[:3] = [0.0, 0.0, -1.0]  # the first block is inactive on every sample
    point[2 * P * 3] = 0.0
    shares = improved(program, point)
    for side, samples in enumerate((y > 0, y < 0)):
        assert not shares[side, 0, 0, samples].any()
        np.testing.assert_array_equal(shares[side, 0, 0, ~samples], old[side, 0, 0, ~samples])
        np.testing.assert_array_equal(shares[side].reshape(2 * P, n)[1:], old[side].reshape(2 * P, n)[1:])


def test_the_xor_of_the_notes():
    """XOR in the plane, where the strict program on sampled patterns is a linear classifier in disguise."""
    X = np.random.default_rng(0).uniform(-1, 1, (60, 2))
    y = np.sign(X[:, 0] * X[:, 1])
    model = rm.Model(rm.TwoLayer(rm.ReLU(), True), rm.Hinge(), rm.WeightDecay(1e-3), rm.LInf(0.05), robust="crossing")
    strict = rm.Model(rm.TwoLayer(rm.ReLU(), True), rm.Hinge(), rm.WeightDecay(1e-3), rm.LInf(0.05))
    patterns = rm.SamplePatterns(15)
    linear = strict.compile(X, y, patterns=patterns).solve().objective
    crossing = model.compile(X, y, patterns=patterns).solve(tol=1e-4)
    refined = rm.refine(crossing, rounds=2)
    assert crossing.objective < 0.5 * linear
    assert refined.objective < crossing.objective
    network = refined.network()
    _, losses = network.worst_case(model, X, y)
    X_adv = rm.attacks.pgd(network, X, y, 0.05, starts=3)
    assert (np.maximum(0, 1 - y * network(X_adv)) <= losses + 1e-9).all()


def test_with_radius_zero_there_is_nothing_to_refine():
    """So that a sweep over radii may start at 0."""
    model = model_of(rm.Hinge(), rm.LInf(0.0))
    solution = model.compile(*example(model), patterns=rm.SamplePatterns(3)).solve()
    assert rm.refine(solution) is solution


def test_bad_input():
    X, y = example(model_of(rm.Hinge(), None))
    patterns = rm.SamplePatterns(3)
    for model in (model_of(rm.Hinge(), None), model_of(rm.Hinge(), rm.LInf(0.01), robust="strict")):
        with pytest.raises(rm.InputError, match="refine repeats crossing programs"):
            rm.refine(model.compile(X, y, patterns=patterns).solve())
    program = model_of(rm.Hinge(), rm.LInf(0.1)).compile(X, y, patterns=patterns)
    solution = program.solve()
    with pytest.raises(rm.InputTypeError, match="takes a Solution"):
        rm.refine(program)
    with pytest.raises(rm.InputError, match="rounds must be a whole number >= 1"):
        rm.refine(solution, rounds=0)
    with pytest.raises(rm.InputError, match="leave warm_start out"):
        rm.refine(solution, warm_start=solution)
    with pytest.raises(rm.InputError, match="tol"):
        rm.refine(solution, tol=-1)
