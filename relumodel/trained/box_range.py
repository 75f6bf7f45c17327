"""The range of a trained network's values, and of its slopes, over a box, with points that attain the ends and what is proved of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..declare.box import Box
from ..declared import number, whole
from ..errors import InputError, InputTypeError
from ..robustness.box_extremes import NARROW, Extreme, Region, lowest_slope, lowest_value
from ..robustness.neurons import Neurons, neurons_of

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Range:
    """The range of values or slopes over a box. Numbers, or arrays with one entry an output or feature.

    low, high : the lowest and highest that were found.  low_at, high_at : (d,) each, or (k, d): points of the box that attain them; those of
        slopes are inside of a cell, where the slope is that of a whole neighbourhood.
    low_bound, high_bound : nothing in the box is below, or above: by a mixed-integer program (HiGHS), whose tolerances are allowed for;
        -inf or inf where the time did not suffice for one.
    proved : whether bounds and values are the same but for these tolerances.
    narrow : of slopes, how many combinations of sides were left out because their cells are narrower than 1e-7 of the box.
    """

    low: Any
    high: Any
    low_at: Matrix
    high_at: Matrix
    low_bound: Any
    high_bound: Any
    proved: Any
    narrow: int = 0

    def __str__(self) -> str:
        ends = (self.low, self.high, self.low_bound, self.high_bound, self.proved)
        rows = zip(*(np.atleast_1d(end) for end in ends), strict=True)
        lines = [
            f"{low:.6g} to {high:.6g}" + ("" if proved else f" found; proved only: {least:.6g} to {most:.6g}")
            for low, high, least, most, proved in rows
        ]
        left = f"\n{self.narrow} cells narrower than {NARROW:g} of the box are left out" if self.narrow else ""
        return "\n".join(lines) + left


def value_range(network: Any, box: Any, time_limit: Any, gap: Any) -> Range:
    """See `Network.range`."""
    low, high = _ends(network, box, "range()")
    several = network.output_weights.ndim == 2
    outputs = [network.output(r) for r in range(network.n_outputs)]
    parts = [neurons_of(one) for one in outputs]
    region = Region.of(low, high, network.bias)
    accuracy = number(gap, "gap", low=0)
    found = _each(
        [lambda limit, n=n, s=s: lowest_value(n, region, s, limit, accuracy) for n in parts for s in (1.0, -1.0)], time_limit
    )
    return _range(found, several, network.n_features)


def slope_range(network: Any, box: Any, along: Any, time_limit: Any, gap: Any) -> Range:
    """See `Network.slope_range`."""
    low, high = _ends(network, box, "slope_range()")
    d = network.n_features
    directions = _directions(along, d, network.feature_names)
    neurons: Neurons = neurons_of(network)
    region = Region.of(low, high, network.bias)
    accuracy = number(gap, "gap", low=0)
    padded = np.hstack([directions, np.zeros((len(directions), int(network.bias)))])
    found = _each(
        [lambda limit, v=s * v: lowest_slope(neurons, region, v, limit, accuracy) for v in padded for s in (1.0, -1.0)], time_limit
    )
    return _range(found, along is None, d)


def _ends(network: Any, box: Any, who: str) -> tuple[Matrix, Matrix]:
    if not isinstance(box, Box):
        raise InputTypeError(f"{who} is over a box, rm.Box(low, high) or rm.Box.of(X); got {type(box).__name__}.")
    if network.gates is not None:
        raise InputError(f"{who} is for ReLU and leaky ReLU networks, which are continuous; this one has fixed gates.")
    return box.ends(network.n_features, network.feature_names)


def _directions(along: Any, d: int, names: tuple[str, ...] | None) -> Matrix:
    if along is None:
        return np.eye(d)
    if isinstance(along, str):
        if names is None or along not in names:
            raise InputError(f"There is no feature {along!r}; the network's are {', '.join(names or ()) or 'without names'}.")
        return np.eye(d)[[names.index(along)]]
    if np.ndim(along) == 0:
        return np.eye(d)[[whole(along, "along", high=d - 1)]]
    out = np.asarray(along, dtype=np.float64)
    if out.shape != (d,) or not np.isfinite(out).all():
        raise InputError(f"along is a feature's name or number, or a direction of {d} finite numbers; got shape {out.shape}.")
    return out[None]


def _each(searches: list[Callable[..., Extreme]], time_limit: Any) -> list[Extreme]:
    """The results of all, in shares of the time that is left."""
    ends = None if time_limit is None else time.perf_counter() + number(time_limit, "time_limit", above=0)
    out = []
    for k, search in enumerate(searches):
        left = None if ends is None else max((ends - time.perf_counter()) / (len(searches) - k), 1e-3)
        out.append(search(left))
    return out


def _range(found: list[Extreme], several: bool, d: int) -> Range:
    """From the lowest of f and of -f, in turn."""

    def shaped(values: Any) -> Any:
        out = np.array(values)
        return out if several else out[0].item() if out.ndim == 1 else out[0]

    lows, highs = found[::2], found[1::2]
    return Range(
        low=shaped([e.value for e in lows]),
        high=shaped([-e.value for e in highs]),
        low_at=shaped([e.at[:d] for e in lows]),
        high_at=shaped([e.at[:d] for e in highs]),
        low_bound=shaped([e.bound for e in lows]),
        high_bound=shaped([-e.bound for e in highs]),
        proved=shaped([a.proved and b.proved for a, b in zip(lows, highs, strict=True)]),
        narrow=sum(e.narrow for e in found),
    )
