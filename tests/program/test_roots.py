import numpy as np
import pytest

from relumodel.functions.roots import monotone_root, segment_sum


def test_the_root_of_every_entry():
    target = np.array([0.0, 0.3, 2.0, 9.0])
    root = monotone_root(lambda x: x**3 - target**3, np.full(4, 10.0))
    np.testing.assert_allclose(root, target, atol=1e-14)


def test_a_function_that_is_never_negative_has_its_root_at_zero():
    assert monotone_root(lambda x: x + 1, np.array([5.0]))[0] == pytest.approx(0, abs=1e-15)


def test_sums_over_groups_also_where_a_group_is_empty():
    values, group = np.array([1.0, 2.0, 4.0]), np.array([2, 0, 2])
    assert segment_sum(values, group, 4).tolist() == [2, 0, 5, 0]


def test_sums_over_groups_in_torch():
    torch = pytest.importorskip("torch")
    values, group = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([2, 0, 2])
    assert segment_sum(values, group, 4).tolist() == [2, 0, 5, 0]
