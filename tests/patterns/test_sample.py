import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relumodel as rm
from data_strategies import matrices
from relumodel.patterns import EnumeratePatterns, SamplePatterns, pattern_bound


def gaussian(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


@pytest.mark.parametrize(("n", "d"), [(30, 3), (100, 20), (300, 5), (5, 40)])
def test_distinct_patterns_each_with_a_witness(check, n, d):
    X = gaussian(n, d)
    found = SamplePatterns(25).find(X, False)
    check(found, X)
    assert found.count == 25
    assert not found.complete
    assert found.origin == "25 sampled (seed 0)"


@given(matrices(rows=(1, 8), columns=(1, 4)), st.integers(0, 5), st.data())
def test_sampled_patterns_are_among_all(check, X, seed, data):
    every = EnumeratePatterns().find(X, False)
    count = data.draw(st.integers(1, every.count))
    found = SamplePatterns(count, seed).find(X, False)
    check(found, X)
    assert found.count == count
    assert {tuple(p) for p in found.D.T} <= {tuple(p) for p in every.D.T}
    assert found.complete == (count == every.count)


@given(matrices(rows=(1, 8), columns=(1, 4)))
def test_asking_for_too_many_says_how_many_there_are(X):
    total, bound = EnumeratePatterns().find(X, False).count, pattern_bound(X)
    exact = f"only {total} distinct patterns exist; ask for at most {total}, or use EnumeratePatterns"
    with pytest.raises(rm.InputError, match=exact if total < bound else r"at most \d+ distinct ones exist"):
        SamplePatterns(total + 1).find(X, False)


def test_more_than_can_exist_is_refused_at_once():
    with pytest.raises(rm.InputError, match="asked for 1,000,000,000 patterns, but at most 1,562 distinct ones exist"):
        SamplePatterns(10**9).find(gaussian(40, 3), False)
    repeated = np.repeat(gaussian(4, 3), 1000, axis=0)
    with pytest.raises(rm.InputError, match="at most 14 distinct ones exist"):
        SamplePatterns(10**6).find(repeated, False)


def test_rare_patterns_are_taken_from_the_list(check):
    # two nearly parallel hyperplanes: Gaussian directions practically never fall between them
    X = np.array([[1.0, 0.0], [1.0, 1e-7], [0.0, 1.0]])
    found = SamplePatterns(6).find(X, False)
    check(found, X)
    assert found.complete
    assert found.origin == "6 sampled (seed 0), 2 of them from a list of all"
    few = [SamplePatterns(5, seed).find(X, False) for seed in range(8)]
    assert not any(f.complete for f in few)
    assert len({tuple(f.D[:, -1]) for f in few}) == 2  # which of the rare ones comes first depends on the seed


def test_rare_patterns_that_cannot_be_listed_are_an_honest_error():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1, 25)) + 1e-6 * rng.standard_normal((25, 25))
    with pytest.raises(rm.InputError, match=r"found \d+ distinct patterns in [\d,]+ draws, not the 200 asked for; ask for at most"):
        SamplePatterns(200).find(X, False)
    assert not SamplePatterns(2).find(X, False).complete


def test_the_seed_decides():
    X = gaussian(30, 4)
    first, again, other = (SamplePatterns(20, seed).find(X, False) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.D, again.D)
    np.testing.assert_array_equal(first.witnesses, again.witnesses)
    assert first.D.tolist() != other.D.tolist()


def test_larger_samples_begin_with_smaller_ones():
    X = gaussian(30, 4)
    large = SamplePatterns(5000, 1).find(X, False)
    for count in (1, 10, 200):
        np.testing.assert_array_equal(SamplePatterns(count, 1).find(X, False).D, large.D[:, :count])


def test_frequencies_are_those_of_gaussian_directions():
    X = np.array([[1.0, 0.0], [np.cos(0.5), np.sin(0.5)]])  # sectors of angle 0.5 and pi - 0.5, twice each
    wide = [bool(D[0] == D[1]) for D in (SamplePatterns(1, seed).find(X, False).D for seed in range(400))]
    assert np.mean(wide) == pytest.approx(1 - 0.5 / np.pi, abs=0.06)


def test_boundary_directions_are_rejected():
    # integer rows with huge common parts: many directions would be strict only by rounding
    X = np.array([[1.0, 1.0], [1.0, -1.0]])
    found = SamplePatterns(4).find(np.vstack([X, np.zeros((2, 2))]), False)
    assert found.complete
    assert found.D[2:].all()


def test_zero_data_has_one_pattern():
    found = SamplePatterns(1).find(np.zeros((3, 2)), False)
    assert found.complete
    assert found.D.all()
    with pytest.raises(rm.InputError, match="at most 1 distinct ones exist"):
        SamplePatterns(2).find(np.zeros((3, 2)), False)


def test_declaration():
    strategy = SamplePatterns(50, seed=2)
    assert strategy.to_dict() == {"type": "SamplePatterns", "count": 50, "seed": 2}
    assert SamplePatterns.from_dict(strategy.to_dict()) == strategy
    with pytest.raises(rm.InputError, match="count must be a whole number >= 1; got 0"):
        SamplePatterns(0)
    with pytest.raises(rm.InputTypeError, match="count must be a whole number"):
        SamplePatterns(2.5)
    with pytest.raises(rm.InputError, match="seed must be a whole number >= 0; got -1"):
        SamplePatterns(1, seed=-1)
