"""Pricing by search: many-start ascent of |q' sigma(X b)| over the unit ball of the penalty's norm.

A network is globally optimal exactly when no b with |b| <= 1 has |q' sigma(X b)| > beta, q the loss gradient at its prediction
(Pilanci & Ergen 2020, the dual; Bach 2017, section 3). The function is positively homogeneous and linear on every cell, with
kinks where a sample changes sides. The search runs on the sphere of the smooth factors (`Penalty.fold`), from many starts at
once, and rounds the kinks off by a width that shrinks to nothing: on a concave kink plain ascent would jam. The ranking after a
few steps at a large width is a good one already, so most starts are given up early.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrangement.chunks import LARGE, chunks
from ..arrangement.scaling import unit_rows
from ..resources.deadline import current, speed
from .training import Training

Matrix = NDArray[np.float64]

#: The half-widths that ascents begin with, for samples of length one; each a third of the starts. Wide ones find maxima with a
#: large basin in many dimensions, narrow ones those that the rounding hides.
WIDEST = (0.1, 0.01, 0.001)

#: ROUGH: fractions of the widest, a few STEPS each in single precision; after each the best SHARE goes on. FINE passes through
#: narrower widths, rounding off anew: (share of the starts, at least LEAST, and steps a width). The new rounding is what brings
#: different starts to the same maximum.
ROUGH, STEPS, SHARE = (1.0, 0.3, 0.1), 12, 0.4
NARROW, FINE, LEAST = (0.01, 0.003, 0.001, 3e-4, 1e-4, 1e-5), ((0.2, 40), (0.1, 80), (0.03, 160)), 10


#: Ascents end when none has gained this share of its value in so many steps.
GAIN, LOOK = 1e-9, 12


#: The length of the factors of a block of norm one.
ROOT = np.sqrt(2)

#: Looks at the price that a start takes before most are given up.
ROUGH_LOOKS = 25


def search(training: Training, q: Matrix, starts: Matrix) -> tuple[Matrix, int]:
    """Where the best ascents from `starts` (m, d), non-zero, lead: directions (k, d), |b| <= 1 in the penalty's norm; and how many starts
    there was time for, the first ones.

    q : (n,), the loss's multiplier, or (c n,) for c outputs, each of which is searched for. Ends with what it has at the current deadline.
    """
    n, d = training.X.shape
    jobs = [(of_one, k) for of_one in by_output(training, q) for k in range(len(WIDEST))]
    starts = starts[: _affordable(ROUGH_LOOKS * n * (4 * d + 20) * len(jobs) / len(WIDEST), len(starts))]
    found, used = [starts[:0]], 0
    for of_one, k in jobs:
        some = starts[k :: len(WIDEST)]
        if current().expired():
            break
        found.append(_annealed(training, of_one, some, WIDEST[k]))
        used += len(some)
    return np.vstack(found), used * len(WIDEST) // len(jobs)


def _affordable(operations: float, most: int) -> int:
    """How many pieces of work of so many operations there is time for, `most` at most."""
    left = current().remaining()
    return most if np.isinf(left) else int(min(most, left * speed() / operations))


def _annealed(training: Training, q: Matrix, starts: Matrix, widest: float) -> Matrix:
    """The ends of all passes of the ascents that begin with one width."""
    penalty = training.penalty
    if not len(starts):
        return starts
    z = _on_sphere(penalty.unfold(unit_rows(starts)))
    side = np.where(prices(training, penalty.fold(z), q) < 0, -1.0, 1.0)
    rough = _Rounded.of(training, q, np.float32)
    for share in ROUGH:
        if current().expired():
            return penalty.fold(z)
        z, value = _ascend(rough, z.astype(np.float32), side.astype(np.float32), share * widest, STEPS)
        order = np.argsort(-value, kind="stable")[: max(LEAST, int(FINE[0][0] * len(starts)), int(SHARE * len(z)))]
        z, side = z[order], side[order]
    z, side = z.astype(np.float64), side.astype(np.float64)
    found: list[Matrix] = []
    fine = _Rounded.of(training, q, np.float64)
    # where the fewest go on from the first pass already, the passes would be the same ones again: the longest alone
    for share, steps in FINE if int(FINE[0][0] * len(starts)) > LEAST else FINE[-1:]:
        if current().expired():
            return np.vstack([*found, penalty.fold(z)])
        best = max(LEAST, int(share * len(starts)))
        z, side = z[:best], side[:best]
        for width in [w for w in NARROW if w <= widest]:
            z, value = _ascend(fine, z, side, width, steps)
        found.append(penalty.fold(z))
        order = np.argsort(-value, kind="stable")
        z, side = z[order], side[order]
    return np.vstack(found)


def by_output(training: Training, q: Matrix) -> Matrix:
    """The multiplier of every output: (c, n)."""
    return q.reshape(-1, len(training.X))


def prices(training: Training, blocks: Matrix, q: Matrix) -> Matrix:
    """q' sigma(X b) for every block b, of the output where it is largest in size: (m,)."""
    return most_violating(training, blocks, q)[0]


