"""The patterns of three-layer sub-networks ((X U)_+ v)_+: those of the hidden neurons, the signs of v, and the outer one.

Source: Ergen & Pilanci 2021, Theorem 1 and Remark 3.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrangement.scaling import unit_rows
from ..arrangement.witness import is_strict, widest
from ..errors import InputError
from ..resources.deadline import current

Matrix = NDArray[np.float64]

#: So many draws in a row without a new pattern, and the rest is taken to be too rare to be found.
PATIENCE = 1000


@dataclass(frozen=True, eq=False)
class SubNetworks:
    """The patterns of G sub-networks of m neurons on n samples, each with the weights that produced them.

    inner : (G, m, n) bool, [X u_gj >= 0].  outer : (G, n) bool, [(X U_g)_+ v_g >= 0].
    directions : (G, m, d), the u_gj, of norm 1; NaN where nothing is inside the pattern's cones.  weights : (G, m), the v_g; their signs are part of the pattern.
    origin : one phrase for the report.  complete : True where these are all there are (then the program is exact).
    """

    inner: NDArray[np.bool_]
    outer: NDArray[np.bool_]
    directions: Matrix
    weights: Matrix
    origin: str
    complete: bool = False

    @property
    def D(self) -> NDArray[np.bool_]:
        """(n, G m), the patterns of the hidden neurons, sub-network by sub-network."""
        return np.ascontiguousarray(self.inner.reshape(-1, self.inner.shape[2]).T)

    @property
    def signs(self) -> NDArray[np.int8]:
        """(G, m), those of v."""
        return np.sign(self.weights).astype(np.int8)

    @property
    def used(self) -> NDArray[np.bool_]:
        """(G, n), where any hidden neuron is active; elsewhere the sub-network is 0 whatever its weights."""
        return np.asarray(self.inner.any(axis=1))

    @property
    def witnesses(self) -> Matrix:
        """(G, m, d), the blocks |v_gj| u_gj, which meet both kinds of sign constraints strictly, at norm 1 a sub-network."""
        blocks = np.abs(self.weights)[:, :, None] * self.directions
        return blocks / np.linalg.norm(blocks, axis=(1, 2), keepdims=True)

    def cone(self, g: int, X: Matrix) -> Matrix:
        """The rows of both sign constraints on the blocks (m d) of sub-network g, ((m + 1) n, m d). X : (n, d)."""
        m, (n, d) = self.inner.shape[1], X.shape
        rows = np.zeros((m + 1, n, m, d))
        side = np.where(self.outer[g], 1.0, -1.0)
        for j in range(m):
            rows[j, :, j] = np.where(self.inner[g, j], 1.0, -1.0)[:, None] * X
            rows[m, :, j] = (side * self.inner[g, j] * self.signs[g, j])[:, None] * X
        return rows.reshape((m + 1) * n, m * d)

    def centred(self, X: Matrix) -> SubNetworks:
        """The same patterns with the weights furthest inside them, by a linear program each; NaN where there is no room inside, or no
        time was left to look."""
        directions, weights = np.full_like(self.directions, np.nan), self.weights.copy()
        for g in range(len(weights)):
            if current().expired():
                break
            rows = self.cone(g, X)
            rows = unit_rows(rows[rows.any(axis=1)])
            blocks = widest(rows, np.ones(len(rows)), current().remaining()).reshape(directions.shape[1:])
            sizes = np.linalg.norm(blocks, axis=1)
            if sizes.all():
                directions[g], weights[g] = blocks / sizes[:, None], np.sign(weights[g]) * sizes
        return dataclasses.replace(self, directions=directions, weights=weights)


def sampled(X: Matrix, width: int, count: int, seed: int) -> SubNetworks:
    """`count` sub-networks of Gaussian weights with distinct patterns, in the order drawn; those that are 0 on every sample, or within
    rounding of a boundary, are left out. X : (n, d). Raises `InputError` when too few are found."""
    rng = np.random.default_rng(seed)
    found: dict[bytes, tuple[Matrix, Matrix, NDArray[np.bool_], NDArray[np.bool_]]] = {}
    drawn = idle = 0
    while len(found) < count and idle < PATIENCE:
        drawn += 1
        before = len(found)
        U, v = unit_rows(rng.standard_normal((width, X.shape[1]))), rng.standard_normal(width)
        inner, outer, strict = patterns(X, U, v)
        if strict and (outer & inner.any(axis=0)).any():
            found.setdefault(key(inner, v, outer), (U, v, inner, outer))
        idle = 0 if len(found) > before else idle + 1
    if len(found) < count:
        raise InputError(
            f"SamplePatterns found {len(found):,} sub-networks with distinct patterns in {drawn:,} draws, not the {count:,} asked for; "
            f"ask for at most {len(found):,}, or use a larger width."
        )
    U, v, inner, outer = (np.stack(part) for part in zip(*found.values(), strict=True))
    return SubNetworks(inner, outer, U, v, f"{count:,} sub-networks sampled (seed {seed})")


def given(X: Matrix, U: Matrix, v: Matrix) -> SubNetworks:
    """The distinct patterns of the sub-networks U (G, m, d), v (G, m), those that are 0 on every sample left out. X : (n, d)."""
    found: dict[bytes, int] = {}
    for g in range(len(v)):
        inner, outer, _ = patterns(X, U[g], v[g])
        if (outer & inner.any(axis=0)).any():
            found.setdefault(key(inner, v[g], outer), g)
    if not found:
        raise InputError("Every sub-network of this network is 0 on every sample, so it has no patterns to train on.")
    used = list(found.values())
    parts = [patterns(X, U[g], v[g]) for g in used]
    inner, outer = np.stack([part[0] for part in parts]), np.stack([part[1] for part in parts])
    # trained sub-networks lie on or near the boundary of their cones
    return SubNetworks(inner, outer, U[used], v[used], f"{len(used):,} of a network with {len(v):,} sub-networks").centred(X)


def patterns(X: Matrix, U: Matrix, v: Matrix) -> tuple[NDArray[np.bool_], NDArray[np.bool_], bool]:
    """Those of one sub-network: (m, n) of the neurons U (m, d), (n,) of the outer one, and whether no sample is on a boundary."""
    S = U @ X.T
    inner = S >= 0
    terms = np.maximum(S, 0.0) * v[:, None]
    value, size = terms.sum(axis=0), np.abs(terms).sum(axis=0)
    strict = is_strict(X, U, inner.T).all() and (np.abs(value) > 1e-12 * size)[size > 0].all()
    return inner, value >= 0, bool(strict)


def key(inner: NDArray[np.bool_], v: Matrix, outer: NDArray[np.bool_]) -> bytes:
    """Equal for sub-networks with equal patterns, whatever the order of their neurons."""
    neurons = sorted(np.packbits(row).tobytes() for row in np.column_stack([v > 0, inner]))
    return b"".join([*neurons, np.packbits(outer).tobytes()])
