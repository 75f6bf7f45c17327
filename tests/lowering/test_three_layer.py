import itertools

import cvxpy as cp
import numpy as np
import pytest

import relumodel as rm
from data_strategies import LOSSES, PENALTIES, example
from reference import loss_in_cvxpy

MODELS = [
    rm.Model(rm.ParallelThreeLayer(width=2, bias=i % 2 == 0), loss, penalty)
    for i, loss in enumerate(LOSSES[::2])
    for penalty in PENALTIES
]


def label(model):
    return f"{type(model.loss).__name__}-{type(model.penalty).__name__}"


def reference(model, X, y, found) -> float:
    """Theorem 1 as the source writes it: blocks of I = -1 with their first cone reversed."""
    A = np.column_stack([X, np.ones(len(X))]) if model.network.bias else X
    order = 1 if isinstance(model.penalty, rm.PathNorm) else 2
    prediction, penalty, cones = 0, 0, []
    for inner, outer, signs in zip(found.inner, found.outer, found.signs, strict=True):
        for copy in (1.0, -1.0):
            hidden = 0
            for D, sign in zip(inner, signs, strict=True):
                w = cp.Variable(A.shape[1])
                penalty += cp.norm(w, order)
                cones.append(cp.multiply(sign * np.where(D, 1.0, -1.0), A @ w) >= 0)
                hidden += cp.multiply(D.astype(float), A @ w)
            cones.append(cp.multiply(np.where(outer, 1.0, -1.0), hidden) >= 0)
            prediction += copy * cp.multiply(outer.astype(float), hidden)
    problem = cp.Problem(cp.Minimize(loss_in_cvxpy(model.loss, prediction, y) + model.penalty.beta * penalty), cones)
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9)
    return float(problem.value)


@pytest.mark.parametrize("model", MODELS, ids=label)
def test_the_optimum_is_that_of_the_theorem_in_cvxpy(model):
    X, y = example(model)
    program = model.compile(X, y, patterns=rm.SamplePatterns(3, seed=1))
    known, solution = reference(model, X, y, program.inverse.found), program.solve()
    assert solution.status == "optimal"
    assert solution.violation == 0
    assert solution.bound <= known + 1e-8
    assert solution.objective == pytest.approx(known, rel=2e-6)
    assert solution.network().objective(model, X, y) == pytest.approx(solution.objective, rel=1e-10)


def test_more_patterns_never_raise_the_optimum():
    model = MODELS[0]
    X, y = example(model, n=9)
    solutions = [model.compile(X, y, patterns=rm.SamplePatterns(K, seed=2)).solve() for K in (2, 5, 12)]
    for few, more in itertools.pairwise(solutions):
        assert more.bound <= few.objective * (1 + 1e-9)
    assert solutions[-1].objective < solutions[0].objective


def test_one_sample_by_hand():
    """x = 1, y = 2: one path of weight w costs beta w, so as for two layers (z - 2)^2 / 2 + z / 2 at z = 1.5: 0.875."""
    model = rm.Model(rm.ParallelThreeLayer(width=1), rm.Squared(), rm.WeightDecay(0.5))
    solution = model.compile([[1.0]], [2.0], patterns=rm.SamplePatterns(1)).solve()
    assert solution.objective == pytest.approx(0.875, rel=1e-6)
    network = solution.network()
    assert network.n_sub_networks == network.n_neurons == 1
    np.testing.assert_allclose(np.abs(network.hidden_weights).ravel(), [1])
    np.testing.assert_allclose(network.second_weights**2, [[1.5]], rtol=1e-4)
    np.testing.assert_allclose(network.output_weights**2, [1.5], rtol=1e-4)


def test_backends_agree_and_the_native_engine_says_why_it_does_not():
    model = rm.Model(rm.ParallelThreeLayer(width=3, bias=True), rm.Hinge(), rm.PathNorm(0.02))
    X, y = example(model, n=12)
    program = model.compile(X, y, patterns=rm.SamplePatterns(5))
    solutions = [program.solve(backend=name) for name in ("clarabel", "highs", "ecos", "scs", "cvxpy")]
    assert [s.status for s in solutions] == ["optimal"] * 5
    assert [s.objective for s in solutions] == pytest.approx([solutions[0].objective] * 5, rel=1e-6)
    with pytest.raises(rm.BackendError, match=r"'admm' cannot take this program: .* does not know the term 'outer cones'"):
        program.solve(backend="admm")


