"""Pricing by search: many-start ascent of |q' sigma(X b)| over the unit ball of the penalty's norm.

A network is globally optimal exactly when no b with |b| <= 1 has |q' sigma(X b)| > beta, q the loss gradient at its prediction
(Pilanci & Ergen 2020, the dual; Bach 2017, section 3). The function is positively homogeneous and linear on every cell, with
kinks where a sample changes sides. The search runs on the sphere of the smooth factors (`Penalty.fold`), from many starts at once.
Half of them climb the function with its kinks rounded off widely, which finds maxima with a large basin in many dimensions; half climb
it as it is, which finds those that the rounding hides. The best of both go on, and the best of these pass through widths that shrink to
nothing, for on a concave kink plain ascent jams.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..arrangement.chunks import CACHED, chunks
from ..arrangement.scaling import unit_rows
from ..resources.deadline import current, speed
from ..resources.phases import report
from .merge import groups, leaders
from .training import Training

Matrix = NDArray[Any]  # in single precision, too

#: Half-widths of the rounding, for samples of length one, in single precision: a few STEPS of a falling length at each; after each the best
#: SHARE goes on.
WIDE, STEPS, SHARE = (0.1, 0.03), 12, 0.4

#: Steps of the other half: as many as make CLIMBED looks at samples, at least STEPS, at most PATIENT. Small maxima are reached by the slow.
CLIMBED, PATIENT = 1.5e8, 150

#: Steps of the best of both halves on the function as it is. Those that are DISTINCT ends then go on.
CLIMB, DISTINCT = 30, 0.9999

#: The last passes: half-widths, steps at each, and how many starts make them: this share of all, at least LEAST, at most as many as make
#: LOOKED looks at samples.
NARROW, FINE, FINEST, LEAST, LOOKED = (0.03, 0.01, 0.003, 0.001, 3e-4, 1e-4, 1e-5), 40, 0.03, 6, 1e8

#: What the length of a step is multiplied by where it helped, and where not.
GROW, SHRINK = 1.7, 0.4

#: Ascents end when none has gained this share of its value in so many steps.
GAIN, LOOK = 1e-9, 12


#: The length of the factors of a block of norm one.
ROOT = np.sqrt(2)

#: Looks at the price that a start takes, until most have been given up.
ROUGH_LOOKS = 15


class Search(NamedTuple):
    """directions : (k, d), |b| <= 1 in the penalty's norm.  starts : how many there was time for, the first ones.
    ends : (j, d) where the ascents that were not given up ended.  counts : (j,) how many of them at each."""

    directions: Matrix
    starts: int
    ends: Matrix
    counts: NDArray[np.intp]


def search(training: Training, q: Matrix, starts: Matrix) -> Search:
    """Where the best ascents from `starts` (m, d), non-zero, lead.

    q : (n,), the loss's multiplier, or (c n,) for c outputs, each of which is searched for. Ends with what it has at the current deadline.
    """
    n, d = training.X.shape
    by = by_output(training, q)
    starts = starts[: _affordable(ROUGH_LOOKS * n * (4 * d + 20) * len(by), len(starts))]
    found, ends, counts, used = [starts[:0]], [starts[:0]], [np.zeros(0, dtype=np.intp)], 0
    for of_one in by:
        if current().expired() or not len(starts):
            break
        rough, fine, count = _ascents(training, of_one, starts)
        found += [rough, fine]
        ends.append(fine)
        counts.append(count)
        used += len(starts)
    return Search(np.vstack(found), used // len(by), np.vstack(ends), np.concatenate(counts))


def _affordable(operations: float, most: int) -> int:
    """How many pieces of work of so many operations there is time for, `most` at most."""
    left = current().remaining()
    return most if np.isinf(left) else int(min(most, left * speed() / operations))


def _ascents(training: Training, q: Matrix, starts: Matrix) -> tuple[Matrix, Matrix, NDArray[np.intp]]:
    """The ends in single precision of the ascents that were not given up, those of the best of them, and how many the best stand for."""
    penalty = training.penalty
    rough = Rounded.of(training, q, np.float32)
    z: Matrix = _on_sphere(penalty.unfold(unit_rows(starts)))
    side: Matrix = np.where(prices(training, penalty.fold(z), q) < 0, -1.0, 1.0).astype(np.float32)
    z = z.astype(np.float32)
    wide, narrow = slice(0, None, 2), slice(1, None, 2)
    steps = int(max(STEPS, min(PATIENT, CLIMBED / (len(starts) * len(q) / 2))))
    ends = [_annealed(rough, z[wide], side[wide]), _best(*_ascend(rough, z[narrow], side[narrow], 0.0, steps), side[narrow])]
    z, side = (np.concatenate(parts) for parts in zip(*ends, strict=True))
    z, value = _ascend(rough, z, side, 0.0, CLIMB)
    order = np.argsort(-value, kind="stable")
    z, side = z[order], side[order]
    found = penalty.fold(z.astype(np.float64))
    few = leaders(found, DISTINCT)[: max(LEAST, min(int(FINEST * len(starts)), int(LOOKED / (len(NARROW) * FINE * len(q)))))]
    counts = np.bincount(groups(found, DISTINCT), minlength=len(few))[: len(few)]
    z, side = z[few].astype(np.float64), side[few].astype(np.float64)
    fine = Rounded.of(training, q, np.float64)
    for width in NARROW:
        if current().expired():
            break
        z, _ = _ascend(fine, z, side, width, FINE)
    return found, penalty.fold(z), counts


def _annealed(at: Rounded, z: Matrix, side: Matrix) -> tuple[Matrix, Matrix]:
    """Ascents with wide rounding: steps of a length that falls, whether they help or not, which pass small maxima by."""
    for width in WIDE:
        for k in range(STEPS):
            if current().expired():
                break
            _, ahead = at.look(z, side, width)
            moved = z + ahead * z.dtype.type(1 / (1 + 0.1 * k))
            z = _on_sphere(np.where(_lengths(moved) > 0, moved, z))  # a step back through zero may end there
        value, _ = at.look(z, side, 0.0)
        z, side = _best(z, value, side)
    return z, side


def _best(z: Matrix, value: Matrix, side: Matrix) -> tuple[Matrix, Matrix]:
    """The share with the largest values."""
    order = np.argsort(-value, kind="stable")[: max(LEAST, int(np.ceil(SHARE * len(z))))]
    return z[order], side[order]


def by_output(training: Training, q: Matrix) -> Matrix:
    """The multiplier of every output: (c, n)."""
    return q.reshape(-1, len(training.X))


def prices(training: Training, blocks: Matrix, q: Matrix) -> Matrix:
    """q' sigma(X b) for every block b, of the output where it is largest in size: (m,)."""
    return most_violating(training, blocks, q)[0]


