"""What a finished fit warns of: a gap that was not reached, and a network that is zero."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import relumodel as rm
from relumodel.fit.outcome import gap_wanted
from relumodel.fit.result import Fit
from relumodel.sklearn import ConvexReLUClassifier, ConvexReLURegressor

pytestmark = pytest.mark.usefixtures("short_search")
X = np.random.default_rng(0).uniform(-1, 1, (25, 2))
Y = X[:, 0] * X[:, 1]
SHORT = rm.AdaptivePatterns(gap=1e-9, rounds=1, width=6, starts=20, proof=0)
EASY = rm.AdaptivePatterns(gap=0.9, rounds=1, width=6, starts=20, proof=0)
RELU = rm.TwoLayer(rm.ReLU(), bias=True)


def test_a_gap_that_was_not_reached_warns_and_names_both_gaps() -> None:
    model = rm.Model(RELU, rm.Squared(), rm.WeightDecay(1e-3))
    with pytest.warns(rm.ConvergenceWarning, match=r"'gap not reached': its gap is .*, 1e-09 was wanted") as caught:
        found = model.fit(X, Y, patterns=SHORT)
    assert found.status == "gap not reached"
    assert caught[0].filename == __file__
    with pytest.warns(ConvergenceWarning, match="cut short .gap not reached.") as caught:
        ConvexReLURegressor(beta=1e-3, patterns=SHORT).fit(X, Y)
    assert issubclass(caught[0].category, rm.ConvergenceWarning)


def test_a_fit_that_did_what_it_was_asked_to_warns_of_nothing() -> None:
    """The gap is reached, the callback stopped it, or there is no gap to reach: patterns that are given, networks that no bound is known of."""
    model = rm.Model(RELU, rm.Squared(), rm.WeightDecay(1e-3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.fit(X, Y, patterns=EASY).status == "optimal"
        assert model.fit(X, Y, patterns=SHORT, callback=lambda progress: True).status == "interrupted"
    assert gap_wanted(model, SHORT) == 1e-9
    assert gap_wanted(model, rm.SamplePatterns(3, seed=0)) is None
    assert gap_wanted(rm.Model(RELU, rm.Hinge(), rm.WeightDecay(1e-2), rm.LInf(0.1), robust="crossing"), SHORT) is None
    assert gap_wanted(rm.Model(rm.ParallelThreeLayer(width=2), rm.Squared(), rm.WeightDecay(1e-2)), SHORT) is None


@pytest.mark.parametrize(
    ("activation", "penalty"), [(rm.ReLU(), rm.WeightDecay), (rm.LeakyReLU(0.3), rm.PathNorm)], ids=["relu", "leaky"]
)
def test_a_zero_network_names_the_penalty_from_which_on_it_is(activation: rm.ReLU | rm.LeakyReLU, penalty: type) -> None:
    network = rm.TwoLayer(activation, bias=True)

    def fit(beta: float) -> Fit:
        return rm.Model(network, rm.Squared(), penalty(beta)).fit(
            X, Y, patterns=rm.AdaptivePatterns(gap=1e-4, width=4, starts=20, proof=0)
        )

    with pytest.warns(rm.ZeroNetworkWarning, match=r"The best network is zero: .* beta_max = \S+ on .estimated"):
        found = fit(1.0)
    assert found.network.n_neurons == 0
    assert f"zero for every penalty strength from {found.beta_max:.3g} on (estimated)" in str(found)
    with pytest.warns(rm.ZeroNetworkWarning):
        assert fit(1.01 * found.beta_max).network.n_neurons == 0
    below = fit(0.95 * found.beta_max)
    assert below.network.n_neurons > 0
    assert below.beta_max is None
    assert "zero" not in str(below)


def test_a_zero_network_of_polynomial_neurons_is_a_result() -> None:
    model = rm.Model(rm.TwoLayer(rm.Polynomial(), bias=True), rm.Squared(), rm.WeightDecay(1e6))
    found = model.fit(X, Y)
    assert (found.status, found.network.n_neurons, found.bound_kind) == ("optimal", 0, "certified")


def test_estimators_say_so_too() -> None:
    with pytest.warns(rm.ZeroNetworkWarning, match="and beta is 0.01"):
        ConvexReLURegressor(patterns=EASY).fit(X, 1e-3 * Y)
    with pytest.warns(rm.ZeroNetworkWarning, match="and beta is 50"):
        ConvexReLUClassifier(beta=50, patterns=EASY).fit(X[:9], np.arange(9) % 3)
