import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from relumodel.arrangement.packing import distinct, first_seen, pack, unpack

SIGNS = st.tuples(st.integers(0, 20), st.sampled_from([1, 3, 64, 65, 130])).flatmap(lambda shape: arrays(bool, shape))


@given(SIGNS)
def test_unpack_undoes_pack(signs):
    np.testing.assert_array_equal(unpack(pack(signs), signs.shape[1]), signs)


@given(st.integers(1, 4).flatmap(lambda n: arrays(bool, (12, n))), st.booleans())
def test_groups_are_those_of_numpy(signs, wide):
    signs = np.hstack([signs, np.zeros((12, 64), dtype=bool), signs]) if wide else signs
    groups = distinct(pack(signs))
    wanted, first, group = np.unique(signs, axis=0, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(signs[groups.first], wanted)
    np.testing.assert_array_equal(groups.first, first)
    np.testing.assert_array_equal(groups.group, group.ravel())
    np.testing.assert_array_equal(first_seen(pack(signs)), np.sort(first))


@pytest.mark.parametrize("length", [1, 64, 65])
def test_nothing_can_be_packed(length):
    assert len(first_seen(pack(np.empty((0, length), dtype=bool)))) == 0
