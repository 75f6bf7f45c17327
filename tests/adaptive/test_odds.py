"""How likely a search is to have missed a maximum."""

import numpy as np
import pytest

import relumodel as rm
from relumodel.fit import price
from relumodel.fit.dual import Dual
from relumodel.fit.odds import odds_of
from relumodel.fit.training import Training


def test_ends_are_counted_by_maxima_the_largest_price_first():
    ends = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1e-3], [-1.0, 0.0]])
    odds = odds_of(ends, np.array([1.0, 3.0, 1.0, 2.0]), np.array([4, 2, 1, 1]))
    assert (odds.ascents, odds.largest, odds.again, odds.maxima, odds.once) == (8, 3.0, 2, 3, 1)
    assert odds.unseen == 1 / 8
    assert str(odds) == "found by 2 of 8 ascents, of which 12.5% ended at a maximum of their own"


def test_a_price_found_elsewhere_was_found_by_no_ascent():
    odds = odds_of(np.eye(2), np.array([1.0, 3.0]), np.array([4, 2]))
    assert odds.of(3.00001) == odds
    assert odds.of(3.1).again == 0
    assert odds.of(3.1).unseen == odds.unseen


def test_no_ascent_rules_nothing_out():
    none = odds_of(np.zeros((0, 2)), np.zeros(0), np.zeros(0, dtype=np.intp))
    assert (none.ascents, none.again, none.unseen) == (0, 0, 1.0)


def test_the_unseen_share_is_the_probability_of_what_was_not_drawn():
    """In the mean over samples, as Good's theorem says, for basins of very different size."""
    rng, basins = np.random.default_rng(0), 300
    size = 1.0 / np.arange(1, basins + 1)
    size /= size.sum()
    directions = rng.standard_normal((basins, 40))
    estimated, true = [], []
    for _ in range(60):
        drawn = np.bincount(rng.choice(basins, 200, p=size), minlength=basins)
        met = drawn > 0
        estimated.append(odds_of(directions[met], rng.random(met.sum()), drawn[met]).unseen)
        true.append(size[~met].sum())
    assert 0.1 < np.mean(true) < 0.5
    assert np.mean(estimated) == pytest.approx(np.mean(true), rel=0.05)


def priced(starts: int, seed: int) -> tuple[Dual, price.Search]:
    rng = np.random.default_rng(5)
    X, q = rng.standard_normal((40, 4)), rng.standard_normal(40)
    training = Training(X, None, rm.WeightDecay(1.0), 0.0)
    drawn = np.random.default_rng(seed).standard_normal((starts, 4))
    dual = Dual(training, q, np.zeros((0, 4)))
    return dual, price.search(training, q, drawn)


def test_the_ascents_of_a_search_are_counted():
    dual, found = priced(400, 0)
    assert len(found.ends) == len(found.counts)
    assert (found.counts >= 1).all()
    values = np.abs(price.prices(dual.training, found.ends, dual.q))
    odds = odds_of(found.ends, values, found.counts)
    assert odds.ascents == found.counts.sum() <= 400
    assert odds.again >= 2
    # another search finds no larger price, as the odds say
    _, more = priced(2000, 1)
    assert np.abs(price.prices(dual.training, more.ends, dual.q)).max() <= values.max() * (1 + 1e-6)


def test_a_fit_whose_gap_was_confirmed_states_the_odds():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 3)), np.sign(rng.standard_normal(30))
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Logistic(), rm.WeightDecay(0.02))
    result = model.fit(X, y, patterns=rm.AdaptivePatterns(gap=1e-2, starts=200, proof=0))
    assert result.status == "optimal"
    assert result.bound_kind == "estimated"
    assert result.odds is not None
    assert 0 <= result.odds.again <= result.odds.ascents
    assert str(result.odds) in str(result)
