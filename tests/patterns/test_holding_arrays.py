import numpy as np
import pytest

from relumodel.patterns.given import GivenPatterns
from relumodel.patterns.hidden_layer import HiddenLayer
from relumodel.patterns.holding_arrays import frozen


def test_equal_when_the_arrays_are():
    a, b, c = GivenPatterns([[1, 0]]), GivenPatterns([[True, False]]), GivenPatterns([[1], [0]])
    assert a == b
    assert hash(a) == hash(b)
    assert a != c
    assert a != "something else"
    assert HiddenLayer([[1.0]], bias=False) != HiddenLayer([[1.0], [0.0]], bias=True)


def test_arrays_are_copied_and_read_only():
    array = np.ones((2, 2), dtype=bool)
    held = GivenPatterns(array)
    array[0, 0] = False
    assert held.array.all()
    with pytest.raises(ValueError, match="read-only"):
        held.array[0, 0] = False
    assert frozen(array.T).flags.c_contiguous
