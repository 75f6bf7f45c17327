"""Networks with several outputs: the program, the network, the certificate, the files and the backends."""

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import relumodel as rm
from data_strategies import matrices
from reference import loss_in_cvxpy
from relumodel.maps.base import Kron

NETWORKS = {
    "relu": (rm.TwoLayer(rm.ReLU(), bias=True), rm.SamplePatterns(5, seed=1)),
    "leaky": (rm.TwoLayer(rm.LeakyReLU(0.2)), rm.SamplePatterns(5, seed=1)),
    "gated": (rm.TwoLayer(rm.GatedReLU(), bias=True), rm.SamplePatterns(5, seed=1)),
    "features": (rm.RandomFeatures(bias=True), rm.SamplePatterns(6, seed=1)),
    "three": (rm.ParallelThreeLayer(width=2, bias=True), rm.SamplePatterns(2, seed=1)),
    "polynomial": (rm.TwoLayer(rm.Polynomial(), bias=True), None),
}
CLASS_LOSSES = [rm.MultiMargin(), rm.SoftmaxCrossEntropy(reduction="sum")]
LOSSES = [rm.Squared(), rm.Huber(0.5, reduction="sum"), rm.Hinge(), *CLASS_LOSSES]
every_network = pytest.mark.parametrize("kind", NETWORKS)


def data(loss, n=12, seed=0):
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((n, 2)), rng.standard_normal((n, 3))
    if loss.reads == "classes":
        return X, np.array([1.0, 4, 9])[np.arange(n) % 3]
    return X, Y if loss.reads == "residual" else np.where(np.median(Y, axis=0) < Y, 1.0, -1.0)


def compiled(kind, loss, penalty=None, **more):
    network, patterns = NETWORKS[kind]
    model = rm.Model(network, loss, penalty or rm.WeightDecay(0.02))
    X, y = data(loss)
    return model, X, y, model.compile(X, y, **({} if patterns is None else {"patterns": patterns}), **more)


@every_network
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_program_network_and_certificate_agree(kind, loss):
    model, X, y, program = compiled(kind, loss)
    solution = program.solve(backend="clarabel")
    network = solution.network()
    assert solution.status == "optimal"
    assert solution.violation == 0
    assert solution.bound <= solution.objective
    assert network.objective(model, X, y) == pytest.approx(solution.objective, rel=1e-9)
    assert network(X).shape == (12, 3)
    assert network.n_outputs == 3
    if loss.reads == "classes":
        np.testing.assert_array_equal(network.predict(X), np.array([1, 4, 9])[network(X).argmax(axis=1)])
    elif loss.reads == "margin":
        np.testing.assert_array_equal(network.predict(X), np.where(network(X) >= 0, 1, -1))
    remainder = sum(term.map.adjoint(solution.dual[term.name]) for term in program.terms)
    assert abs(remainder).max() < 1e-12


def loss_of_classes(loss, Z, y):
    """The losses written one sample at a time; Z is (n, c)."""
    classes, total = np.unique(y), 0
    for k in range(len(y)):
        mine = int(np.flatnonzero(classes == y[k])[0])
        if isinstance(loss, rm.MultiMargin):
            total += cp.pos(cp.max(cp.hstack([1 + Z[k, j] - Z[k, mine] for j in range(len(classes)) if j != mine])))
        else:
            total += cp.log_sum_exp(Z[k]) - Z[k, mine]
    return total / (len(y) if loss.reduction == "mean" else 1)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("penalty", [rm.WeightDecay(0.02), rm.PathNorm(0.02)], ids=["l2", "l1"])
def test_the_optimum_is_that_of_cvxpy(loss, penalty):
    _, X, y, program = compiled("relu", loss, penalty)
    A, order = np.column_stack([X, np.ones(len(X))]), 1 if isinstance(penalty, rm.PathNorm) else 2
    Z, cost, cones = [], 0, []
    for _ in range(3):
        z = 0
        for pattern in program.patterns.T:
            v, w = cp.Variable(3), cp.Variable(3)
            z += cp.multiply(pattern.astype(float), A @ (v - w))
            cost += penalty.beta * (cp.norm(v, order) + cp.norm(w, order))
            T = np.where(pattern, 1.0, -1.0)
            cones += [cp.multiply(T, A @ v) >= 0, cp.multiply(T, A @ w) >= 0]
        Z.append(cp.reshape(z, (len(X), 1), order="C"))
    Z = cp.hstack(Z)
    fit = loss_of_classes(loss, Z, y) if loss.reads == "classes" else loss_in_cvxpy(loss, Z, y)
    problem = cp.Problem(cp.Minimize(fit + cost), cones)
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9)
    assert program.solve().objective == pytest.approx(problem.value, rel=2e-6)


