"""Elementwise tools of the proximal maps: monotone scalar roots, and sums over groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_numpy_array


def all_converged(done: Any, step: int) -> bool:
    """Whether all of `done` holds after a number of steps. On a device only every 16th step asks: waiting for its answer would
    let what is queued run dry, and steps beyond the last needed change nothing."""
    return (on_host(done) or step % 16 == 15) and bool(done.all())


def on_host(values: Any) -> bool:
    """Whether an array can be asked at no cost: NumPy's, or a tensor of the CPU."""
    return not hasattr(values, "is_cpu") or values.is_cpu


def monotone_root(slack: Callable[[Any], Any], high: Any) -> Any:
    """The root in [0, high] of an increasing elementwise function, to full precision; the nearest end where there is none.

    Regula falsi with the Illinois weights (Dowell & Jarratt 1971), and a bisection whenever two steps have not halved the bracket.
    """
    xp = array_namespace(high)
    rounding = xp.finfo(high.dtype).eps
    low = 0 * high
    below, above = slack(low), slack(high)
    low, high = xp.where(above <= 0, high, low), xp.where(below >= 0, low, high)
    last, previous, before = 0 * low, high - low, 2 * (high - low)  # the side moved last, and the two last widths
    for step in range(200):
        if all_converged(high - low <= 2.25 * rounding * high + 1e-18, step):
            break
        rise = above - below
        secant = low - below * (high - low) / xp.where(rise > 0, rise, 1.0 + 0 * rise)
        inside = (secant > low) & (secant < high) & (high - low <= 0.5 * before)
        at = xp.where(inside, secant, 0.5 * (low + high))
        value = slack(at)
        over, under = value >= 0, value <= 0
        # an end that stays a second time pulls with half its value
        below = xp.where(under, value, xp.where(over & (last > 0), 0.5 * below, below))
        above = xp.where(over, value, xp.where(under & (last < 0), 0.5 * above, above))
        last = xp.where(over, 1.0 + 0 * low, -1.0 + 0 * low)
        before, previous = previous, high - low
        low, high = xp.where(under, at, low), xp.where(over, at, high)
    return 0.5 * (low + high)


def segment_sum(values: Any, group: Any, groups: int) -> Any:
    """The sum of the values (n,) of every group: (groups,)."""
    if is_numpy_array(values):
        return np.bincount(group, weights=values, minlength=groups).astype(values.dtype, copy=False)
    return values.new_zeros(groups).index_add(0, group, values)  # torch
