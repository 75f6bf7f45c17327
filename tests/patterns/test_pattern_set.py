import numpy as np
import pytest

from relumodel.patterns import PatternSet, PatternStrategy


def test_count_is_the_number_of_columns():
    assert PatternSet(np.ones((3, 2), dtype=bool), np.ones((2, 1)), complete=False, origin="").count == 2


def test_a_strategy_must_say_how_to_find_patterns():
    with pytest.raises(TypeError, match="PatternStrategy does not say how"):
        PatternStrategy().find(np.ones((1, 1)), False)
