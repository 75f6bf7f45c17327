import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import relumodel as rm
from data_strategies import COVERING, MODELS, NETWORKS, example, label, problems, targets
from reference import optimum

SELF_GATED = [m for m in MODELS if m.network.activation.self_gated]


@pytest.mark.parametrize("model", COVERING, ids=label)
def test_the_optimum_is_that_of_the_program_written_in_cvxpy(model):
    X, y = example(model)
    program = model.compile(X, y, patterns=rm.SamplePatterns(4, seed=3))
    solution, known = program.solve(), optimum(model, X, y, program.patterns)
    assert solution.status == "optimal"
    assert solution.bound <= known + 1e-8
    assert solution.objective == pytest.approx(known, rel=2e-6)


@given(problems(models=SELF_GATED), st.integers(0, 10**6))
def test_no_network_beats_the_bound_of_an_exact_program(problem, seed):
    """Pilanci & Ergen, Theorem 1: the exact program bounds every network, whatever its width, from below."""
    model, X, y = problem
    program = model.compile(X, y, patterns=rm.EnumeratePatterns())
    assert program.guarantee.kind == "exact"
    bound, rng = program.solve().bound, np.random.default_rng(seed)
    for width in (1, 2, 5):
        hidden = rng.standard_normal((X.shape[1] + model.network.bias, width))
        output = rng.standard_normal(width) * rng.choice([0.1, 1.0], width)
        network = rm.Network(model.network.activation, model.network.bias, hidden, output)
        assert bound <= network.objective(model, X, y) + 1e-9


@settings(max_examples=20)
@given(problems())
def test_leaving_patterns_out_never_helps(problem):
    model, X, y = problem
    program = model.compile(X, y, patterns=rm.EnumeratePatterns())
    some = rm.GivenPatterns(program.patterns[:, ::2])
    restricted = model.compile(X, y, patterns=some)
    assert program.solve().bound <= restricted.solve().objective * (1 + 1e-9)
    if model.network.activation.self_gated:
        assert restricted.guarantee.kind == "upper bound"


@settings(max_examples=15)
@given(problems())
def test_repeating_a_pattern_changes_nothing(problem):
    model, X, y = problem
    D = model.compile(X, y, patterns=rm.EnumeratePatterns()).patterns
    once = model.compile(X, y, patterns=rm.GivenPatterns(D)).solve()
    twice = model.compile(X, y, patterns=rm.GivenPatterns(np.hstack([D, D]))).solve()
    assert twice.bound <= once.objective * (1 + 1e-9)
    assert once.bound <= twice.objective * (1 + 1e-9)


def _permuted_samples(model, X, y):
    order = np.random.default_rng(0).permutation(len(X))
    return model, X[order], y[order]


def _permuted_features(model, X, y):
    return model, X[:, ::-1], y


def _mirrored(model, X, y):
    return model, -X, y


def _negated_targets(model, X, y):
    return model, X, -y


def _rotated(model, X, y):
    """The 2-norm of a block does not see a rotation of the features."""
    if isinstance(model.penalty, rm.PathNorm):
        return model, X, y
    return model, X @ np.linalg.qr(np.random.default_rng(0).standard_normal((X.shape[1],) * 2))[0], y


def _rescaled(model, X, y):
    """X u = (c X)(u / c): features c times as large are as good as a penalty c times as small."""
    if model.network.bias:
        return model, X, y
    return rm.Model(model.network, model.loss, type(model.penalty)(32 * model.penalty.beta)), 32 * X, y


@settings(max_examples=6)
@pytest.mark.parametrize(
    "change", [_permuted_samples, _permuted_features, _mirrored, _negated_targets, _rotated, _rescaled], ids=lambda f: f.__name__
)
@given(problem=problems(models=SELF_GATED))
def test_data_that_say_the_same_have_the_same_optimum(change, problem):
    first, second = (m.compile(X, y, patterns=rm.EnumeratePatterns()).solve() for m, X, y in (problem, change(*problem)))
    assert first.bound <= second.objective * (1 + 1e-9) + 1e-12
    assert second.bound <= first.objective * (1 + 1e-9) + 1e-12
    assert first.status == second.status == "optimal"


def solve_exactly(loss, penalty, X, y, network=None):
    return rm.Model(network or rm.TwoLayer(rm.ReLU()), loss, penalty).compile(X, y, patterns=rm.EnumeratePatterns()).solve()


