"""The worst case over training data: the strict program's objective, never exceeded by an attack, never below one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relumodel as rm
from data_strategies import LOSSES, example, targets
from pairwise import pairwise
from robust_networks import SETS, attacked_networks, random_network
from robust_reference import draws, inside

EACH_LOSS = LOSSES[::2]


def name(value):
    return type(value).__name__


def model_of(activation, loss, perturbation, robust="strict", bias=True):
    return rm.Model(rm.TwoLayer(activation, bias), loss, rm.WeightDecay(0.02), perturbation, robust)


def losses_at(network, loss, X, y):
    f = network(X)
    return loss.value(y * f if loss.reads == "margin" else f - y)


@pytest.mark.parametrize(
    ("activation", "perturbation", "loss"),
    pairwise(
        [rm.ReLU(), rm.LeakyReLU(0.2), rm.GatedReLU()], [rm.LInf((0.15, 0.05)), rm.L2(0.1), rm.L1(0.2, fixed=(1,))], EACH_LOSS
    ),
    ids=name,
)
def test_the_network_of_a_strict_program_attains_its_objective(activation, perturbation, loss):
    model = model_of(activation, loss, perturbation)
    X, y = example(model, n=10, seed=2)
    solution = model.compile(X, y, patterns=rm.SamplePatterns(8)).solve()
    network = solution.network()
    assert network.objective(model, X, y) == pytest.approx(solution.objective, rel=1e-9)
    worst = network.worst_case(model, X, y)
    X_adv, losses = worst
    assert worst.exact.all()
    assert losses.shape == (10,)
    assert (inside(perturbation, perturbation.radii(2), X_adv - X) <= 1).all()
    np.testing.assert_allclose(losses_at(network, loss, X_adv, y), losses, atol=1e-10)


@pytest.mark.parametrize(
    ("activation", "perturbation", "loss"),
    pairwise([rm.ReLU(), rm.LeakyReLU(0.2)], [rm.LInf(0.2), rm.L2((0.2, 0.1)), rm.L1(0.3)], EACH_LOSS),
    ids=name,
)
def test_the_network_of_a_crossing_program_is_certified_by_its_objective(activation, perturbation, loss):
    model = model_of(activation, loss, perturbation, "crossing")
    X, y = example(model, n=10, seed=3)
    solution = model.compile(X, y, patterns=rm.SamplePatterns(6)).solve()
    network = solution.network()
    worst = network.worst_case(model, X, y)
    assert network.objective(model, X, y) <= solution.objective * (1 + 1e-6)
    assert (inside(perturbation, perturbation.radii(2), worst.X - X) <= 1).all()
    attained = losses_at(network, loss, worst.X, y)
    assert (attained <= worst.losses + 1e-9).all()
    np.testing.assert_allclose(attained[worst.exact], worst.losses[worst.exact], atol=1e-8)


def test_the_objective_is_weights_times_losses_plus_penalty():
    network = random_network(rm.ReLU(), 2, 5, seed=3)
    for loss in LOSSES:
        model = model_of(rm.ReLU(), loss, rm.L2(0.3))
        X, y = example(model)
        _, losses = network.worst_case(model, X, y)
        total = losses.mean() if loss.reduction == "mean" else losses.sum()
        penalty = model.penalty.of_network(network.hidden_weights, network.output_weights)
        assert network.objective(model, X, y) == pytest.approx(total + penalty, rel=1e-12)


@given(attacked_networks(rows=(2, 5)), st.sampled_from(EACH_LOSS))
def test_no_point_of_the_sets_beats_the_losses(case, loss):
    network, X, _, perturbation = case
    y = targets(loss, len(X))
    model = rm.Model(rm.TwoLayer(network.activation, network.bias), loss, rm.WeightDecay(0), perturbation)
    worst = network.worst_case(model, X, y)
    radii = perturbation.radii(X.shape[1])
    assert (inside(perturbation, radii, worst.X - X) <= 1).all()
    assert (losses_at(network, loss, worst.X, y) >= losses_at(network, loss, X, y)).all()
    for delta in draws(perturbation, radii, (100, len(X)), np.random.default_rng(0)):
        found = losses_at(network, loss, X + delta, y)
        assert (found <= worst.losses + 1e-9 * (1 + worst.losses)).all()
        assert (found <= losses_at(network, loss, worst.X, y) + 1e-7 * (1 + worst.losses))[worst.exact].all()


@pytest.mark.parametrize("bias", [False, True])
def test_pgd_never_exceeds_the_worst_case(bias):
    """Many steps and starts against a strict program's network, where the worst case is exact, and a crossing one's."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0.2, 1.5, (30, 3))
    y = np.where(X[:, 0] - X[:, 1] + 0.3 * rng.standard_normal(30) > 0, 1.0, -1.0)
    for robust in ("strict", "crossing"):
        model = model_of(rm.ReLU(), rm.Hinge(), rm.LInf(0.1), robust, bias)
        network = model.compile(X, y, patterns=rm.SamplePatterns(15)).solve().network()
        _, losses = network.worst_case(model, X, y)
        X_adv = rm.attacks.pgd(network, X, y, 0.1, steps=100, starts=8, seed=1)
        attacked = losses_at(network, rm.Hinge(), X_adv, y)
        assert (attacked <= losses + 1e-12).all()
        if robust == "strict":
            np.testing.assert_allclose(attacked, losses, atol=1e-9)  # and PGD finds the worst point of a linear function


