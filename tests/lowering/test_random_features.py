import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given

import relumodel as rm
from data_strategies import LOSSES, PENALTIES, example, problems
from reference import loss_in_cvxpy

MODELS = [
    rm.Model(rm.RandomFeatures(bias=i % 2 == 0), loss, penalty) for i, loss in enumerate(LOSSES[::2]) for penalty in PENALTIES
]


def label(model):
    return f"{type(model.loss).__name__}-{type(model.penalty).__name__}"


@pytest.mark.parametrize("model", MODELS, ids=label)
def test_the_optimum_is_that_of_the_features_in_cvxpy(model):
    """The features are the sampled directions, at norm 1; only their weights are trained."""
    X, y = example(model)
    A = np.column_stack([X, np.ones(len(X))]) if model.network.bias else X
    program = model.compile(X, y, patterns=rm.SamplePatterns(6, seed=1))
    directions = rm.SamplePatterns(6, seed=1).find(A, model.network.bias).witnesses
    order = 1 if isinstance(model.penalty, rm.PathNorm) else 2
    features = directions / np.linalg.norm(directions, ord=order, axis=1)[:, None]
    a = cp.Variable(6)
    loss = loss_in_cvxpy(model.loss, np.maximum(A @ features.T, 0) @ a, y)
    problem = cp.Problem(cp.Minimize(loss + model.penalty.beta * cp.norm(a, 1)))
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-9, tol_gap_rel=1e-9)
    solution = program.solve()
    assert solution.status == "optimal"
    assert solution.bound <= problem.value + 1e-8
    assert solution.objective == pytest.approx(problem.value, rel=1e-6)
    assert solution.network().objective(model, X, y) == pytest.approx(solution.objective, rel=1e-12)


@given(problems())
def test_it_bounds_two_layer_training_from_above(problem):
    two_layer, X, y = problem
    bias = two_layer.network.bias
    model = rm.Model(rm.RandomFeatures(bias), two_layer.loss, two_layer.penalty)
    program = model.compile(X, y, patterns=rm.EnumeratePatterns())
    assert program.guarantee.kind == "upper bound"
    assert program.n_constraints == 0
    found = program.solve()
    exact = rm.Model(rm.TwoLayer(rm.ReLU(), bias), two_layer.loss, two_layer.penalty).compile(X, y, patterns=rm.EnumeratePatterns())
    assert exact.solve().bound <= found.objective * (1 + 1e-9)


def test_backends_agree_and_the_native_engine_says_why_it_does_not():
    model = rm.Model(rm.RandomFeatures(bias=True), rm.Hinge(), rm.WeightDecay(0.02))
    X, y = example(model, n=12)
    program = model.compile(X, y, patterns=rm.SamplePatterns(10))
    values = [program.solve(backend=name).objective for name in ("clarabel", "highs", "ecos", "scs", "cvxpy")]
    assert values == pytest.approx([values[0]] * 5, rel=1e-6)
    with pytest.raises(rm.BackendError, match=r"'admm' cannot take this program: .* does not know the term 'loss'"):
        program.solve(backend="admm")


def test_it_is_a_linear_program_in_an_mps_file(tmp_path):
    model = rm.Model(rm.RandomFeatures(), rm.Hinge(), rm.WeightDecay(0.02))
    X, y = example(model, n=12)
    weights = np.arange(12) % 3 + 1.0
    program = model.compile(X, y, patterns=rm.SamplePatterns(5), sample_weight=weights)
    assert program.kinds == {"nonnegative"}
    program.write(tmp_path / "p.mps")
    again = rm.load_program(tmp_path / "p.json")
    assert str(again) == str(program)
    assert (again.conic().A != program.conic().A).nnz == 0
    solution = program.solve()
    (tmp_path / "p.sol").write_text("".join(f"a[{i}] {value!r}\n" for i, value in enumerate(solution.point.tolist())))
    read = again.read_solution(tmp_path / "p.sol")
    assert read.objective == pytest.approx(solution.objective, rel=1e-9)
    np.testing.assert_allclose(read.network()(X), solution.network()(X), atol=1e-12)


def test_the_features_of_a_network_are_its_directions():
    """Output weights trained again, so never worse than the network."""
    model = rm.Model(rm.RandomFeatures(), rm.Squared(), rm.WeightDecay(0.02))
    X, y = example(model, n=12)
    network = rm.Network(rm.ReLU(), False, np.array([[1.0, 0.5, -1], [0, 2, 0]]), np.array([1.0, -1, 2]))
    program = model.compile(X, y, patterns=rm.PatternsOf(network))
    assert program.n_variables == 3
    assert program.solve().objective < network.objective(model, X, y)


def test_fitting_gives_a_bound_on_two_layer_training():
    model = rm.Model(rm.RandomFeatures(bias=True), rm.Squared(), rm.WeightDecay(0.02))
    X, y = example(model, n=12)
    fitted = model.fit(X, y, patterns=rm.SamplePatterns(20))
    assert 0 < fitted.bound <= fitted.objective == fitted.solution.objective
    with pytest.raises(
        rm.InputError, match=r"AdaptivePatterns train rm.TwoLayer and rm.ParallelThreeLayer networks; fit RandomFeatures with"
    ):
        model.fit(X, y)


def test_printed():
    text = str(rm.Model(rm.RandomFeatures(bias=True), rm.Hinge(), rm.WeightDecay(0.5)))
    assert text == (
        "minimise  1/n sum_k max(0, 1 - y_k f(x_k))  +  0.5 sum_i |a_i|\n"
        "over output weights a_i,  f(x) = sum_i max(0, [x, 1].u_i) a_i,  the features u_i being fixed"
    )


def test_json_round_trip():
    model = MODELS[0]
    assert rm.Model.from_dict(model.to_dict()) == model


def test_what_is_refused():
    with pytest.raises(
        rm.InputError, match=r"RandomFeatures are trained without a perturbation; got LInf\(radius=0.1.*rm.TwoLayer"
    ):
        rm.Model(rm.RandomFeatures(), rm.Hinge(), rm.WeightDecay(1), rm.LInf(0.1))
    with pytest.raises(rm.InputTypeError, match="bias must be True or False; got 3"):
        rm.RandomFeatures(bias=3)
    model = rm.Model(rm.RandomFeatures(), rm.Squared(), rm.WeightDecay(1))
    with pytest.raises(rm.InputTypeError, match=r"pass patterns=rm.SamplePatterns\(50, seed=0\) for 50 of them.*; got None"):
        model.compile([[1.0], [2.0]], [0, 1])
    with pytest.raises(rm.InputError, match=r"Pattern 1 is not \[X u >= 0\] for any u"):
        model.compile([[1.0], [2.0]], [0, 1], patterns=rm.GivenPatterns([[1, 1], [1, 0]]))