@pytest.mark.parametrize("kind", ["relu", "gated"])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_backends_agree(kind, loss):
    *_, program = compiled(kind, loss)
    solutions = [program.solve(backend=name, tol=1e-5) for name in ("clarabel", "cvxpy", "scs", "ecos")]
    assert [s.status for s in solutions] == ["optimal"] * 4
    assert [s.objective for s in solutions] == pytest.approx([solutions[0].objective] * 4, rel=2e-5)
    tol = 0.1 if loss.reads == "classes" else 1e-5  # ADMM takes its time on programs as small as these
    native = program.solve(backend="admm", tol=tol)
    assert native.status == "optimal"
    assert native.bound <= solutions[0].objective * (1 + 1e-8)
    assert native.objective == pytest.approx(solutions[0].objective, rel=1.2 * tol)


@pytest.mark.parametrize("kind", ["relu", "features", "three", "polynomial"])
def test_outputs_separate_where_the_loss_is_a_sum(kind):
    """The proof in `Program.parts`: the optimum of all is the sum of those of each."""
    model, X, Y, program = compiled(kind, rm.Squared(reduction="sum"))
    whole, parts = program.solve(backend="clarabel"), program.parts
    _, patterns = NETWORKS[kind]
    alone = [model.compile(X, y, **({"patterns": patterns} if patterns else {})) for y in Y.T]
    x = np.random.default_rng(0).standard_normal(program.n_variables)
    for part, single, piece in zip(parts, alone, np.split(x, 3), strict=True):
        assert part.objective(piece) == pytest.approx(single.objective(piece), rel=1e-12)
        assert part.violation(piece) == pytest.approx(single.violation(piece), rel=1e-9)
        assert [v.name for v in part.variables] == [v.name for v in single.variables]
    assert program.objective(x) == pytest.approx(sum(p.objective(piece) for p, piece in zip(parts, np.split(x, 3), strict=True)))
    assert whole.objective == pytest.approx(sum(p.solve(backend="clarabel").objective for p in parts), rel=1e-7)


def test_class_losses_do_not_separate_and_descent_says_so():
    *_, program = compiled("polynomial", rm.MultiMargin())
    assert program.parts == (program,)
    with pytest.raises(rm.BackendError, match="'descent' cannot take this program: its outputs share one loss"):
        program.solve(backend="descent")


def test_descent_takes_the_outputs_apart():
    *_, program = compiled("polynomial", rm.Squared())
    known, solution = program.solve(backend="clarabel"), program.solve(backend="descent", tol=1e-3)
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(known.objective, rel=2e-3)


def test_the_native_engine_stops_and_goes_on():
    """A callback that stops it early leaves a feasible point and a bound that holds; progress counts all outputs."""
    *_, program = compiled("relu", rm.Squared())
    known = program.solve()
    seen = []
    early = program.solve(backend="admm", callback=lambda p: seen.append(p) or len(seen) >= 4)
    assert early.status == "interrupted"
    assert early.bound <= known.objective <= early.objective
    assert all(p.bound <= known.objective * (1 + 1e-9) and p.iteration >= 0 for p in seen)
    again = program.solve(backend="admm", warm_start=known)
    assert again.status == "optimal"
    assert again.objective <= known.objective


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("loss", [rm.Squared(), rm.SoftmaxCrossEntropy()], ids=["squared", "classes"])
def test_files_lead_back(kind, loss, tmp_path):
    weights = np.arange(12) % 3 + 1.0
    model, X, y, program = compiled(kind, loss, sample_weight=weights)
    program.write(tmp_path / "p.cbf")
    again = rm.load_program(tmp_path / "p.json")
    assert str(again) == str(program)
    assert (again.conic().A != program.conic().A).nnz == 0
    solution = program.solve(tol=1e-5)
    names = program.conic().names[: program.n_variables]
    assert len(set(names)) == len(names)
    lines = [f"{name} {value!r}\n" for name, value in zip(names, solution.point.tolist(), strict=True)]
    (tmp_path / "p.sol").write_text("".join(lines))
    read = again.read_solution(tmp_path / "p.sol")
    assert read.objective == pytest.approx(solution.objective, rel=1e-9)
    network = read.network()
    assert network.objective(model, X, y, weights) == pytest.approx(read.objective, rel=1e-9)
    loaded = rm.load(network.save(tmp_path / "net.npz"))
    np.testing.assert_array_equal(loaded.predict(X), network.predict(X))
    np.testing.assert_array_equal(loaded(X), network(X))


