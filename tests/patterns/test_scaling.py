import numpy as np

from relumodel.arrangement.scaling import column_scales, unit_rows


def test_unit_rows_survive_extreme_scales_and_keep_zeros():
    rows = np.array([[3e200, 4e200], [3e-200, 4e-200], [0.0, 0.0]])
    np.testing.assert_allclose(unit_rows(rows), [[0.6, 0.8], [0.6, 0.8], [0, 0]])
    assert unit_rows(np.empty((0, 3))).shape == (0, 3)


def test_column_scales_undo_units_whatever_the_scale_of_the_rows():
    rng = np.random.default_rng(0)
    X = rng.choice([-2.0, -1.0, 0.0, 1.0, 2.0], (30, 4))
    units, sizes = 10.0 ** np.array([-8, 0, 3, 8]), 10.0 ** rng.uniform(-8, 8, (30, 1))
    ratio = column_scales(sizes * X * units) / units
    assert ratio.max() / ratio.min() < 10


def test_rounded_zeros_and_empty_columns_do_not_count():
    X = np.array([[1.0, 1.0, 0.0], [1e-17, 1.0, 0.0], [1.0, 1e-17, 0.0], [1.0, -1.0, 0.0]])
    np.testing.assert_allclose(column_scales(X), 1)
