"""Blocks as products: they fold back, the penalty is the least square, and gradients are those of differences."""

from __future__ import annotations

import numpy as np
import pytest

import relumodel as rm
from relumodel.batches.factors import factored
from relumodel.batches.units import units_of

PENALTIES = [rm.WeightDecay(0.3), rm.PathNorm(0.3)]


def blocks() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, 3, 4))


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_factors_are_the_cheapest(penalty: rm.WeightDecay) -> None:
    U = blocks()
    factors = factored(U, penalty, 0.0)
    np.testing.assert_allclose(factors.blocks(), U, atol=1e-12)
    squares = sum(float((part**2).sum()) for part in factors.parts)
    np.testing.assert_allclose(penalty.beta * squares / 2, penalty.function(4).value(U.reshape(-1)))


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_gradients_in_the_factors_are_those_of_differences(penalty: rm.WeightDecay) -> None:
    C = np.random.default_rng(1).standard_normal((2, 3, 4))
    factors = factored(blocks(), penalty, 0.1)

    def value() -> float:
        U = factors.blocks()
        return float((C * U).sum() + (U**3).sum() + penalty.beta / 2 * sum((part**2).sum() for part in factors.parts))

    found = factors.pull(C + 3 * factors.blocks() ** 2, penalty.beta)
    for part, gradient in zip(factors.parts, found, strict=True):
        for index in np.ndindex(part.shape):
            before, h = part[index], 1e-6
            part[index] = before + h
            above = value()
            part[index] = before - h
            slope = (above - value()) / (2 * h)
            part[index] = before
            np.testing.assert_allclose(gradient[index], slope, rtol=1e-5, atol=1e-7)


def test_units_follow_the_scale_of_the_data() -> None:
    rng = np.random.default_rng(0)
    A = rng.standard_normal((500, 4)) * [3, 1, 0.1, 0]
    one, larger = (units_of(s * s * A.T @ A / 500, PENALTIES[0], 2.0, s * A) for s in (1, 100))
    assert one.basis is not None
    np.testing.assert_allclose(np.abs(one.basis), np.abs(larger.basis), atol=1e-9)
    np.testing.assert_allclose([one.size / larger.size, one.share / larger.share], [10, 1])
    assert units_of(A.T @ A / 500, PENALTIES[1], 2.0, A).basis is None
    blank = units_of(np.zeros((2, 2)), PENALTIES[0], 1.0, np.zeros((3, 2)))
    assert (blank.size, blank.share) == (1, 1)
