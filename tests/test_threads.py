"""BLAS threads: one for small data, untouched for large data, restored afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import relumodel as rm
from relumodel.resources.threads import SMALL, threads_for


def threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.parametrize(("size", "within"), [(SMALL, 1), (SMALL + 1, 2)])
def test_within_and_after(size: int, within: int) -> None:
    with threadpool_limits(2, user_api="blas"):
        if threads() != {2}:
            pytest.skip("this BLAS has one thread only")
        with threads_for(size):
            assert threads() == {within}
        assert threads() == {2}


def test_solving_and_fitting_use_one() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 2))
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(0.1))
    seen: list[set[int]] = []
    with threadpool_limits(2, user_api="blas"):
        before = threads()
        model.compile(X, X[:, 0], patterns=rm.SamplePatterns(3, seed=0)).solve(callback=lambda _: seen.append(threads()))
        model.fit(X, X[:, 0], callback=lambda _: seen.append(threads()))
        assert threads() == before
    assert len(seen) >= 2
    assert all(found == {1} for found in seen)
