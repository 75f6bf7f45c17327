"""A lower bound on the worst case of a network's output around a sample, neuron by neuron (see relumodel.program.crossing).

For a sample x and a sign s, min over delta of s f(x + delta) is bounded from below by a line for every neuron: with
t = (x + delta).b, which stays within [L, U] = x.b -+ h(b), and b = |a| u,

    up    (the neuron pushes s f up)      value >= m t - c          down  (it pushes s f down)      value <= m t + c

The lines add up before the worst delta is taken, so with q = sum_up m b - sum_down m b

    G = x.q - h(q) - sum c.

A neuron that keeps its side is its own line. One that changes sides has, when its own sign decides, the choice of sigma's two
slopes l and 1 from below (c = 0); from above it has the chord of sigma over [L, U], or the same two slopes, which the crossing
program needs because chords are not convex in the weights. Under a fixed gate that may flip the value is 0 or t, and chords
bound it on both sides. Choices are improved by coordinate ascent on G, one neuron after the other, all samples at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..perturbations import Ball
from .neurons import Neurons

Matrix = NDArray[np.float64]
Choice = NDArray[np.bool_]

#: A neuron is reported as crossing only when it does so by more than this share of its range: less is rounding.
ROUNDING = 1e-12


class LowerBound(NamedTuple):
    """G (n,); the choices (m, n) behind it, True for slope 1; q (n, d), whose worst delta is a candidate attack; and
    crossing (n,), False where no neuron that matters changes sides, so that G is the exact minimum."""

    value: Matrix
    active: Choice
    q: Matrix
    crossing: Choice


class Lines(NamedTuple):
    """Slope m and slack c of the two lines of every neuron and sample, (2, n, m); equal where there is no choice."""

    slope: Matrix
    slack: Matrix
    crossing: Choice


def crossing_bound(
    neurons: Neurons, X: Matrix, s: Matrix, ball: Ball, active: Choice | None = None, chords: bool = True, sweeps: int = 2
) -> LowerBound:
    """The bound G for the samples X (n, d) and signs s (n,), each +-1.

    active : (m, n) choices to start from; the side of each sample otherwise. G is never lower than with these choices.
    chords : whether neurons that push down may use chords; without, every line is one of the crossing program.
    """
    T = X @ neurons.blocks.T
    push = s[:, None] * neurons.signs
    lines = _lines(neurons, X, T, push > 0, ball, chords)
    start = T >= 0
    choice = start if active is None else np.where(lines.slope[0] != lines.slope[1], active.T, start)
    choice, q = _ascend(neurons.blocks, T, push, lines, choice, ball, sweeps)
    m, c = (np.where(choice, both[1], both[0]) for both in (lines.slope, lines.slack))
    value = (push * m * T - c).sum(axis=1) - ball.support(q)
    return LowerBound(value, choice.T, q, np.any(lines.crossing, axis=1))


def _lines(neurons: Neurons, X: Matrix, T: Matrix, up: Choice, ball: Ball, chords: bool) -> Lines:
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
    slopes = [np.where(crossing, np.where(up, m, chord if chords else m), stable) for m in (least, 1.0)]
    slacks = [np.where(crossing & ~up, lift if chords else (1 - least) * c, 0.0) for c in (high, -low)]
    crossing &= np.minimum(-low, high) > ROUNDING * span
    return Lines(np.stack(slopes), np.stack(slacks), crossing)


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
    return Lines(np.stack([slope, slope]), np.stack([slack, slack]), matters)


def _ascend(B: Matrix, T: Matrix, push: Matrix, lines: Lines, choice: Choice, ball: Ball, sweeps: int) -> tuple[Choice, Matrix]:
    """The choices after coordinate ascent on G, and their q."""
    choice = choice.copy()
    free = (lines.slope[0] != lines.slope[1]) | (lines.slack[0] != lines.slack[1])
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
            gain = rise * T[k, j] - sign * (lines.slack[1, k, j] - lines.slack[0, k, j]) - (moved_size - size[k])
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
