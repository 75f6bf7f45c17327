"""Worst cases of losses whose two halves differ: exact where the program is, never below an attack, with a bound below."""

import cvxpy as cp
import numpy as np
import pytest

import relumodel as rm
from pairwise import pairwise
from relumodel.functions.base import SampleLoss
from relumodel.functions.crossing import CrossingLoss
from relumodel.functions.sides import Halves, Residuals, minimiser, sides_of
from relumodel.testing import check_function

RNG = np.random.default_rng(0)
X = RNG.standard_normal((14, 2))
Y = X[:, 0] ** 2 - X[:, 1] + 0.3 * RNG.standard_normal(14)
BENT = rm.PLQ((-0.5, 0.7), (-2.0, 0.1, 1.0), (0.5, 1.0, 0.0))
LOSSES = [rm.Pinball(0.9), rm.Expectile(0.2), BENT]
NETWORKS = [
    (rm.ReLU(), "strict"),
    (rm.LeakyReLU(0.1), "crossing"),
    (rm.ReLU(), "crossing"),
    (rm.GatedReLU(), "strict"),
    (rm.Polynomial(), "strict"),
]
SETS = [rm.LInf(0.05), rm.L2(0.1), rm.L1(0.08)]


@pytest.mark.parametrize(("loss", "kind", "perturbation"), pairwise(LOSSES, NETWORKS, SETS))
def test_the_program_is_the_worst_case_of_its_network(loss, kind, perturbation):
    activation, robust = kind
    model = rm.Model(rm.TwoLayer(activation, bias=True), loss, rm.WeightDecay(1e-2), perturbation, robust)
    patterns = {} if isinstance(activation, rm.Polynomial) else {"patterns": rm.SamplePatterns(12, seed=0)}
    solution = model.compile(X, Y, **patterns).solve()
    assert solution.status == "optimal", solution
    assert solution.bound <= solution.objective
    network = solution.network()
    of_network = network.objective(model, X, Y)
    exact = robust == "strict" and not (isinstance(activation, rm.Polynomial) and not isinstance(perturbation, rm.L2))
    assert of_network <= solution.objective * (1 + 1e-6)
    if exact:
        assert of_network == pytest.approx(solution.objective, rel=1e-6)
    worst, ball = network.worst_case(model, X, Y), perturbation.ball(2)
    for k in range(200):
        step = RNG.standard_normal(X.shape)
        step *= (1.0 if k % 2 else RNG.random((14, 1))) / ball.gauge(step)[:, None]
        assert (loss.value(network(X + step) - Y) <= worst.losses + 1e-9).all()


@pytest.mark.parametrize("loss", LOSSES[:2], ids=lambda loss: type(loss).__name__)
def test_agrees_with_the_program_written_by_hand(loss):
    radius, beta = 0.05, 1e-2
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), loss, rm.WeightDecay(beta), rm.LInf(radius))
    program = model.compile(X, Y, patterns=rm.SamplePatterns(12, seed=0))
    solution, D = program.solve(), program.patterns
    A = np.column_stack([X, np.ones(14)])
    v, w = (cp.Variable((D.shape[1], 3)) for _ in range(2))
    moved = cp.norm1(D @ (v - w)[:, :2], axis=1) * radius
    residual = cp.sum(cp.multiply(D @ (v - w), A), axis=1) - Y
    high, low = cp.pos(residual + moved), cp.pos(moved - residual)
    pinball = isinstance(loss, rm.Pinball)
    each = cp.maximum(0.9 * low, 0.1 * high) if pinball else cp.maximum(0.2 * low**2, 0.8 * high**2)
    cones = [cp.multiply(2 * D[:, i] - 1, A @ u[i]) >= radius * cp.norm1(u[i, :2]) for u in (v, w) for i in range(D.shape[1])]
    objective = cp.sum(each) / 14 + beta * sum(cp.sum(cp.norm2(u, axis=1)) for u in (v, w))
    assert solution.objective == pytest.approx(cp.Problem(cp.Minimize(objective), cones).solve("CLARABEL"), rel=1e-6)


@pytest.mark.parametrize("loss", [*LOSSES, rm.Huber(0.5)], ids=lambda loss: type(loss).__name__)
def test_the_faces_belong_together(loss):
    """Two halves, and of an even loss what its single argument gives."""
    clean = SampleLoss.bind(loss, Y[:2], np.array([1.0, 2.5]))
    own = Halves(loss, clean.weights, clean.tau)
    low, high = np.sort(RNG.standard_normal((2, 50, 2)), axis=0)
    for a, b in zip(low, high, strict=True):
        between = a + np.linspace(0, 1, 401)[:, None] * (b - a)
        G = np.concatenate([a, -b])
        each = own.each(G)
        attained = loss.value(between + clean.tau).max(axis=0)
        assert (each >= attained - 1e-12).all()
        assert each == pytest.approx(np.maximum(attained, loss.value(np.full(2, minimiser(loss)))), rel=1e-2, abs=1e-2)
        if loss.even:
            even = Residuals(loss, clean.weights, clean.tau)
            rates = own.rates(G)
            assert each == pytest.approx(even.each(G))
            assert own.conjugate(rates) == pytest.approx(even.conjugate(rates), abs=1e-12)
            assert own.project(3 * rates) == pytest.approx(even.project(3 * rates))
    if not loss.even:
        function = CrossingLoss(clean, rm.LInf(0.3).ball(1), (np.arange(2), np.arange(2)), 1, 0.1)
        assert type(function.sides) is Halves
        assert not function.proximal
        check_function(function, 12, only=["convex", "gradient", "fenchel_young", "conjugate", "domain", "rows"])


def test_engines_without_its_proximal_map_say_so():
    program = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Pinball(0.9), rm.WeightDecay(1e-2), rm.LInf(0.05), "crossing").compile(
        X, Y, patterns=rm.SamplePatterns(5, seed=0)
    )
    with pytest.raises(rm.BackendError, match="proximal map, and 'loss'"):
        program.solve("admm")


def test_a_loss_that_never_stops_falling_has_no_halves():
    class Falling(rm.ResidualLoss):
        """A loss of residuals that should be one of margins."""

        formula = "max(0, 1e7 - {s})"

        def value(self, s):
            return np.maximum(0.0, 1e7 - s)

    with pytest.raises(rm.InputError, match="still falls at"):
        minimiser(Falling())
    assert sides_of(BENT, np.ones(1), np.zeros(1)).least == pytest.approx(-0.1 + 0.0, abs=1e-9)
