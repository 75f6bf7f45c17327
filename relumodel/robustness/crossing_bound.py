"""A lower bound on the worst case of a network's output around a sample, neuron by neuron (see relumodel.functions.crossing).

For a sample x and a sign s, min over delta of s f(x + delta) is bounded from below by a line for every neuron: with
t = (x + delta).b, which stays within [L, U] = x.b -+ h(b), and b = |a| u,

    up    (the neuron pushes s f up)      value >= m t              down  (it pushes s f down)      value <= m t + c

The lines add up before the worst delta is taken, so with q = sum_up m b - sum_down m b

    G = x.q - h(q) - sum c.

A neuron that keeps its side is its own line. One that changes sides has, when its own sign decides, any of sigma's slopes in [l, 1]
from below; here l or 1, improved by coordinate ascent on G, one neuron after the other, all samples at once (relumodel.robustness.relaxation
takes the best of all). From above it has the chord of sigma over [L, U], which no other line is below of. Under a fixed gate that
may flip the value is 0 or t, and chords bound it on both sides.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..declare.perturbations import Ball
from .neurons import Neurons

Matrix = NDArray[np.float64]
Choice = NDArray[np.bool_]

#: A neuron is reported as crossing only when it does so by more than this share of its range: less is rounding.
ROUNDING = 1e-12


class LowerBound(NamedTuple):
    """G (n,); the slopes m (m, n) of the lines behind it; q (n, d), whose worst delta is a candidate attack; and
    crossing (n,), False where no neuron that matters changes sides, so that G is the exact minimum."""

    value: Matrix
    slopes: Matrix
    q: Matrix
    crossing: Choice


class Lines(NamedTuple):
    """Least and largest slope of every neuron and sample, (2, n, m), equal where there is no choice, and slack c (n, m)."""

    slope: Matrix
    slack: Matrix
    crossing: Choice


def crossing_bound(neurons: Neurons, X: Matrix, s: Matrix, ball: Ball, active: Choice | None = None, sweeps: int = 2) -> LowerBound:
    """The bound G for the samples X (n, d) and signs s (n,), each +-1.

    active : (m, n) choices to start from, True for slope 1; the side of each sample otherwise. G is never lower than with these.
    """
    T = X @ neurons.blocks.T
    push = s[:, None] * neurons.signs
    lines = _lines(neurons, X, T, push > 0, ball)
    start = T >= 0
    choice = start if active is None else np.where(lines.slope[0] != lines.slope[1], active.T, start)
    choice, q = _ascend(neurons.blocks, T, push, lines, choice, ball, sweeps)
    m = np.where(choice, lines.slope[1], lines.slope[0])
    value = (push * m * T - lines.slack).sum(axis=1) - ball.support(q)
    return LowerBound(value, m.T, q, np.any(lines.crossing, axis=1))


def _lines(neurons: Neurons, X: Matrix, T: Matrix, up: Choice, ball: Ball) -> Lines:
    """The lines of every neuron on every sample."""
    h = ball.support(neurons.blocks)
    low, high = T - h, T + h
    span = np.where(high > low, high - low, 1.0)
    if neurons.gates is not None:
        return _gated_lines(neurons.gates, X, low, high, span, up, ball)
    least = neurons.slope
    crossing = (low < 0) & (high > 0)
    stable = np.where(T >= 0, 1.0, least)
    chord, lift = (high - least * low) / span, -(1 - least) * low * high / span
    slopes = np.stack([np.where(crossing, np.where(up, m, chord), stable) for m in (least, 1.0)])
    slack = np.where(crossing & ~up, lift, 0.0)
    crossing &= np.minimum(-low, high) > ROUNDING * span
    return Lines(slopes, slack, crossing)


def _gated_lines(gates: Matrix, X: Matrix, low: Matrix, high: Matrix, span: Matrix, up: Choice, ball: Ball) -> Lines:
    """1[x.g >= 0] t: known where x.g keeps its sign, else anything between 0 and t."""
    g, room = X @ gates.T, ball.support(gates)
    unsure = (room > 0) & (np.abs(g) <= room + ROUNDING * (np.abs(g) + room))  # f jumps there, so rounding counts
    # chords of min(0, t) below and max(0, t) above over [low, high]; where t keeps its sign they are those functions
    share = np.where(low >= 0, 1.0, np.where(high <= 0, 0.0, high / span))
    chord = np.where(up, 1 - share, share)
    lift = -np.minimum(low, 0.0) * np.maximum(high, 0.0) / span
    matters = unsure & (np.maximum(-low, high) > 0)
    slope = np.where(unsure, chord, g >= 0)
    slack = np.where(unsure, lift, 0.0)
    return Lines(np.stack([slope, slope]), slack, matters)


def _ascend(B: Matrix, T: Matrix, push: Matrix, lines: Lines, choice: Choice, ball: Ball, sweeps: int) -> tuple[Choice, Matrix]:
    """The choices after coordinate ascent on G, and their q."""
    choice = choice.copy()
    free = lines.slope[0] != lines.slope[1]
    q = (push * np.where(choice, lines.slope[1], lines.slope[0])) @ B
    size = ball.support(q)
    turns = np.flatnonzero(free.any(axis=0))
    for _ in range(sweeps if len(turns) else 0):
        flipped = False
        for j in turns:
            k = np.flatnonzero(free[:, j])
            sign = np.where(choice[k, j], -1.0, 1.0)  # from slope 1 back to l, or the other way
            rise = sign * push[k, j] * (lines.slope[1, k, j] - lines.slope[0, k, j])
            moved = q[k] + rise[:, None] * B[j]
            moved_size = ball.support(moved)
            gain = rise * T[k, j] - (moved_size - size[k])
            better = gain > 1e-14 * (np.abs(rise * T[k, j]) + size[k])
            at = k[better]
            choice[at, j] ^= True
            q[at], size[at] = moved[better], moved_size[better]
            flipped |= bool(len(at))
        if not flipped:
            break
        q = (push * np.where(choice, lines.slope[1], lines.slope[0])) @ B  # again, so that rounding does not add up
        size = ball.support(q)
    return choice, q