@pytest.mark.parametrize(
    ("loss", "penalty", "X", "y", "known"),
    [
        # one sample x = 1, y = 2: min over z of (z - 2)^2 / 2 + |z| / 2 is at z = 1.5: 0.125 + 0.75
        (rm.Squared(reduction="sum"), rm.WeightDecay(0.5), [[1.0]], [2.0], 0.875),
        (rm.Squared(), rm.WeightDecay(0.5), [[1.0]], [-2.0], 0.875),
        # two features (1, 2): in the 1-norm a unit of z costs beta / 2: z = 1.75, 0.25^2 / 2 + 0.25 * 1.75
        (rm.Squared(), rm.PathNorm(0.5), [[1.0, 2.0]], [2.0], 0.46875),
        # in the 2-norm it costs beta / sqrt(5); with beta = sqrt(5) / 2 the same 0.875 as above
        (rm.Squared(), rm.WeightDecay(np.sqrt(5) / 2), [[1.0, 2.0]], [2.0], 0.875),
        # |z - 2| + |z| / 2: z = 2
        (rm.Absolute(), rm.WeightDecay(0.5), [[1.0]], [2.0], 1.0),
        # x = +-1, y = +-1: one neuron a side with weight v: 1/2 sum (1 - v)_+ + 0.1 sum v, at v = 1: 0.2
        (rm.Hinge(), rm.WeightDecay(0.1), [[1.0], [-1.0]], [1, -1], 0.2),
        # beta above 1/2: better to do nothing
        (rm.Hinge(), rm.WeightDecay(0.6), [[1.0], [-1.0]], [1, -1], 1.0),
        # a side: (1 - v)^2 / 2 + v / 2, at v = 1/2: 3/8, two of them
        (rm.SquaredHinge(), rm.WeightDecay(0.5), [[1.0], [-1.0]], [1, -1], 0.75),
        # a side: log(1 + exp(-v)) / 2 + v / 8, slope 0 at exp(v) = 3: log(4 / 3) / 2 + log(3) / 8, two of them
        (rm.Logistic(), rm.WeightDecay(0.125), [[1.0], [-1.0]], [1, -1], np.log(4 / 3) + np.log(3) / 4),
        (rm.Logistic(), rm.WeightDecay(1.0), [[1.0], [-1.0]], [1, -1], np.log(2)),
        # delta = 1: z = 2 - r, r = 1/2 inside delta as for the squared loss: 0.875; with beta 2 nothing: 1 (2 - 1/2)
        (rm.Huber(1.0), rm.WeightDecay(0.5), [[1.0]], [2.0], 0.875),
        (rm.Huber(1.0), rm.WeightDecay(2.0), [[1.0]], [2.0], 1.5),
        # a sample at 0 is predicted 0 by every network without a bias
        (rm.Squared(reduction="sum"), rm.WeightDecay(0.5), [[0.0]], [2.0], 2.0),
    ],
)
def test_optima_by_hand(loss, penalty, X, y, known):
    solution = solve_exactly(loss, penalty, X, y)
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(known, rel=1e-6)


def test_a_leaky_network_by_hand():
    # slope 1/2: neurons with u > 0 give (p, -p / 2) at x = (1, -1), those with u < 0 give (-q / 2, q);
    # (p - q / 2, q - p / 2) = (1, -2) has p = 0, q = -2, so the exact fit costs 2 beta, and as beta -> 0 it is the optimum
    network = rm.TwoLayer(rm.LeakyReLU(0.5))
    solution = solve_exactly(rm.Squared(), rm.WeightDecay(1e-6), [[1.0], [-1.0]], [1.0, -2.0], network)
    np.testing.assert_allclose(solution.network()([[1.0], [-1.0]]), [1, -2], atol=1e-4)
    assert solution.objective == pytest.approx(2e-6, rel=1e-3)


def test_a_gated_network_is_a_group_lasso():
    """Two orthogonal samples, each gated alone: 1/2 sum ( (z_k - y_k)^2 ) + beta sum |z_k|, one soft threshold each."""
    model = rm.Model(rm.TwoLayer(rm.GatedReLU()), rm.Squared(reduction="sum"), rm.WeightDecay(0.5))
    program = model.compile(np.eye(2), [2.0, -3.0], patterns=rm.GivenPatterns(np.eye(2, dtype=int)))
    solution = program.solve()
    assert program.n_constraints == 0
    assert program.guarantee.kind == "exact"
    assert solution.objective == pytest.approx(0.875 + 0.5 * 3 - 0.125, rel=1e-6)
    np.testing.assert_allclose(solution.network()(np.eye(2)), [1.5, -2.5], atol=1e-4)


def test_gates_need_an_interior():
    model = rm.Model(rm.TwoLayer(rm.GatedReLU()), rm.Squared(), rm.WeightDecay(0.5))
    with pytest.raises(rm.InputError, match=r"Pattern 1 is not \[X g >= 0\] for any gate g with no sample on its boundary"):
        model.compile([[1.0], [2.0]], [0, 1], patterns=rm.GivenPatterns([[1, 1], [1, 0]]))


@pytest.mark.parametrize("patterns", [None, 50, rm.SamplePatterns, np.eye(2)])
def test_patterns_are_a_strategy(patterns):
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(0.5))
    with pytest.raises(rm.InputTypeError, match=r"compiles on activation patterns: pass patterns=rm.SamplePatterns\(50, seed=0\)"):
        model.compile([[1.0], [2.0]], [0, 1], patterns=patterns)


def test_more_patterns_than_there_are():
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(0.5))
    with pytest.raises(rm.InputError, match=r"SamplePatterns was asked for 3 patterns, but .* 2 distinct"):
        model.compile([[1.0], [2.0]], [0, 1], patterns=rm.SamplePatterns(3))


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_frames_and_arrays_compile_to_one_program(network):
    model = rm.Model(network, rm.Squared(), rm.WeightDecay(0.1))
    X = np.random.default_rng(0).integers(-3, 4, (6, 2))
    y = targets(model.loss, 6)
    forms = [X, X.astype(np.float32), np.asfortranarray(X, dtype=float), pd.DataFrame(X, columns=["a", "b"]), X.tolist()]
    programs = [model.compile(form, y, patterns=rm.EnumeratePatterns()) for form in forms]
    for program in programs[1:]:
        assert (program.conic().A != programs[0].conic().A).nnz == 0
        assert str(program) == str(programs[0])
    assert programs[3].solve().network().feature_names == ("a", "b")
