import numpy as np
import pytest

from relumodel.arrangement.chunks import ENTRIES, chunks


@pytest.mark.parametrize("rows", [0, 1, 7, 1000])
@pytest.mark.parametrize("width", [0, 1, ENTRIES // 3, 2 * ENTRIES])
def test_slices_cover_the_rows_once_and_stay_small(rows, width):
    parts = chunks(rows, width)
    assert len(parts) >= 1
    assert np.concatenate([np.arange(rows)[part] for part in parts]).tolist() == list(range(rows))
    assert all((part.stop - part.start) * width <= max(ENTRIES, width) for part in parts)
