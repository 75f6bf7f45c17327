import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

import relumodel as rm
from relumodel import sample_size

LEVEL = st.floats(0.001, 0.999)


def test_value_by_hand():
    assert sample_size(9, 0.5, 0.2) == 99  # (9 + 1) / 0.1 - 1, below 2 / 0.2 (10 + log 2) = 106.9
    assert sample_size(99, 0.1, 0.01) == math.ceil(200 * (100 - math.log(0.1)))
    assert sample_size(1, 0.999, 0.999) == 2


@given(st.integers(1, 1000), LEVEL, LEVEL)
def test_agrees_with_the_printed_theorem_when_xi_is_at_most_psi(n, psi, xi):
    psi, xi = max(psi, xi), min(psi, xi)
    printed = min((n + 1) / (psi * xi) - 1, 2 / xi * (n + 1 - math.log(psi)))
    assert sample_size(n, psi, xi) == max(1, math.ceil(printed))


@given(st.integers(1, 60), LEVEL, LEVEL)
def test_sound_for_the_hardest_scenario_problem(n, psi, xi):
    """With n + 1 variables and every one of them supported, the violation probability of N scenarios is
    Beta(n + 1, N - n) (Campi & Garatti 2008); no problem has a larger one."""
    count = sample_size(n, psi, xi)
    assert count >= n + 1
    assert beta.sf(psi, n + 1, count - n) <= xi * (1 + 1e-9)


def test_the_printed_theorem_is_too_small_when_psi_is_below_xi():
    psi, xi = 0.01, 0.5
    printed = math.ceil(2 / xi * (1 - math.log(psi)))
    assert printed == 23
    # the largest of N uniform numbers as a guess of their supremum: one variable, one scenario decides
    draws = np.random.default_rng(0).random((4000, printed)).max(axis=1)
    assert np.mean(1 - draws > psi) == pytest.approx((1 - psi) ** printed, abs=0.03)
    assert (1 - psi) ** printed > xi
    assert (1 - psi) ** sample_size(1, psi, xi) <= xi


def test_errors():
    for wrong in (0, 1, -0.1, 1.5, math.nan):
        with pytest.raises(rm.InputError, match="psi must be a finite number > 0 and < 1"):
            sample_size(10, wrong, 0.1)
        with pytest.raises(rm.InputError, match="xi must be a finite number > 0 and < 1"):
            sample_size(10, 0.1, wrong)
    with pytest.raises(rm.InputError, match="n must be a whole number >= 1; got 0"):
        sample_size(0, 0.1, 0.1)
    with pytest.raises(rm.InputTypeError, match="psi must be a number"):
        sample_size(10, "0.1", 0.1)