def test_mps_holds_linear_and_quadratic_ones(tmp_path):
    for loss, penalty in ((rm.MultiMargin(), rm.PathNorm(0.1)), (rm.Squared(), rm.WeightDecay(0.1))):
        *_, program = compiled("relu", loss, penalty)
        assert program.write(tmp_path / "p.mps").stat().st_size > 1000
    *_, program = compiled("relu", rm.SoftmaxCrossEntropy())
    with pytest.raises(rm.InputError, match=r"CBF|cbf"):
        program.write(tmp_path / "p.mps")


def test_sample_weights_count_repetitions():
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.SoftmaxCrossEntropy(), rm.WeightDecay(0.02))
    X, y = data(model.loss)
    counts = np.array([0, 2, 1] * 4)
    D = model.compile(X, y, patterns=rm.SamplePatterns(4)).patterns
    repeated, kept = rm.GivenPatterns(np.repeat(D, counts, axis=0)), rm.GivenPatterns(D[counts > 0])
    y = np.where(y == 1, 4.0, y)  # the samples left out are then not the only ones of a class
    weighted = model.compile(X, y, patterns=kept, sample_weight=counts).solve()
    written_out = model.compile(np.repeat(X, counts, axis=0), np.repeat(y, counts), patterns=repeated).solve()
    assert weighted.objective == pytest.approx(written_out.objective, rel=1e-6)


def test_a_path_over_the_penalty():
    model = rm.Model(NETWORKS["relu"][0], rm.MultiMargin(), rm.WeightDecay(1.0))
    X, y = data(model.loss)
    for solution in rm.path(model, X, y, betas=[0.1, 0.01], patterns=rm.SamplePatterns(3)):
        objective = solution.network().objective(solution.program.model, X, y)
        assert objective == pytest.approx(solution.objective, rel=1e-9)


def test_the_guarantee_says_which_penalty():
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(0.1))
    X, Y = data(model.loss, n=6)
    exact = model.compile(X, Y, patterns=rm.EnumeratePatterns()).guarantee
    assert exact.kind == "exact"
    assert "exact for the penalty (|u_j|_2^2 + |a_j|_1^2)/2 on 3 outputs, and bounds plain weight decay" in exact.statement
    some = model.compile(X, Y, patterns=rm.SamplePatterns(3)).guarantee
    assert some.kind == "upper bound"
    assert "from above" in some.statement
    path = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.PathNorm(0.1)).compile(X, Y, patterns=rm.EnumeratePatterns())
    assert "weight decay" not in path.guarantee.statement


def test_no_network_beats_the_exact_program():
    """Random networks whose neurons serve several outputs, under the penalty with the 1-norm."""
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(0.05))
    X, Y = data(model.loss, n=6)
    solution = model.compile(X, Y, patterns=rm.EnumeratePatterns()).solve()
    rng = np.random.default_rng(0)
    for scale in (0.3, 0.6, 1.0):
        network = rm.Network(rm.ReLU(), False, scale * rng.standard_normal((2, 8)), scale * rng.standard_normal((8, 3)))
        assert network.objective(model, X, Y) >= solution.bound
    doubled = rm.Network(rm.ReLU(), False, np.array([[3.0], [4]]), np.array([[1.0, -2, 0]]))
    assert doubled.objective(rm.Model(model.network, model.loss, rm.WeightDecay(2.0)), X, 0 * Y + doubled(X)) == 25 + 9


