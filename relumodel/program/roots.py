"""Elementwise tools of the proximal maps: monotone scalar roots, and sums over groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_numpy_array


def monotone_root(slack: Callable[[Any], Any], high: Any) -> Any:
    """The root in [0, high] of an increasing elementwise function, by bisection to full precision."""
    xp = array_namespace(high)
    low = 0 * high
    for _ in range(100):
        middle = 0.5 * (low + high)
        above = slack(middle) >= 0
        low, high = xp.where(above, low, middle), xp.where(above, middle, high)
        if bool(xp.all(high - low <= 1e-16 * (1 + high))):
            break
    return 0.5 * (low + high)


def segment_sum(values: Any, group: Any, groups: int) -> Any:
    """The sum of the values (n,) of every group: (groups,)."""
    if is_numpy_array(values):
        return np.bincount(group, weights=values, minlength=groups)
    return values.new_zeros(groups).index_add(0, group, values)  # torch