def most_violating(training: Training, blocks: Matrix, q: Matrix) -> tuple[Matrix, NDArray[np.intp]]:
    """The prices of blocks, (m,), and the outputs in which they are those, (m,)."""
    by = by_output(training, q).T
    values, across = np.zeros((len(blocks), by.shape[1])), np.ascontiguousarray(blocks.T)
    for part in chunks(len(training.X), len(blocks), CACHED):
        T = training.X[part] @ across
        if training.slope:
            T = np.where(T >= 0, T, training.slope * T)
        else:
            np.maximum(T, 0.0, out=T)
        values += T.T @ by[part]
    output = np.abs(values).argmax(axis=1)
    return values[np.arange(len(values)), output], output


@dataclass(frozen=True, eq=False)
class Rounded:
    """The price function with rounded kinks. X : (n, d), rows of length one.  q : (n,), times the lengths the rows had."""

    training: Training
    X: Matrix
    q: Matrix

    @classmethod
    def of(cls, training: Training, q: Matrix, kind: type) -> Rounded:
        X, weight = unit_rows(training.X), q * np.linalg.norm(training.X, axis=1)
        live = weight != 0
        X, weight = X[live], weight[live] / (np.abs(weight).max() if live.any() else 1.0)
        return cls(training, X.astype(kind), weight.astype(kind))

    def look(self, z: Matrix, side: Matrix, width: float) -> tuple[Matrix, Matrix]:
        """The values (m,), and the directions of ascent along the sphere, of the length of z. width : half of it; 0 for the kinks themselves.

        With active share a = (t / width + 1) / 2 in [0, 1] the rounded function of t is a t + width a (1 - a).
        """
        slope, penalty, kind = self.training.slope, self.training.penalty, z.dtype.type
        blocks = penalty.fold(z)
        across = np.ascontiguousarray(blocks.T)
        pull, rounding = np.zeros_like(blocks), np.zeros(len(blocks), dtype=z.dtype)
        for piece in chunks(len(self.X), len(blocks), CACHED):
            some, q = self.X[piece], self.q[piece, None]
            T = some @ across
            if width == 0:
                pull += np.multiply(T > 0, q, dtype=z.dtype).T @ some
                continue
            T *= kind(0.5 / width)
            T += kind(0.5)
            np.clip(T, 0.0, 1.0, out=T)
            active = T * q
            pull += active.T @ some
            np.subtract(1, T, out=T)
            T *= active
            rounding += T.sum(axis=0)
        if slope:
            pull = kind(1 - slope) * pull + kind(slope) * (self.q @ self.X)
        value = side * (np.einsum("jd,jd->j", blocks, pull) + kind((1 - slope) * width) * rounding)
        ahead = penalty.pull(z, side[:, None] * pull)
        ahead -= (np.einsum("jk,jk->j", ahead, z) / np.einsum("jk,jk->j", z, z))[:, None] * z
        size = _lengths(ahead)
        size[size == 0] = 1
        ahead *= kind(ROOT) / size
        return value, ahead


def _ascend(at: Rounded, z: Matrix, side: Matrix, width: float, steps: int) -> tuple[Matrix, Matrix]:
    """Steps along the gradient on the sphere, each start with a length of its own, which grows where it helped."""
    value, ahead = at.look(z, side, width)
    length, before = np.ones_like(value), value
    for k in range(1, steps + 1):
        report("pricing", k)
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
        length *= np.where(better, z.dtype.type(GROW), z.dtype.type(SHRINK))
    return z, value


def _on_sphere(z: Matrix) -> Matrix:
    size = _lengths(z)
    return z * (z.dtype.type(ROOT) / np.where(size > 0, size, 1))


def _lengths(z: Matrix) -> Matrix:
    """The lengths of the rows, (m, 1)."""
    return np.sqrt(np.add.reduce(z * z, axis=1, keepdims=True))
