"""ADMM on every two-layer program, clean and perturbed: the optimum of the conic solver, a valid bound however it ends."""

import signal
import warnings

import numpy as np
import pytest

import relumodel as rm
from relumodel.backend import Options
from relumodel.functions.base import Nonnegative
from relumodel.maps.base import Identity, Kron, Slice
from relumodel.maps.crossing import CrossingMap
from relumodel.maps.robust_maps import SampleWeights, Stacked
from relumodel.program.arrays import Arrays
from relumodel.resources.memory import Room
from relumodel_admm import normal_system
from relumodel_admm.backend import AdmmBackend
from relumodel_admm.first_order import FirstOrder, samples
from relumodel_admm.images import SeparateImages, images_of
from relumodel_admm.normal_system import DenseInverse, NormalSystem, PencilInverse
from relumodel_admm.signed import turned

LOSSES = [rm.Squared(), rm.Absolute(), rm.Huber(0.3), rm.Hinge(), rm.SquaredHinge(), rm.Logistic()]
NAMES = ["squared", "absolute", "huber", "hinge", "squared hinge", "logistic"]


def program(
    loss=None, penalty=None, perturbation=None, robust="strict", activation=None, X=None, n=24, seed=0, patterns=5, outputs=None
):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 3)) if X is None else X
    y = np.where(X[:, 0] + 0.3 * rng.standard_normal(len(X)) > 0, 1.0, -1.0)
    if outputs:
        y = rng.integers(0, outputs, len(X))
    model = rm.Model(
        rm.TwoLayer(activation or rm.ReLU(), bias=True),
        loss or rm.Squared(),
        penalty or rm.WeightDecay(1e-2),
        perturbation,
        robust=robust,
    )
    return model.compile(X, y, patterns=rm.SamplePatterns(patterns, seed=seed))