def test_the_bound_holds_for_any_multipliers():
    model = MODELS[0]
    X, y = example(model)
    program = model.compile(X, y, patterns=rm.SamplePatterns(3, seed=1))
    early = program.solve(callback=lambda progress: progress.iteration >= 3)
    solution = program.solve()
    assert early.bound <= solution.objective <= early.objective
    remainder = sum(term.map.adjoint(solution.dual[term.name]) for term in program.terms)
    assert abs(remainder).max() < 1e-12
    assert program.term("penalty").function.dual_gauge(solution.dual["penalty"]) <= 1
    assert (solution.dual["outer cones"] <= 0).all()


def test_files_lead_back_to_the_network(tmp_path):
    model = rm.Model(rm.ParallelThreeLayer(width=2, bias=True), rm.Squared(), rm.WeightDecay(0.02))
    X, y = example(model, n=8)
    program = model.compile(X, y, patterns=rm.SamplePatterns(3), sample_weight=np.arange(8) % 3 + 1.0)
    program.write(tmp_path / "p.cbf")
    again = rm.load_program(tmp_path / "p.json")
    assert str(again) == str(program)
    assert (again.conic().A != program.conic().A).nnz == 0
    solution = program.solve()
    names = program.conic().names[: program.n_variables]
    lines = [f"{name} {value!r}\n" for name, value in zip(names, solution.point.tolist(), strict=True)]
    (tmp_path / "p.sol").write_text("".join(lines))
    read = again.read_solution(tmp_path / "p.sol")
    assert read.objective == pytest.approx(solution.objective, rel=1e-9)
    np.testing.assert_allclose(read.network()(X), solution.network()(X), atol=1e-8)


def test_fitting_solves_once_and_claims_no_more_than_it_knows():
    model = MODELS[0]
    X, y = example(model)
    fitted = model.fit(X, y, patterns=rm.SamplePatterns(3))
    assert fitted.objective == fitted.solution.objective
    assert (fitted.bound, fitted.bound_kind, fitted.gap) == (0, "none", 1)
    assert isinstance(fitted.network, rm.ThreeLayerNetwork)


def test_a_path_over_the_penalty():
    model = MODELS[0]
    X, y = example(model)
    for solution in rm.path(model, X, y, betas=[0.1, 0.01], patterns=rm.SamplePatterns(3)):
        network = solution.network()
        assert network.objective(solution.program.model, X, y) == pytest.approx(solution.objective, rel=1e-10)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("seed", range(3))
def test_the_patterns_of_a_network_are_never_worse_than_it(penalty, seed):
    model = rm.Model(rm.ParallelThreeLayer(width=3, bias=True), rm.Squared(), penalty)
    X, y = example(model, n=9, seed=seed)
    rng = np.random.default_rng(seed)
    W1, w2, w3 = rng.standard_normal((4, 3, 3)), rng.standard_normal((4, 3)), rng.standard_normal(4)
    network = rm.ThreeLayerNetwork(True, W1, w2, w3)
    strategy = rm.PatternsOf(network)
    assert type(strategy).from_dict(strategy.to_dict()) == strategy
    solution = model.compile(X, y, patterns=strategy).solve()
    assert solution.status == "optimal"
    assert solution.objective < network.objective(model, X, y)
    again = model.compile(X, y, patterns=rm.PatternsOf(solution.network())).solve()
    assert again.objective <= solution.objective * (1 + 1e-6)


def test_the_patterns_of_networks_that_do_not_fit():
    model = MODELS[1]  # without a bias
    X, y = example(model)
    network = rm.ThreeLayerNetwork(True, np.ones((1, 3, 2)), np.ones((1, 2)), np.ones(1))
    with pytest.raises(
        rm.InputError, match=r"sub-networks have 2 features, bias=True and 2 neurons; the data and the model have 2, bias="
    ):
        rm.Model(rm.ParallelThreeLayer(width=2), model.loss, model.penalty).compile(X, y, patterns=rm.PatternsOf(network))
    with pytest.raises(rm.InputError, match=r"patterns of a three-layer network; compile rm.ParallelThreeLayer"):
        rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), model.loss, model.penalty).compile(X, y, patterns=rm.PatternsOf(network))
    two_layer = rm.Network(rm.ReLU(), False, np.eye(2), np.ones(2))
    with pytest.raises(rm.InputError, match="PatternsOf a two-layer network does not give patterns of three-layer sub-networks"):
        rm.Model(rm.ParallelThreeLayer(width=2), model.loss, model.penalty).compile(X, y, patterns=rm.PatternsOf(two_layer))
    dead = rm.ThreeLayerNetwork(False, np.ones((1, 2, 2)), -np.ones((1, 2)), np.ones(1))
    with pytest.raises(rm.InputError, match="0 on every sample"):
        rm.Model(rm.ParallelThreeLayer(width=2), model.loss, model.penalty).compile(X, y, patterns=rm.PatternsOf(dead))