def most_violating(training: Training, blocks: Matrix, q: Matrix) -> tuple[Matrix, NDArray[np.intp]]:
    """The prices of blocks, (m,), and the outputs in which they are those, (m,)."""
    by = by_output(training, q).T
    values = np.empty((len(blocks), by.shape[1]))
    for part in chunks(len(blocks), len(training.X), LARGE):
        T = blocks[part] @ training.X.T
        values[part] = np.where(T >= 0, T, training.slope * T) @ by
    output = np.abs(values).argmax(axis=1)
    return values[np.arange(len(values)), output], output


@dataclass(frozen=True, eq=False)
class _Rounded:
    """The price function with rounded kinks. X : (n, d), rows of length one.  q : (n,), times the lengths the rows had.
    weighted : (n, d), q X."""

    training: Training
    X: Matrix
    q: Matrix
    weighted: Matrix

    @classmethod
    def of(cls, training: Training, q: Matrix, kind: type) -> _Rounded:
        X, weight = unit_rows(training.X), q * np.linalg.norm(training.X, axis=1)
        live = weight != 0
        X, weight = X[live], weight[live] / (np.abs(weight).max() if live.any() else 1.0)
        return cls(training, X.astype(kind), weight.astype(kind), (weight[:, None] * X).astype(kind))

    def look(self, z: Matrix, side: Matrix, width: float) -> tuple[Matrix, Matrix]:
        """The values (m,), and the directions of ascent along the sphere, of the length of z."""
        pieces = chunks(len(z), len(self.X), LARGE)
        if len(pieces) == 1:
            return self._look(z, side, width)
        parts = [self._look(z[piece], side[piece], width) for piece in pieces]
        return np.concatenate([value for value, _ in parts]), np.vstack([ahead for _, ahead in parts])

    def _look(self, z: Matrix, side: Matrix, width: float) -> tuple[Matrix, Matrix]:
        """The same at once."""
        slope, penalty = self.training.slope, self.training.penalty
        T = penalty.fold(z) @ self.X.T
        active = T * (0.5 / width)
        active += 0.5
        np.maximum(active, 0.0, out=active)
        np.minimum(active, 1.0, out=active)
        flat = T @ self.q if slope else 0.0
        pull = active @ self.weighted
        if slope:
            pull = (1 - slope) * pull + slope * self.q @ self.X
        # a (t + w (1 - a)) is the integral of a: t beyond the width, w a^2 within
        T += width
        T -= width * active
        T *= active
        value = side * ((1 - slope) * (T @ self.q) + slope * flat if slope else T @ self.q)
        ahead = penalty.pull(z, side[:, None] * pull)
        ahead -= (np.einsum("jk,jk->j", ahead, z) / np.einsum("jk,jk->j", z, z))[:, None] * z
        size = _lengths(ahead)
        size[size == 0] = 1
        ahead *= z.dtype.type(ROOT) / size
        return value, ahead


def _ascend(at: _Rounded, z: Matrix, side: Matrix, width: float, steps: int) -> tuple[Matrix, Matrix]:
    """Steps along the gradient on the sphere, each start with its own length: doubled where it helped, quartered where not."""
    value, ahead = at.look(z, side, width)
    length, before = np.ones_like(value), value
    for k in range(1, steps + 1):
        if current().expired():
            break
        if k % LOOK == 0:
            if (value - before <= GAIN * np.abs(value)).all():
                break
            before = value
        moved = z + length[:, None] * ahead
        size = _lengths(moved)
        if not size.all():  # a step back through zero may end there
            moved = np.where(size > 0, moved, z)
            size = _lengths(moved)
        trial = moved * (z.dtype.type(ROOT) / size)
        there, ahead_there = at.look(trial, side, width)
        better = there > value
        column = better[:, None]
        z = np.where(column, trial, z)
        ahead = np.where(column, ahead_there, ahead)
        value = np.where(better, there, value)
        length *= np.where(better, z.dtype.type(2), z.dtype.type(0.25))
    return z, value


def _on_sphere(z: Matrix) -> Matrix:
    return z * (z.dtype.type(ROOT) / _lengths(z))


def _lengths(z: Matrix) -> Matrix:
    """The lengths of the rows, (m, 1)."""
    return np.sqrt(np.add.reduce(z * z, axis=1, keepdims=True))