def test_without_a_perturbation_nothing_moves():
    network = random_network(rm.ReLU(), 2, 4, seed=1)
    for perturbation in (None, rm.LInf(0.0), rm.L1(1.0, fixed=(0, 1))):
        model = model_of(rm.ReLU(), rm.Logistic(), perturbation)
        X, y = example(model)
        worst = network.worst_case(model, X, y)
        np.testing.assert_array_equal(worst.X, X)
        np.testing.assert_allclose(worst.losses, losses_at(network, rm.Logistic(), X, y))
        assert worst.exact.all()
        assert network.objective(model, X, y) == pytest.approx(
            worst.losses.mean() + model.penalty.of_network(network.hidden_weights, network.output_weights)
        )


def test_by_hand():
    """f = 2 (x1)_+ - (x2)_+ at (1, 1), y = 1, hinge. Radius 0.5: worst (0.5, 1.5), margin -0.5, loss 1.5. For L1 the first
    feature alone, (0.5, 1), margin 0. Radius 2: the first neuron can be switched off, the second reach 3: margin -3."""
    network = rm.Network(rm.ReLU(), False, np.eye(2), np.array([2.0, -1.0]), classifies=True)
    X, y = np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([1.0, -1.0])
    for perturbation, point, loss in (
        (rm.LInf(0.5), (0.5, 1.5), 1.5),
        (rm.L1(0.5), (0.5, 1.0), 1.0),
        (rm.L2(0.5), (1 - 1 / np.sqrt(5), 1 + 0.5 / np.sqrt(5)), 1.25 * np.sqrt(0.8)),
        (rm.LInf(2.0), None, 4.0),
    ):
        worst = network.worst_case(model_of(rm.ReLU(), rm.Hinge(), perturbation, bias=False), X, y)
        assert worst.losses[0] == pytest.approx(loss)
        assert worst.exact[0]
        if point is not None:
            np.testing.assert_allclose(worst.X[0], point)


def test_fixed_features_stay():
    network = random_network(rm.ReLU(), 3, 6, seed=5)
    X = np.random.default_rng(0).standard_normal((20, 3))
    y = np.where(X[:, 0] > 0, 1.0, -1.0)
    for make in SETS:
        X_adv, _ = network.worst_case(model_of(rm.ReLU(), rm.Hinge(), make(0.7, fixed=(1,))), X, y)
        np.testing.assert_array_equal(X_adv[:, 1], X[:, 1])
        assert (X_adv[:, [0, 2]] != X[:, [0, 2]]).any()


def test_what_does_not_fit():
    network = random_network(rm.ReLU(), 2, 4, seed=1)
    model = model_of(rm.ReLU(), rm.Hinge(), rm.LInf(0.1))
    X, y = example(model)
    with pytest.raises(rm.InputError, match="this network has activation"):
        network.worst_case(model_of(rm.LeakyReLU(), rm.Hinge(), rm.LInf(0.1)), X, y)
    with pytest.raises(rm.InputError, match="X must have 2 features"):
        network.worst_case(model, X[:, :1], y)
    with pytest.raises(rm.InputError, match="3 radii"):
        network.worst_case(model_of(rm.ReLU(), rm.Hinge(), rm.LInf((1, 1, 1))), X, y)
    with pytest.raises(rm.InputError, match="labels"):
        network.objective(model, X, y + 1)
