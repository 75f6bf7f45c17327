"""The native engine on small programs: the optimum of the conic solver, a gap of 1e-6, on awkward data too."""

import warnings

import numpy as np
import pytest

import relumodel as rm
from pairwise import pairwise
from relumodel.certify.bound import gradients
from relumodel.certify.tighten import tighten
from relumodel_admm.backend import AdmmBackend
from relumodel_admm.scaled import scaled

LOSSES = [rm.Squared, rm.Absolute, lambda **how: rm.Huber(0.3, **how), rm.Hinge, rm.SquaredHinge, rm.Logistic]
NAMES = ["squared", "absolute", "huber", "hinge", "squared hinge", "logistic"]
ACTIVATIONS = [rm.ReLU(), rm.LeakyReLU(0.1), rm.GatedReLU()]


def labels(n, rng):
    y = np.sign(rng.standard_normal(n))
    y[:2] = 1, -1
    return y


def program(loss, penalty, activation=None, X=None, patterns=8, bias=True):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((40, 4)) if X is None else X
    model = rm.Model(rm.TwoLayer(activation or rm.ReLU(), bias=bias), loss, penalty)
    return model.compile(X, labels(len(X), rng), patterns=rm.SamplePatterns(patterns, seed=0))


def solved(compiled, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return compiled.solve(backend=AdmmBackend(), **options)


@pytest.mark.parametrize(("loss", "penalty", "activation"), pairwise(LOSSES, [rm.WeightDecay, rm.PathNorm], ACTIVATIONS))
def test_agrees_with_clarabel(loss, penalty, activation):
    for beta in (1e-4, 1e-2):
        compiled = program(loss(), penalty(beta), activation)
        ours = solved(compiled)
        assert ours.status == "optimal", ours
        assert ours.violation == 0
        assert ours.objective == pytest.approx(compiled.solve(backend="clarabel").objective, rel=2e-6)


def awkward():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((20, 3))
    yield "repeated rows", np.vstack([X, X, -X])
    yield "zero rows", np.vstack([X, np.zeros((4, 3))])
    yield "rank two", rng.standard_normal((40, 2)) @ rng.standard_normal((2, 6))
    yield "n << d", rng.standard_normal((10, 60))
    yield "n >> d", rng.standard_normal((500, 3))
    yield "binary", np.sign(rng.standard_normal((50, 5)))
    yield "large", 1e4 * rng.standard_normal((40, 4))
    yield "columns of all scales", rng.standard_normal((40, 5)) * 10.0 ** np.array([-4, -2, 0, 2, 4])


@pytest.mark.parametrize("loss", LOSSES, ids=NAMES)
@pytest.mark.parametrize(("name", "X"), list(awkward()), ids=[name for name, _ in awkward()])
def test_degenerate_data(loss, name, X):
    for penalty in (rm.WeightDecay(0.1), rm.PathNorm(0.01)):
        solution = solved(program(loss(), penalty, X=X, patterns=5, bias=False))
        assert solution.gap <= 1e-6, solution


def with_a_column_of(size, loss, seed):
    """Patterns that depend on the odd column as on the others; the optimum of the equally scaled program is none of this one's."""
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((40, 4)), labels(40, rng)
    drawn = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(1)).compile(X, y, patterns=rm.SamplePatterns(5, seed=0))
    X[:, 2] *= size
    model = rm.Model(rm.TwoLayer(rm.ReLU()), loss(), rm.WeightDecay(0.02 * min(1.0, size)))
    return model.compile(X, y, patterns=rm.GivenPatterns(drawn.patterns))


@pytest.mark.parametrize("loss", [rm.Squared, rm.Hinge, rm.Logistic], ids=["squared", "hinge", "logistic"])
@pytest.mark.parametrize("size", [1e-8, 1e-4, 1e4, 1e8])
def test_a_column_of_another_scale(loss, size):
    for seed in (4, 7):
        compiled = with_a_column_of(size, loss, seed)
        solution = solved(compiled)
        assert solution.gap <= 1e-6, solution
        assert solution.iterations < 100  # three times what is usual
        assert solution.objective < compiled.objective(0 * solution.point)


def test_the_limit_of_float64_is_named():
    """Sixteen orders of magnitude between columns: a gap may remain, and what limits it is said; the bound holds all the same."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 3)) * np.array([1e-10, 1.0, 1e10])
    compiled = program(rm.Squared(), rm.PathNorm(1e-12), X=X, bias=False)
    solution = solved(compiled)
    assert solution.bound <= solution.objective
    assert solution.gap <= 1e-6 or "at the limit of float64" in solution.message


def beta_max(compiled):
    """Where zero becomes optimal: the largest dual norm over the blocks, the best cone multipliers in place."""
    free = compiled.with_penalty(0.0)
    q = gradients(free, np.zeros(free.n_variables))
    _, left = tighten(free, q, -free.term("loss").map.adjoint(q["loss"]))
    return float(free.term("penalty").function.block_gauges(left).max())


@pytest.mark.parametrize("loss", [rm.Hinge, rm.Absolute], ids=["hinge", "absolute"])
def test_penalties_almost_strong_enough_for_zero(loss):
    """Most samples then sit at an end of their multiplier's interval."""
    X = np.random.default_rng(3).standard_normal((150, 6))
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), loss(), rm.WeightDecay(1.0))
    compiled = model.compile(X, np.where(X[:, 0] > 0.3, 1.0, -1.0), patterns=rm.SamplePatterns(10, seed=0))
    strongest = beta_max(compiled)
    assert solved(compiled.with_penalty(1.001 * strongest)).iterations == 0
    for share in (0.5, 0.9):
        assert solved(compiled.with_penalty(share * strongest)).gap <= 1e-6


