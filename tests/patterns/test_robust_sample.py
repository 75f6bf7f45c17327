import numpy as np
import pytest

import relumodel as rm
from relumodel.arrangement.robust_witness import is_robust
from relumodel.patterns.robust_sample import with_uniform


def data(n=30, d=3, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n, d))


def algorithm(X, radii, count, seed, repeats):
    """Bai et al. 2023, Algorithm 4.1, line by line, for boxes."""
    rng, out = np.random.default_rng(seed), []
    while len(out) < count:
        a = rng.standard_normal(X.shape[1])
        moved = [X] + [X + radii * np.sign(rng.standard_normal(X.shape)) for _ in range(repeats - 1)]
        for x in moved:
            pattern = (x @ a >= 0).tolist()
            if pattern not in out:
                out.append(pattern)
    return np.array(out[:count]).T


@pytest.mark.parametrize(("count", "repeats"), [(1, 1), (10, 1), (25, 2), (40, 5)])
@pytest.mark.parametrize("bias", [False, True])
def test_robust_samples_are_those_of_the_algorithm(count, repeats, bias):
    X = np.column_stack([data(), np.ones(30)]) if bias else data()
    ball = rm.LInf((0.3, 0.1, 0.0)).ball(3, bias=bias)
    found = rm.RobustSamplePatterns(count, seed=7, repeats=repeats).find(X, bias, ball)
    np.testing.assert_array_equal(found.D, algorithm(X, ball.radii, count, 7, repeats))
    assert not found.complete
    assert f"{count} sampled around perturbed data (seed 7, {repeats} a direction)" in found.origin


def test_witnesses_are_those_of_the_unperturbed_patterns():
    X, ball = data(), rm.LInf(0.3).ball(3)
    found = rm.RobustSamplePatterns(40, repeats=3).find(X, False, ball)
    known = np.isfinite(found.witnesses).all(axis=1)
    assert known[0]
    assert 10 < known.sum() < 40
    np.testing.assert_array_equal(X @ found.witnesses[known].T >= 0, found.D[:, known])


@pytest.mark.parametrize("make", [rm.LInf, rm.L2, rm.L1])
@pytest.mark.parametrize("strategy", [rm.RobustSamplePatterns(12, seed=3), rm.GapPatterns(12, seed=3)])
def test_the_seed_decides(make, strategy):
    X = np.column_stack([data(), np.ones(30)])
    ball = make(0.01).ball(3, bias=True)
    one, two = strategy.find(X, True, ball), strategy.find(X, True, ball)
    np.testing.assert_array_equal(one.D, two.D)
    np.testing.assert_array_equal(one.witnesses, two.witnesses)
    other = type(strategy)(12, seed=4).find(X, True, ball)
    assert not np.array_equal(one.witnesses[:5], other.witnesses[:5], equal_nan=True)


@pytest.mark.parametrize("make", [rm.LInf, rm.L2, rm.L1])
def test_gap_patterns_have_robust_witnesses_widest_first(make):
    X = np.column_stack([data(), np.ones(30)])
    ball = make(0.02).ball(3, bias=True)
    found = rm.GapPatterns(20).find(X, True, ball)
    assert found.count == 20
    assert np.unique(found.D.T, axis=0).shape[0] == 20
    for a, pattern in zip(found.witnesses, found.D.T, strict=True):
        assert np.linalg.norm(a) == pytest.approx(1)
        assert is_robust(np.where(pattern, 1.0, -1.0)[:, None] * X, a, ball)
    room = np.abs(X @ found.witnesses.T).min(axis=0) / ball.support(found.witnesses)
    assert (np.diff(room) <= 1e-9).all()
    np.testing.assert_array_equal(rm.GapPatterns(5).find(X, True, ball).D, found.D[:, :5])


def test_gap_patterns_by_hand():
    """On the line -1, -0.2, 0.2, 1 with radius 0.1 every gap is open; with 0.3 the middle one closes, with 1 all do."""
    X = np.column_stack([[-1.0, -0.2, 0.2, 1.0], np.ones(4)])
    for radius, patterns in ((0.1, 6), (0.3, 4), (1.0, 0)):
        found = rm.GapPatterns(10).find(X, True, rm.LInf(radius).ball(1, bias=True))
        assert found.D.shape == (4, patterns)
    assert not found.witnesses.size
    # features that are never perturbed leave gaps of infinite width
    found = rm.GapPatterns(2).find(np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0]]), True, rm.LInf(9, fixed=1).ball(2, bias=True))
    assert sorted(found.D.T.tolist()) == [[False, True], [True, False]]


def test_many_gaps_are_found_in_parts():
    X = np.column_stack([np.linspace(0, 1, 400), np.ones(400)])
    found = rm.GapPatterns(700, directions=500).find(X, True, rm.LInf(1e-6).ball(1, bias=True))
    assert found.count == 700


def test_uniform_patterns_are_added_once():
    X, ball = data(), rm.LInf(0.1).ball(3)
    found = rm.RobustSamplePatterns(5).find(X, False, ball)
    more = with_uniform(X, found)
    np.testing.assert_array_equal(more.D[:, :5], found.D)
    assert more.D[:, 5].all()
    assert not more.D[:, 6].any()
    assert more.origin.endswith(", all-active and all-inactive")
    assert with_uniform(X, more) is more


@pytest.mark.parametrize("strategy", [rm.RobustSamplePatterns(4), rm.GapPatterns(4)])
def test_they_need_a_perturbation(strategy):
    model = rm.Model(rm.TwoLayer(rm.ReLU(), True), rm.Hinge(), rm.WeightDecay(0.1))
    X = data()
    with pytest.raises(rm.InputError, match="needs a model with a perturbation of positive radius"):
        model.compile(X, np.sign(X[:, 0]), patterns=strategy)


def test_gaps_need_a_bias():
    model = rm.Model(rm.TwoLayer(rm.ReLU(), False), rm.Hinge(), rm.WeightDecay(0.1), rm.LInf(0.1))
    X = data()
    with pytest.raises(rm.InputError, match="and a bias"):
        model.compile(X, np.sign(X[:, 0]), patterns=rm.GapPatterns(4))


def test_more_than_there_are():
    X, ball = np.array([[1.0], [2.0]]), rm.LInf(0.1).ball(1)
    with pytest.raises(rm.InputError, match=r"found 2 distinct patterns, not the 5 asked for"):
        rm.RobustSamplePatterns(5).find(X, False, ball)


@pytest.mark.parametrize("make", [rm.RobustSamplePatterns, rm.GapPatterns])
def test_bad_declarations(make):
    for bad in (0, -1):
        with pytest.raises(rm.InputError, match="count must be a whole number >= 1"):
            make(bad)
    with pytest.raises(rm.InputTypeError, match="seed"):
        make(3, seed=0.5)
    last = "repeats" if make is rm.RobustSamplePatterns else "directions"
    with pytest.raises(rm.InputError, match=last):
        make(3, **{last: 0})
    strategy = make(3, seed=2)
    assert make.from_dict(strategy.to_dict()) == strategy
