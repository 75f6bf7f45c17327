import numpy as np

from relumodel.arrangement.parallel import merge_parallel


def units(*rows):
    rows = np.array(rows, dtype=float)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def merged(rows, tolerance=1e-10):
    return merge_parallel(rows, np.full(len(rows), tolerance))


def test_distinct_lines_stay():
    lines = merged(units([1, 0], [0, 1], [1, 1], [1, -1]))
    assert lines.first.tolist() == lines.line.tolist() == [0, 1, 2, 3]
    assert lines.along.all()


def test_parallel_and_antiparallel_rows_share_a_line_in_order_of_appearance():
    lines = merged(units([3, 1, 0], [0, 0, 1], [-6, -2, 0], [3, 1, 0], [0, 0, -5]))
    assert lines.first.tolist() == [0, 1]
    assert lines.line.tolist() == [0, 1, 0, 0, 1]
    assert lines.along.tolist() == [True, True, False, True, False]


def test_in_one_dimension_there_is_one_line():
    lines = merged(units([1], [-2], [3]))
    assert lines.first.tolist() == [0]
    assert lines.along.tolist() == [True, False, True]


def test_the_tolerance_of_each_vector_counts():
    rows = units([1, 0], [1, 1e-6], [0, 1], [1e-6, 1])
    assert len(merged(rows).first) == 4
    assert len(merged(rows, 1e-6).first) == 2
    assert merge_parallel(rows, np.array([1e-6, 1e-6, 0, 0])).line.tolist() == [0, 0, 1, 2]


def test_rows_at_equal_height_of_the_probe_are_compared_in_full():
    # the mirror image in the probe's orthogonal complement has the same height but is another line
    from relumodel.arrangement.parallel import _probe

    probe, row = _probe(3), units([1, 2, 3])[0]
    mirrored = 2 * (row @ probe) * probe - row
    assert len(merged(np.array([row, mirrored])).first) == 2