@settings(max_examples=25)
@given(
    X=matrices(rows=(2, 6)),
    seed=st.integers(0, 99),
    loss=st.sampled_from(LOSSES),
    network=st.sampled_from(["relu", "gated", "leaky"]),
)
def test_degenerate_data(X, seed, loss, network):
    rng = np.random.default_rng(seed)
    if loss.reads == "classes":
        y = rng.permutation(np.arange(len(X)) % 3)
    else:
        y = rng.standard_normal((len(X), 2))
        y = y if loss.reads == "residual" else np.where(np.argsort(y, axis=0) < len(X) // 2, -1.0, 1.0)
    model = rm.Model(NETWORKS[network][0], loss, rm.WeightDecay(0.05))
    program = model.compile(X, y, patterns=rm.SamplePatterns(1, seed=seed))
    solution = program.solve(backend="clarabel")
    assert solution.violation == 0
    assert solution.bound <= solution.objective + 1e-12
    assert solution.network().objective(model, X, y) == pytest.approx(solution.objective, rel=1e-9, abs=1e-12)


def test_repeated_is_block_diagonal():
    *_, program = compiled("three", rm.Squared())
    rng = np.random.default_rng(0)
    for term in program.terms:
        assert isinstance(term.map, Kron)
        x, z = rng.standard_normal(term.map.shape[1]), rng.standard_normal(term.map.shape[0])
        np.testing.assert_allclose(term.map.matrix() @ x, term.map.forward(x), atol=1e-12)
        np.testing.assert_allclose(term.map.matrix().T @ z, term.map.adjoint(z), atol=1e-12)


def test_patterns_of_networks_with_several_outputs():
    torch = pytest.importorskip("torch")
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    torch.manual_seed(0)
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.SoftmaxCrossEntropy(), rm.WeightDecay(0.01))
    X, y = data(model.loss)
    module = torch.nn.Sequential(torch.nn.Linear(2, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    mlp = MLPClassifier((6,), max_iter=5, random_state=0)
    with pytest.warns(ConvergenceWarning):
        mlp.fit(X, y)
    first = model.compile(X, y, patterns=rm.SamplePatterns(4)).solve()
    for given_network in (module, mlp, first.network()):
        solution = model.compile(X, y, patterns=rm.PatternsOf(given_network)).solve()
        assert solution.status == "optimal"
    assert solution.objective <= first.objective * (1 + 1e-6)


def test_what_is_certified_of_classes_survives_sampling():
    _, X, y, program = compiled("relu", rm.MultiMargin())
    network = program.solve().network()
    rng = np.random.default_rng(0)
    for radius in (0.05, 0.3):
        for ball in (rm.LInf(radius), rm.L2(radius)):
            found = network.certified(X, y, ball)
            wrong = np.zeros(len(X), dtype=bool)
            for _ in range(300):
                step = rng.uniform(-1, 1, X.shape)
                size = np.abs(step).max(axis=1) if isinstance(ball, rm.LInf) else np.linalg.norm(step, axis=1)
                wrong |= network.predict(X + radius * step / size[:, None]) != y
            assert not wrong[found == "certified"].any()
    exact = network.certified(X, y, rm.LInf(0.3), exact=True)
    assert not (exact == "unknown").any()
    assert (network.certified(X, y, rm.LInf(0.0)) == "certified").sum() == (network.predict(X) == y).sum()


def test_polynomial_classes_have_exact_distances():
    _, X, y, program = compiled("polynomial", rm.SoftmaxCrossEntropy())
    network = program.solve().network()
    distance, chosen = network.distance_to_boundary(X), network.predict(X)
    rng = np.random.default_rng(0)
    steps = rng.standard_normal((400, *X.shape))
    steps /= np.linalg.norm(steps, axis=2, keepdims=True)
    finite = np.isfinite(distance)
    near = np.where(finite, distance, 1.0)
    inside = np.array([network.predict(X + 0.999 * near[:, None] * step) == chosen for step in steps])
    assert inside.all()
    beyond = np.array([network.predict(X + 1.02 * near[:, None] * step) != chosen for step in steps])
    assert beyond.any(axis=0)[finite].all()
    certain = network.certified(X, y, rm.L2(0.2)) == "certified"
    np.testing.assert_array_equal(certain, (chosen == y) & (distance > 0.2))


def test_margins_and_single_outputs_are_networks():
    model, X, y, program = compiled("gated", rm.MultiMargin())
    network = program.solve().network()
    scores = network(X)
    np.testing.assert_allclose(network.between(4, 9)(X), scores[:, 1] - scores[:, 2], atol=1e-12)
    np.testing.assert_allclose(network.output(2)(X), scores[:, 2], atol=1e-12)
    np.testing.assert_allclose(network.prune(model, X)(X), scores, atol=1e-9)
    assert network.prune(model, X).objective(model, X, y) <= network.objective(model, X, y) * (1 + 1e-9)
    assert "3 outputs" in repr(network)
    with pytest.raises(rm.InputError, match="classes are 1, 4, 9; got 2"):
        network.between(2, 4)
    with pytest.raises(rm.InputError, match="3 outputs, counted from 0; got r = 3"):
        network.output(3)


def test_what_is_refused():
    loss, decay = rm.MultiMargin(), rm.WeightDecay(0.1)
    with pytest.raises(rm.InputError, match="MultiMargin is trained without a perturbation"):
        rm.Model(rm.TwoLayer(rm.ReLU()), loss, decay, rm.LInf(0.1))
    X, Y = data(rm.Squared())
    robust = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), decay, rm.LInf(0.1))
    with pytest.raises(rm.InputError, match="is for one output; the targets have 3"):
        robust.compile(X, Y, patterns=rm.SamplePatterns(2))
    model = rm.Model(rm.TwoLayer(rm.ReLU()), loss, decay)
    with pytest.raises(rm.InputError, match="needs two classes at least; every label in y is 3"):
        model.compile(X, np.full(12, 3), patterns=rm.SamplePatterns(2))
    with pytest.raises(rm.InputError, match=r"needs whole numbers as class labels; y holds 0.5"):
        model.compile(X, np.arange(12) / 2, patterns=rm.SamplePatterns(2))
    with pytest.raises(rm.InputTypeError, match="Encode categories as numbers"):
        model.compile(X, list("abc" * 4), patterns=rm.SamplePatterns(2))
    _, X, y, program = compiled("relu", loss)
    network = program.solve().network()
    with pytest.raises(rm.InputError, match="knows the classes 1, 4, 9; y holds 2"):
        network.objective(program.model, X, 0 * y + 2)
    with pytest.raises(rm.InputError, match="3 outputs, one a class; the loss and the targets ask for 1"):
        network.objective(rm.Model(program.model.network, rm.Squared(), decay), X, y)
    with pytest.raises(rm.InputError, match=r"worst_case\(\) is for networks with one output, this one has 3"):
        network.worst_case(program.model, X, y)
    several = compiled("relu", rm.Squared())[3].solve().network()
    with pytest.raises(rm.InputError, match="trained with a loss of single outputs"):
        several.between(0, 1)
    with pytest.raises(rm.InputError, match=r"certified\(\) is for networks with one output"):
        several.certified(X, y, rm.LInf(0.1))