def solved(compiled, tol=1e-3, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return compiled.solve(backend=AdmmBackend(), tol=tol, method="admm", **options)


def agrees(compiled, tol=1e-3, **options):
    ours, best = solved(compiled, tol, **options), compiled.solve(backend="clarabel")
    assert ours.status == "optimal", ours
    assert ours.violation == 0
    assert ours.objective == pytest.approx(best.objective, rel=1.1 * tol)
    assert ours.bound <= best.objective * (1 + 1e-7)
    return ours


@pytest.mark.parametrize("loss", LOSSES, ids=NAMES)
@pytest.mark.parametrize("penalty", [rm.WeightDecay(1e-2), rm.PathNorm(1e-2)])
def test_clean_programs(loss, penalty):
    agrees(program(loss, penalty), tol=1e-2 if isinstance(loss, rm.Absolute) else 1e-3)


@pytest.mark.parametrize("loss", LOSSES, ids=NAMES)
@pytest.mark.parametrize("penalty", [rm.WeightDecay(1e-2), rm.PathNorm(1e-2)], ids=["weight decay", "path norm"])
def test_strict_programs(loss, penalty):
    agrees(program(loss, penalty, perturbation=rm.LInf(0.05), n=8, patterns=2), tol=5e-2)


@pytest.mark.parametrize("loss", LOSSES[3:], ids=NAMES[3:])
@pytest.mark.parametrize("penalty", [rm.WeightDecay(1e-2), rm.PathNorm(5e-2)], ids=["weight decay", "path norm"])
def test_crossing_programs(loss, penalty):
    agrees(program(loss, penalty, perturbation=rm.LInf(0.05), robust="crossing", n=5, patterns=2), tol=1e-1)


@pytest.mark.parametrize("loss", LOSSES[:3], ids=NAMES[:3])
def test_crossing_programs_of_residuals(loss):
    """Their proximal map takes long, so only a few iterations: a valid bound, and better than zero."""
    compiled = program(loss, perturbation=rm.LInf(0.05), robust="crossing", n=6, patterns=1)
    ours, best = solved(compiled, max_iter=12), compiled.solve(backend="clarabel").objective
    assert ours.bound <= best * (1 + 1e-7) <= ours.objective * (1 + 2e-7)
    assert ours.objective < compiled.objective(np.zeros(compiled.n_variables))


@pytest.mark.parametrize("perturbation", [rm.L2(0.05), rm.L1(0.1)])
@pytest.mark.parametrize("robust", ["strict", "crossing"])
def test_other_perturbations(perturbation, robust):
    agrees(program(rm.SquaredHinge(), perturbation=perturbation, robust=robust, n=6, patterns=1), tol=2e-2)


@pytest.mark.parametrize("activation", [rm.LeakyReLU(0.1), rm.GatedReLU()], ids=["leaky", "gated"])
def test_other_activations(activation):
    agrees(program(activation=activation))
    agrees(program(rm.Hinge(), activation=activation, perturbation=rm.LInf(0.02), n=8, patterns=2), tol=5e-2)


def awkward():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((20, 3))
    yield "repeated rows", np.vstack([X, X, -X])
    yield "zero rows", np.vstack([X, np.zeros((4, 3))])
    yield "collinear", rng.standard_normal((30, 2)) @ rng.standard_normal((2, 5))
    yield "n << d", rng.standard_normal((8, 40))
    yield "n >> d", rng.standard_normal((400, 2))
    yield "large", 1e4 * rng.standard_normal((30, 3))
    yield "small", 1e-4 * rng.standard_normal((30, 3))


@pytest.mark.parametrize(("name", "X"), list(awkward()), ids=[name for name, _ in awkward()])
@pytest.mark.parametrize("dense", [True, False], ids=["factorised", "conjugate gradients"])
def test_awkward_data(name, X, dense, monkeypatch):
    monkeypatch.setattr("relumodel_admm.first_order.DENSE", 600 if dense else 0)
    agrees(program(X=X, penalty=rm.WeightDecay(0.1)), tol=5e-3)


def normal_matrix(images, weights):
    columns = [images.forward(e) for e in np.eye(images.size)]
    images.weigh(weights)
    return np.stack([images.adjoint([1.0 * image for image in column]) for column in columns], axis=1)


def program_rows(images, taken):
    """Images as the program's maps give them, with the signs of the cones and the norms of the samples."""
    if isinstance(images, SeparateImages):
        return taken
    out = taken[:1]
    for image, own in zip(taken[1:], images.own, strict=True):
        out.append(turned(image, images.side * images.norms, images.products) if own.products else image)
    return out


CASES = {
    "clean": program(),
    "gated": program(activation=rm.GatedReLU()),
    "strict": program(rm.Hinge(), perturbation=rm.LInf(0.02), n=12),
    "strict gated": program(rm.Hinge(), perturbation=rm.LInf(0.02), n=12, activation=rm.GatedReLU()),
    "crossing": program(rm.Hinge(), perturbation=rm.LInf(0.02), robust="crossing", n=12),
    "crossing residual": program(rm.Squared(), perturbation=rm.LInf(0.02), robust="crossing", n=12),
    "leaky": program(
        activation=rm.LeakyReLU(0.1), X=np.vstack([np.random.default_rng(0).standard_normal((20, 3)), np.zeros((2, 3))])
    ),
    "outputs": program(rm.MultiMargin(), n=12, outputs=3, patterns=3),
    "outputs, gated": program(rm.SoftmaxCrossEntropy(), activation=rm.GatedReLU(), n=12, outputs=3, patterns=3),
}


def reads_weights(K):
    """Which rows of a map are an identity on blocks, or sums of whole blocks; the others are products with X."""
    if isinstance(K, Kron):
        return np.tile(reads_weights(K.one), K.times)
    if isinstance(K, Stacked):
        return np.concatenate([reads_weights(part) for part in K.maps])
    rows = np.zeros(K.shape[0], dtype=bool)
    if isinstance(K, SampleWeights):
        rows[len(K.X) :] = True
    elif isinstance(K, CrossingMap):
        P, _, d = K.sizes
        at = np.concatenate([np.repeat([False, True, False], [len(k), len(k) * d, len(k) * P]) for k in K.samples])
        rows[at] = True
    elif isinstance(K, Identity | Slice):
        rows[:] = True
    return rows


def mean_matrix(compiled, weights):
    """The normal matrix with every block X' D X, formed from the maps, replaced by its mean, a multiple of X'X."""
    X, total = samples(compiled), 0.0
    d, N = X.shape[1], compiled.n_variables
    images = images_of(compiled)
    size = N - getattr(images.pencils()[0].rest, "size", 0)
    for term, weight in zip(compiled.terms, weights, strict=True):
        K = term.map.matrix().toarray()
        if isinstance(term.function, Nonnegative):
            K = K / np.tile(images.norms, len(K) // len(images.norms))[:, None]
        plain = reads_weights(term.map)
        product = K[~plain].T @ K[~plain]
        blocks = product[:size, :size].reshape(size // d, d, size // d, d)
        mean = np.trace(blocks, axis1=1, axis2=3) / np.trace(X.T @ X)
        own = np.zeros((N, N))
        own[:size, :size] = np.kron(mean, X.T @ X)
        own[size:, size:] = np.diag(np.diag(product)[size:])
        total = total + weight * (own + K[plain].T @ K[plain])
    return total


@pytest.mark.parametrize("name", CASES)
def test_the_pencils_invert_the_normal_matrix_of_means(name):
    """For weights one after the other: what is kept between them must serve them all."""
    images, compiled = images_of(CASES[name]), CASES[name]
    inverse = PencilInverse(images, Arrays())
    for weights in ([2.0, 0.5, 1.5], [0.1, 3.0, 40.0]):
        weights = weights[: len(compiled.terms)]
        inverse.weigh(weights)
        M = mean_matrix(compiled, weights)
        np.testing.assert_allclose(np.stack([inverse(column) for column in M], axis=1), np.eye(len(M)), atol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_images_are_those_of_the_maps(name):
    compiled, rng = CASES[name], np.random.default_rng(0)
    maps = [t.map for t in compiled.terms]
    images = images_of(compiled)
    x = rng.standard_normal(compiled.n_variables)
    taken = images.forward(x)
    q = [rng.standard_normal(len(image)) for image in taken]
    for K, image in zip(maps, program_rows(images, taken), strict=True):
        np.testing.assert_allclose(image, K.forward(x), atol=1e-12)
    pairs = [a @ b for a, b in zip(q, taken, strict=True)]
    for K, multiplier, pair in zip(maps, images.multipliers([1.0 * part for part in q]), pairs, strict=True):
        np.testing.assert_allclose(K.adjoint(multiplier) @ x, pair, atol=1e-10)
    weights = [2.0, 0.5, 1.5][: len(maps)]
    expected = sum(w * pair for w, pair in zip(weights, pairs, strict=True))
    np.testing.assert_allclose(images.back(q[0]) @ x, pairs[0], atol=1e-10)
    images.weigh(weights)
    np.testing.assert_allclose(images.adjoint([1.0 * part for part in q]) @ x, expected, atol=1e-10)
    others = images.adjoint([0.0 * taken[0], *(1.0 * image for image in taken[1:])])
    np.testing.assert_allclose(images.normal(x), others, atol=1e-10)


def test_more_features_than_samples_need_no_square_matrix_of_them():
    compiled, rng = program(X=np.random.default_rng(0).standard_normal((8, 12))), np.random.default_rng(1)
    images, x = images_of(compiled), rng.standard_normal(compiled.n_variables)
    assert images.metric is None
    assert images_of(CASES["clean"]).metric is not None
    taken = images.forward(x)
    images.weigh([1.0, 2.0, 3.0])
    np.testing.assert_allclose(
        images.normal(x), images.adjoint([0.0 * taken[0], *(1.0 * image for image in taken[1:])]), atol=1e-10
    )


@pytest.mark.parametrize("name", ["clean", "strict", "outputs"])
def test_functions_of_unsigned_rows(name):
    """Their proximal points are those of the program's functions, once the rows have their signs; reflections are those of the points."""
    compiled, rng = CASES[name], np.random.default_rng(0)
    images = images_of(compiled)
    functions = [t.function for t in compiled.terms]
    z = [rng.standard_normal(len(image)) for image in images.forward(np.zeros(images.size))]
    for face, function, part, own in zip(images.faces(functions)[1:], functions[1:], z[1:], images.own, strict=True):
        signed = turned(part, images.side, images.products) if own.products else part
        point = function.prox(signed, 0.7)
        point = turned(point, images.side, images.products) if own.products else point
        np.testing.assert_allclose(face.prox(part, 0.7), point, atol=1e-12)
        if hasattr(face, "reflect"):
            np.testing.assert_allclose(face.reflect(part), 2 * point - part, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", [DenseInverse, PencilInverse])
def test_the_normal_system_is_solved(name, kind):
    compiled, rng = CASES[name], np.random.default_rng(0)
    images = images_of(compiled)
    weights = [2.0, 0.5, 1.5][: len(compiled.terms)]
    system = NormalSystem(images, kind(images, Arrays()), 1 if kind is DenseInverse else 60)
    system.weigh(weights)
    x = rng.standard_normal(images.size)
    targets = [rng.standard_normal(len(image)) for image in images.forward(x)]
    right = images.adjoint([1.0 * t for t in targets])
    exact = np.linalg.solve(normal_matrix(images, weights), right)
    found, prediction = system.solve(x, images.predict(x), targets)
    np.testing.assert_allclose(found, exact, atol=1e-7 * np.abs(exact).max())
    again = images.predict(found)
    np.testing.assert_allclose(prediction, again, atol=1e-9 * np.abs(again).max())


def test_the_pencil_is_exact_where_all_samples_are_active():
    """One pattern, rows of one norm: nothing is replaced by its mean."""
    X = np.random.default_rng(0).standard_normal((30, 4))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(0.1))
    compiled = model.compile(X, X[:, 0], patterns=rm.GivenPatterns(np.ones((30, 1), dtype=bool)))
    images = images_of(compiled)
    inverse = PencilInverse(images, Arrays())
    inverse.weigh([1.0, 2.0, 3.0])
    M = normal_matrix(images, [1.0, 2.0, 3.0])
    np.testing.assert_allclose(np.stack([inverse(column) for column in M], axis=1), np.eye(len(M)), atol=1e-10)


def test_float32_reaches_what_it_can_and_says_what_it_cannot():
    single = agrees(program(n=60), dtype="float32")
    assert single.message.startswith("ADMM")
    too_much = solved(program(n=60), tol=1e-9, dtype="float32", max_iter=300)
    assert too_much.status == "tolerance not reached"
    assert "float32 lost the accuracy" in too_much.message


def test_float32_computes_in_float32():
    first = FirstOrder(CASES["strict"], Options(), Arrays("float32"), None)
    first.splitting.step()
    assert {part.dtype.name for part in (*first.splitting.states, *first.splitting.copies, first.splitting.x)} == {"float32"}


def test_nothing_left_to_chance():
    first, second = (solved(program()) for _ in range(2))
    assert np.array_equal(first.point, second.point)


def test_stopped_by_the_callback_the_limit_and_the_clock():
    compiled = program(rm.Hinge(), n=60, patterns=10)
    best = compiled.solve(backend="clarabel").objective
    by_callback = solved(compiled, tol=1e-9, callback=lambda progress: progress.iteration >= 40)
    by_limit = solved(compiled, tol=1e-9, max_iter=35)
    by_clock = solved(compiled, tol=1e-12, time_limit=0.05)
    assert (by_callback.status, by_callback.iterations) == ("interrupted", 40)
    assert (by_limit.status, by_limit.iterations) == ("tolerance not reached", 35)
    assert by_clock.status == "time limit"
    for solution in (by_callback, by_limit, by_clock):
        assert solution.violation == 0
        assert solution.bound <= best * (1 + 1e-7) <= solution.objective * (1 + 2e-7)


def test_ctrl_c_leaves_a_feasible_point_and_a_bound():
    compiled = program(rm.Hinge(), n=60, patterns=10)
    best = compiled.solve(backend="clarabel").objective
    solution = solved(
        compiled, tol=1e-12, callback=lambda progress: progress.iteration >= 40 and signal.raise_signal(signal.SIGINT)
    )
    assert solution.status == "interrupted"
    assert solution.violation == 0
    assert solution.bound <= best * (1 + 1e-7) <= solution.objective * (1 + 2e-7)


def test_bounds_that_are_shown_never_fall():
    seen = []
    solved(program(rm.Absolute(), n=60, patterns=10), tol=1e-9, max_iter=300, callback=lambda progress: seen.append(progress.bound))
    assert seen == sorted(seen)


@pytest.mark.parametrize("loss", LOSSES, ids=NAMES)
@pytest.mark.parametrize("robust", [None, "strict", "crossing"])
def test_the_zero_optimum_is_seen_at_once(loss, robust):
    ball = None if robust is None else rm.LInf(0.05)
    solution = solved(program(loss, rm.WeightDecay(1e2), ball, robust or "strict", n=8, patterns=2), tol=1e-6)
    assert (solution.status, solution.iterations) == ("optimal", 0)
    assert not solution.point.any()


def test_memory_is_checked_before_the_start(monkeypatch):
    monkeypatch.setattr("relumodel.resources.memory.available", lambda: Room(2.0**10, "the pretended limit"))
    with pytest.raises(
        rm.MemoryLimitError, match=r"would take at least .* kB of memory, and 1.02 kB are left of the pretended limit"
    ):
        program().solve(backend=AdmmBackend())


def test_it_starts_from_a_warm_start():
    compiled = program(n=60)
    near = solved(compiled, tol=1e-4)
    again = solved(compiled, max_iter=10, warm_start=near)
    cold = solved(compiled, max_iter=10)
    assert again.objective <= near.objective < cold.objective
    first = FirstOrder(compiled, Options(warm_start=near.point), Arrays(), None)
    np.testing.assert_allclose(first.splitting.x, near.point)


def test_zero_targets():
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(0.1))
    assert solved(model.compile(np.eye(3), np.zeros(3), patterns=rm.EnumeratePatterns())).objective == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "simplex"}, "method must be 'interior point' or 'admm'; got 'simplex'"),
        ({"dtype": "float16"}, "dtype must be one of float64, float32; got 'float16'"),
        ({"cg_steps": 0}, "cg_steps must be a whole number, at least 1; got 0"),
        ({"max_iter": 1.5, "method": "admm"}, "max_iter must be a whole number"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(rm.BackendError, match=message):
        program().solve(backend=AdmmBackend(), **options)


def test_the_method_is_chosen_and_named(monkeypatch):
    assert solved(program()).message.startswith("ADMM")
    assert program().solve(backend=AdmmBackend()).message.startswith("interior point")
    with pytest.raises(rm.BackendError, match="The interior point cannot take this program: it does not know the term 'loss'"):
        CASES["strict"].solve(backend=AdmmBackend(), method="interior point")
    assert "it does not know the term 'loss'" in CASES["strict"].solve(backend=AdmmBackend(), tol=1e-2).message
    monkeypatch.setattr("relumodel_admm.backend.HEAVY", 0)
    assert "one of its iterations would take about" in program().solve(backend=AdmmBackend(), tol=1e-2).message
    monkeypatch.setattr("relumodel_admm.backend.HEAVY", np.inf)
    room = AdmmBackend().bytes_needed(program())
    monkeypatch.setattr("relumodel.resources.memory.available", lambda: Room(room, "the pretended limit"))
    message = program().solve(backend=AdmmBackend(), tol=1e-2).message
    assert message.startswith("ADMM")
    assert "no interior point, since it would need about" in message


def test_auto_prefers_conic_solvers_on_small_perturbed_programs(monkeypatch):
    backend = AdmmBackend()
    assert backend.reluctant(CASES["strict"], 1e-6)
    assert not backend.reluctant(CASES["clean"], 1e-6)
    monkeypatch.setattr("relumodel_admm.backend.SMALL", 0)
    assert not backend.reluctant(CASES["strict"], 1e-6)


def test_dense_and_iterated_systems_agree(monkeypatch):
    dense = solved(program(n=60), tol=1e-5)
    monkeypatch.setattr("relumodel_admm.first_order.DENSE", 0)
    assert normal_system.DENSE > 0
    assert solved(program(n=60), tol=1e-5).objective == pytest.approx(dense.objective, rel=2e-5)
