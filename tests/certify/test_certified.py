"""Verdicts on labels: no attack beats a certificate, every counterexample is one, and what is left open is open."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

import relumodel as rm
from relumodel.robustness import certified as verdicts
from robust_networks import attacked_networks, random_network
from robust_reference import draws

LINEAR = [rm.LInf, rm.L1]


def soundness(network, X, y, perturbation, verdict, count=300):
    """Random points of the sets keep a certified label; there are points that change a falsified one, for the search says so."""
    kept = verdict == "certified"
    radii = perturbation.radii(X.shape[1])
    delta = draws(perturbation, radii, (count, len(X)), np.random.default_rng(0))
    for d in delta:
        assert (network.predict(X + d) == y)[kept].all()
    return kept


@settings(max_examples=60)
@given(attacked_networks())
def test_no_random_point_beats_a_certificate(case):
    network, X, y, perturbation = case
    verdict = network.certified(X, y, perturbation)
    assert verdict.shape == y.shape
    assert set(verdict) <= {"certified", "falsified", "unknown"}
    soundness(network, X, y, perturbation, verdict)
    assert (verdict[network.predict(X) != y] == "falsified").all()
    if not perturbation.radii(X.shape[1]).any():
        assert "unknown" not in verdict


@settings(max_examples=40)
@given(attacked_networks(sets=LINEAR))
def test_exact_verdicts_only_settle_what_was_open(case):
    network, X, y, perturbation = case
    quick, exact = network.certified(X, y, perturbation), network.certified(X, y, perturbation, exact=True)
    np.testing.assert_array_equal(quick[quick != "unknown"], exact[quick != "unknown"])
    soundness(network, X, y, perturbation, exact)


@pytest.mark.parametrize("make", LINEAR)
@pytest.mark.parametrize("activation", [rm.ReLU(), rm.LeakyReLU(0.3), rm.GatedReLU()], ids=lambda a: type(a).__name__)
def test_exact_verdicts_agree_with_a_grid(make, activation):
    """In the plane, with a grid fine enough; samples too close to call are left out."""
    for seed in range(1, 9, 2):
        network = random_network(activation, 2, 5, seed)
        X = np.random.default_rng(seed).standard_normal((10, 2))
        y, radius = network.predict(X), 0.4
        steps = np.stack(np.meshgrid(*[np.linspace(-radius, radius, 161)] * 2), axis=-1).reshape(-1, 2)
        steps = steps[np.abs(steps).sum(axis=1) <= radius] if make is rm.L1 else steps
        lowest = np.array([(label * network(x + steps)).min() for x, label in zip(X, y, strict=True)])
        verdict = network.certified(X, y, make(radius), exact=True)
        assert (verdict[lowest > 0.1] == "certified").all()
        assert (verdict[lowest < -1e-3] == "falsified").all()


def regions_minimum(network, x, s, radius):
    """min s f over the box, by linear programs over every pattern of signs of the neurons."""
    from scipy.optimize import linprog

    W, b, a = network.hidden_weights[:-1], network.hidden_weights[-1], network.output_weights
    best = np.inf
    for signs in itertools.product((1.0, -1.0), repeat=len(a)):
        sigma = np.array(signs)
        active = np.where(sigma > 0, 1.0, network.activation.inactive) * a
        found = linprog(s * W @ active, A_ub=-(sigma * W).T, b_ub=sigma * b, bounds=list(zip(x - radius, x + radius, strict=True)))
        if found.status == 0:
            best = min(best, found.fun + s * (active @ b))
    return best


@pytest.mark.parametrize("activation", [rm.ReLU(), rm.LeakyReLU(0.3)], ids=lambda a: type(a).__name__)
def test_exact_verdicts_agree_with_the_enumeration_of_linear_regions(activation):
    network = random_network(activation, 4, 6, seed=11)
    X = np.random.default_rng(3).standard_normal((12, 4))
    y, radius = network.predict(X), 0.5
    lowest = np.array([regions_minimum(network, x, label, radius) for x, label in zip(X, y, strict=True)])
    assert (np.abs(lowest) > 1e-3).all()
    assert 2 <= (lowest > 0).sum() <= 10
    np.testing.assert_array_equal(
        network.certified(X, y, rm.LInf(radius), exact=True), np.where(lowest > 0, "certified", "falsified")
    )
    quick = network.certified(X, y, rm.LInf(radius))
    assert not ((quick == "certified") & (lowest <= 0)).any()


def test_what_bounds_leave_open_is_settled_exactly():
    rng = np.random.default_rng(2)
    network = random_network(rm.ReLU(), 3, 20, seed=7)
    X = rng.standard_normal((60, 3))
    y = network.predict(X)
    quick, exact = (network.certified(X, y, rm.LInf(0.35), exact=e) for e in (False, True))
    assert (quick == "unknown").sum() >= 3
    assert (exact == "unknown").sum() == 0


def test_labels_by_hand():
    """f = (x)_+ - 1: label +1 where x >= 1, a score of 0 included."""
    network = rm.Network(rm.ReLU(), True, np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1.0, -1.0]), classifies=True)
    X = [[2.0], [1.0], [0.5], [0.5], [-3.0]]
    y = [1, 1, -1, 1, -1]
    for exact in (False, True):
        verdict = network.certified(X, y, rm.LInf(0.4), exact=exact)
        assert verdict.tolist() == ["certified", "falsified", "certified", "falsified", "certified"]
    assert network.certified([[0.5]], [-1], rm.LInf(0.5)).tolist() == ["falsified"]  # 1 - 1 = 0 has the label +1
    assert network.certified([[0.5]], [-1], rm.LInf(0.49)).tolist() == ["certified"]
    assert network.certified([[1.5]], [1], rm.LInf(0.51)).tolist() == ["falsified"]


def test_an_empty_network_says_plus_one_everywhere():
    network = rm.Network(rm.ReLU(), True, np.empty((3, 0)), np.empty(0), classifies=True)
    for exact in (False, True):
        verdict = network.certified(np.zeros((2, 2)), [1, -1], rm.LInf(1.0), exact=exact)
        assert verdict.tolist() == ["certified", "falsified"]


def test_robust_training_is_certified_on_its_data():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (40, 2))
    X[:, 0] += np.sign(X[:, 0]) * 0.3
    y = np.sign(X[:, 0])
    model = rm.Model(rm.TwoLayer(rm.ReLU(), True), rm.Hinge(), rm.WeightDecay(1e-4), rm.LInf(0.1))
    network = model.compile(X, y, patterns=rm.SamplePatterns(10)).solve().network()
    assert (network.certified(X, y, rm.LInf(0.1)) == "certified").all()
    # one sample at a time, single class, a frame with its column names
    assert network.certified(X[:1], y[:1], rm.LInf(0.1)).tolist() == ["certified"]


def test_features_by_name():
    frame = pd.DataFrame({"a": [1.0, -1.0, 2.0], "b": [0.0, 0.5, 1.0]})
    y = [1, -1, 1]
    model = rm.Model(rm.TwoLayer(rm.ReLU(), True), rm.Hinge(), rm.WeightDecay(1e-3))
    network = model.compile(frame, y, patterns=rm.EnumeratePatterns()).solve().network()
    assert (network.certified(frame, y, rm.LInf(50.0, fixed=("a", "b"))) == "certified").all()
    assert (network.certified(frame, y, rm.LInf(50.0, fixed="b")) == "falsified").all()
    assert (network.certified(frame.to_numpy(), y, rm.LInf(50.0, fixed="b")) == "falsified").all()
    unnamed = model.compile(frame.to_numpy(), y, patterns=rm.EnumeratePatterns()).solve().network()
    assert (unnamed.certified(frame, y, rm.LInf(50.0, fixed=("a", "b"))) == "certified").all()


def test_many_samples_are_certified_in_parts(monkeypatch):
    network = random_network(rm.ReLU(), 3, 5, seed=7)
    X = np.random.default_rng(2).standard_normal((50, 3))
    y = network.predict(X)
    whole = network.certified(X, y, rm.L2(0.3))
    monkeypatch.setattr("relumodel.arrangement.chunks.ENTRIES", 400)
    np.testing.assert_array_equal(network.certified(X, y, rm.L2(0.3)), whole)


def test_time_limit(monkeypatch):
    """Samples not reached in time stay unknown."""
    network = random_network(rm.ReLU(), 3, 20, seed=7)
    X = np.random.default_rng(2).standard_normal((60, 3))
    y = network.predict(X)
    quick = network.certified(X, y, rm.LInf(0.35))
    np.testing.assert_array_equal(network.certified(X, y, rm.LInf(0.35), exact=True, time_limit=1e-9), quick)
    limits, original = [], verdicts.lowest_margin
    monkeypatch.setattr(verdicts, "lowest_margin", lambda *parts: limits.append(parts[-1]) or original(*parts))
    assert "unknown" not in network.certified(X, y, rm.LInf(0.35), exact=True, time_limit=50)
    assert len(limits) == (quick == "unknown").sum()
    assert 0 < limits[-1] < limits[0] <= 50


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"perturbation": rm.L2(0.1), "exact": True}, rm.InputError, "rm.LInf or rm.L1; with rm.L2 leave it False"),
        ({"perturbation": 0.1}, rm.InputTypeError, "perturbation must be"),
        ({"perturbation": rm.LInf((0.1, 0.1, 0.1))}, rm.InputError, "3 radii"),
        ({"y": [0, 1]}, rm.InputError, "needs labels -1 and \\+1; y holds 0"),
        ({"y": [1]}, rm.InputError, "X has 2 samples and y has 1"),
        ({"X": [[1.0], [2.0]]}, rm.InputError, "X must have 2 features"),
        ({"X": [[1.0, np.nan], [0, 0]]}, rm.InputError, "NaN"),
        ({"time_limit": 0}, rm.InputError, "time_limit must be a finite number > 0"),
        ({"time_limit": "1"}, rm.InputTypeError, "time_limit must be a number"),
    ],
)
def test_bad_input(change, kind, words):
    network = random_network(rm.ReLU(), 2, 3, seed=1)
    with pytest.raises(kind, match=words):
        network.certified(**({"X": np.zeros((2, 2)), "y": [1, -1], "perturbation": rm.LInf(0.1)} | change))


def test_regression_networks_have_no_labels():
    with pytest.raises(rm.InputError, match="about labels"):
        random_network(rm.ReLU(), 2, 3, seed=1, classifies=False).certified(np.zeros((1, 2)), [1], rm.LInf(0.1))