@pytest.mark.parametrize("loss", LOSSES, ids=NAMES)
def test_weak_penalties(loss):
    assert solved(program(loss(), rm.WeightDecay(1e-6))).gap <= 1e-6


@pytest.mark.parametrize("loss", LOSSES, ids=NAMES)
def test_the_zero_optimum_is_seen_at_once(loss):
    solution = solved(program(loss(), rm.WeightDecay(1e3)))
    assert (solution.status, solution.iterations) == ("optimal", 0)
    assert not solution.point.any()


def test_targets_that_are_zero():
    compiled = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(0.1)).compile(
        np.eye(3), np.zeros(3), patterns=rm.EnumeratePatterns()
    )
    assert solved(compiled).objective == 0


def test_a_tall_program_takes_the_narrow_system():
    X = np.random.default_rng(0).standard_normal((800, 4))
    compiled = program(rm.Squared(), rm.WeightDecay(1e-2), X=X, patterns=6)
    assert solved(compiled).objective == pytest.approx(compiled.solve(backend="clarabel").objective, rel=2e-6)


def test_stopping_early_leaves_a_valid_bound():
    compiled = program(rm.Hinge(), rm.WeightDecay(1e-3))
    best = solved(compiled)
    seen = []
    stopped = solved(compiled, callback=lambda progress: seen.append(progress) or progress.iteration >= 6)
    assert stopped.status == "interrupted"
    assert [p.iteration for p in seen] == list(range(7))
    assert stopped.bound <= best.objective <= stopped.objective


@pytest.mark.parametrize("loss", LOSSES, ids=NAMES)
@pytest.mark.parametrize("penalty", [rm.WeightDecay, rm.PathNorm])
def test_a_warm_start_ends_where_a_cold_one_does(loss, penalty):
    compiled = program(loss(), penalty(1e-3), patterns=12)
    near = solved(compiled.with_penalty(1.5e-3))
    cold, warm = solved(compiled), solved(compiled, warm_start=near)
    assert warm.gap <= 1e-6
    assert warm.violation == 0
    assert warm.objective == pytest.approx(cold.objective, rel=2e-6)
    assert near.restart is not None
    assert warm.iterations <= cold.iterations + 5


def test_warm_starts_that_do_not_fit_are_not_used():
    compiled = program(rm.Squared(), rm.WeightDecay(1e-3), patterns=12)
    near = solved(compiled.with_penalty(1.5e-3))
    units = scaled(compiled)
    assert near.restart.iterate_for(units) is not None
    assert near.restart.iterate_for(scaled(compiled.with_penalty(1e-1))) is None  # too far away
    assert (
        near.restart.iterate_for(scaled(program(rm.Squared(), rm.WeightDecay(1e-3), patterns=12))) is None
    )  # of other data, for all it knows
    other = program(rm.Squared(), rm.PathNorm(1e-3), patterns=12)
    assert solved(other, warm_start=near).gap <= 1e-6


def test_a_path_in_any_order():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4))
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Hinge(), rm.WeightDecay(1.0))
    betas = [1e-3, 1.0, 1e-2, 2e-2, 5e-3]
    along = rm.path(model, X, labels(60, rng), betas=betas, patterns=rm.SamplePatterns(8, seed=0), backend="admm")
    for beta, solution in zip(betas, along, strict=True):
        assert solution.program.model.penalty.beta == beta
        assert solution.gap <= 1e-6
        assert solution.objective == pytest.approx(solved(solution.program).objective, rel=2e-6)


def test_nothing_left_to_chance():
    first, second = (solved(program(rm.Squared(), rm.WeightDecay(1e-2))) for _ in range(2))
    assert np.array_equal(first.point, second.point)


@pytest.mark.parametrize("loss", [rm.Squared(), rm.Hinge(), rm.Logistic()], ids=["squared", "hinge", "logistic"])
def test_penalties_near_zero_are_solved_as_well_as_small_ones(loss) -> None:
    """Where float64 can prove nothing any more, the point is still as good as that of a penalty a billion times larger."""
    small = solved(program(loss, rm.WeightDecay(1e-9))).objective
    for beta in (0.0, 5e-324, 1e-300, 1e-30, 1e-16, 1e-12):
        found = solved(program(loss, rm.WeightDecay(beta)))
        assert found.bound <= found.objective <= small * (1 + 1e-5) + 1e-7


@pytest.mark.parametrize("loss", [rm.Squared(), rm.Hinge(), rm.Logistic()], ids=["squared", "hinge", "logistic"])
def test_centred_steps_end_where_others_do(loss, monkeypatch) -> None:
    """Where factors are dear, steps are corrected with those at hand; here they always are, or never."""
    X = np.random.default_rng(3).standard_normal((150, 4))
    compiled = program(loss, rm.WeightDecay(1e-3), X=X, patterns=20)
    found = []
    for dear in (0.0, np.inf):
        monkeypatch.setattr("relumodel_admm.interior_point.DEAR", dear)
        found.append(solved(compiled))
        assert found[-1].gap <= 1e-6
    assert found[0].objective == pytest.approx(found[1].objective, rel=2e-6)
    assert found[0].iterations < found[1].iterations