def test_printed():
    text = str(rm.Model(rm.ParallelThreeLayer(width=7), rm.Squared(reduction="sum"), rm.WeightDecay(0.1)))
    assert text == (
        "minimise  sum_k 1/2 (f(x_k) - y_k)^2  +  0.1/2 sum_g ( |w2_g|_2^2 + w3_g^2 )\n"
        "over sub-networks (W1_g, w2_g, w3_g),  f(x) = sum_g max(0, max(0, x.W1_g).w2_g) w3_g,  |W1_g|_F <= 1,  7 hidden neurons each"
    )


def test_json_round_trip():
    assert all(rm.Model.from_dict(model.to_dict()) == model for model in MODELS)


def test_what_is_refused():
    with pytest.raises(rm.InputTypeError, match=r"is a ReLU network and takes the width .*; got LeakyReLU\(slope=0.1\)"):
        rm.ParallelThreeLayer(rm.LeakyReLU(0.1))
    with pytest.raises(rm.InputError, match="width must be a whole number >= 1; got 0"):
        rm.ParallelThreeLayer(width=0)
    with pytest.raises(rm.InputError, match=r"ParallelThreeLayer is trained without a perturbation; got LInf\(radius=0.1"):
        rm.Model(rm.ParallelThreeLayer(width=2), rm.Hinge(), rm.WeightDecay(1), rm.LInf(0.1))
    model = MODELS[0]
    with pytest.raises(
        rm.InputTypeError, match=r"patterns of sub-networks: pass patterns=rm.SamplePatterns\(10, seed=0\).*; got None"
    ):
        model.compile([[1.0], [2.0]], [0, 1])
    with pytest.raises(rm.InputError, match="GivenPatterns does not give patterns of three-layer sub-networks"):
        model.compile([[1.0], [2.0]], [0, 1], patterns=rm.GivenPatterns(np.ones((2, 1), dtype=bool)))
    X, y = example(model, n=20)
    with pytest.raises(rm.InputError, match=r"sub-networks of width 2 or more, above limit=1,000"):
        model.compile(X, y, patterns=rm.EnumeratePatterns(limit=1000))


@pytest.mark.usefixtures("short_search")
@pytest.mark.parametrize(("width", "loss"), [(2, rm.Squared()), (1, rm.Hinge())], ids=["squared", "hinge"])
def test_all_sub_networks_of_tiny_data_are_exact(width, loss, tmp_path):
    """Nothing is below the bound: not the programs on samples, not random networks, not a descent."""
    model = rm.Model(rm.ParallelThreeLayer(width=width), loss, rm.WeightDecay(0.01))
    X, y = example(model, n=4)
    program = model.compile(X, y, patterns=rm.EnumeratePatterns())
    assert program.guarantee.kind == "exact"
    solution = program.solve()
    assert solution.status == "optimal"
    assert solution.violation == 0
    assert solution.network().objective(model, X, y) == pytest.approx(solution.objective, rel=1e-9)
    for seed in range(3):
        sampled = model.compile(X, y, patterns=rm.SamplePatterns(3, seed=seed)).solve()
        assert solution.bound <= sampled.objective
    if width == 2 and loss == rm.Squared():
        fitted = model.fit(X, y, patterns=rm.AdaptivePatterns(rounds=1))
        assert solution.bound <= fitted.objective * (1 + 1e-9)
        assert fitted.objective <= 1.05 * solution.objective
    rng = np.random.default_rng(0)
    for scale in (0.3, 0.6, 1):
        parts = [scale * rng.standard_normal(shape) for shape in ((6, 2, width), (6, width), (6,))]
        assert rm.ThreeLayerNetwork(False, *parts).objective(model, X, y) >= solution.bound
    exact = model.fit(X, y, patterns=rm.EnumeratePatterns())
    assert (exact.status, exact.bound_kind) == ("optimal", "certified")
    program.write(tmp_path / "p.cbf")
    assert rm.load_program(tmp_path / "p.json").guarantee == program.guarantee


def test_all_sub_networks_of_degenerate_data():
    for X in ([[1.0], [2.0]], [[1.0, 0], [-1, 0], [0, 0]], [[1.0, 1], [1, 1]]):
        model = rm.Model(rm.ParallelThreeLayer(width=3), rm.Squared(), rm.WeightDecay(0.05))
        y = np.arange(len(X)) + 1.0
        solution = model.compile(X, y, patterns=rm.EnumeratePatterns()).solve()
        assert solution.status == "optimal"
        sampled = model.compile(X, y, patterns=rm.SamplePatterns(1)).solve()
        assert solution.bound <= sampled.objective
