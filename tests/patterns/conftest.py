"""What every test of patterns checks."""

from collections.abc import Callable

import numpy as np
import pytest

from relumodel.patterns import PatternSet


@pytest.fixture(scope="session")
def check() -> Callable[[PatternSet, np.ndarray], None]:
    """The contract of a pattern set whose patterns are distinct and all have a witness."""

    def check_contract(found: PatternSet, X: np.ndarray) -> None:
        n, d = X.shape
        assert found.D.dtype == bool
        assert found.D.shape == (n, found.count)
        assert found.witnesses.shape == (found.count, d)
        assert found.witnesses.dtype == np.float64
        assert np.unique(found.D.T, axis=0).shape[0] == found.count
        np.testing.assert_allclose(np.linalg.norm(found.witnesses, axis=1), 1)
        product = X @ found.witnesses.T
        np.testing.assert_array_equal(found.D, product >= 0)
        assert np.all(product[X.any(axis=1)] != 0)

    return check_contract