def test_printed():
    text = str(rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.SoftmaxCrossEntropy(), rm.WeightDecay(0.1)))
    assert text == (
        "minimise  1/n sum_k ( log sum_j exp f_j - f_yk )(x_k)  +  0.1/2 sum_j ( |u_j|_2^2 + a_j^2 )\n"
        "over neurons (u_j, a_j),  f(x) = sum_j max(0, [x, 1].u_j) a_j,\n"
        "one output a class:  a_j has one entry for each and counts by their sum of absolute values"
    )
    assert "outputs     3, one a class: 1, 4, 9" in str(compiled("three", rm.MultiMargin())[3])
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.MultiMargin(reduction="sum"), rm.PathNorm(0.1))
    assert rm.Model.from_dict(model.to_dict()) == model


@pytest.mark.parametrize("kind", ["relu", "gated", "three", "polynomial"])
def test_conversions_keep_all_outputs(kind, tmp_path):
    torch, onnx = pytest.importorskip("torch"), pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    _, X, _, program = compiled(kind, rm.Squared())
    network = program.solve(tol=1e-4).network()
    np.testing.assert_allclose(network.to_torch()(torch.tensor(X)).detach().numpy(), network(X), atol=1e-12)
    graph = onnx.load(network.to_onnx(tmp_path / "net.onnx", dtype="float64"))
    np.testing.assert_allclose(ReferenceEvaluator(graph).run(None, {"X": X})[0], network(X), atol=1e-12)
