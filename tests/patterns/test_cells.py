from math import comb, gcd

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from relumodel.arrangement.arrangement import arrangement
from relumodel.arrangement.cells import interior_points, signs_at
from relumodel.patterns import EnumeratePatterns


def exact_count(rows) -> int:
    """The number of cells of integer hyperplanes, by deletion and restriction in exact arithmetic."""
    lines = set()
    for row in rows:
        divisor = gcd(*row)
        if divisor:
            lead = next(x for x in row if x)
            lines.add(tuple(x // divisor * (1 if lead > 0 else -1) for x in row))
    lines = sorted(lines)
    total = 1
    for j, h in enumerate(lines):
        p = next(i for i, x in enumerate(h) if x)
        total += exact_count([tuple(g[i] * h[p] - h[i] * g[p] for i in range(len(h)) if i != p) for g in lines[:j]])
    return total


def count(X) -> int:
    reduced = arrangement(X)
    points = interior_points(reduced.normals, np.full(reduced.hyperplanes, reduced.blur))
    signs = signs_at(points, reduced.normals)
    assert len(np.unique(signs, axis=0)) == len(points)
    assert {tuple(s) for s in signs} == {tuple(s) for s in ~signs}
    return len(points)


@pytest.mark.parametrize(("n", "d"), [(9, 1), (1, 4), (60, 2), (40, 3), (3, 3), (25, 4), (18, 5), (12, 7), (11, 10)])
def test_general_position_reaches_covers_count(n, d):
    X = np.random.default_rng(n).standard_normal((n, d))
    m = 1 if d == 1 else n
    assert count(X) == 2 * sum(comb(m - 1, k) for k in range(min(m, d)))


def test_known_arrangements():
    braid = np.array([[1.0, -1, 0, 0], [1, 0, -1, 0], [1, 0, 0, -1], [0, 1, -1, 0], [0, 1, 0, -1], [0, 0, 1, -1]])
    assert count(braid) == 24  # the orders of four numbers
    signed = np.vstack([np.eye(3), *[np.roll([1.0, s, 0], k)[None] for s in (1, -1) for k in range(3)]])
    assert count(signed) == 48  # the Coxeter arrangement B3
    resonance = np.array([[i >> k & 1 for k in range(4)] for i in range(1, 16)], dtype=float)
    assert count(resonance) == 370  # sums of subsets of four numbers (Kamiya, Takemura, Terao 2011)


INTEGERS = st.tuples(st.integers(1, 12), st.integers(1, 4)).flatmap(lambda s: arrays(np.int64, s, elements=st.integers(-2, 2)))


@settings(max_examples=100)
@given(INTEGERS, st.sampled_from(["plain", "ones", "repeated", "dependent"]), st.integers(0, 99))
def test_degenerate_counts_are_exact_in_any_coordinates(check, Z, kind, seed):
    rng = np.random.default_rng(seed)
    n, d = Z.shape
    if kind == "ones":
        Z[:, -1] = 1
    elif kind == "repeated":
        Z = Z[rng.integers(0, n, n)]
    elif kind == "dependent":
        Z = Z @ rng.integers(-1, 2, (d, d))
    wanted = exact_count(Z.tolist())
    coordinates = [
        np.eye(d),
        0.1 * np.eye(d),
        rng.standard_normal((d, d + 2)),
        np.diag(10.0 ** rng.uniform(-8, 8, d)),
        rng.standard_normal((d, d)) @ np.diag(np.logspace(-5, 0, d)) @ rng.standard_normal((d, d)),
    ]
    for A in coordinates:
        X = Z @ A * 10.0 ** rng.uniform(-8, 8, (n, 1))
        found = EnumeratePatterns().find(X, False)
        assert found.count == wanted
        check(found, X)


def test_points_lie_well_inside_their_cells():
    reduced = arrangement(np.random.default_rng(0).standard_normal((40, 3)))
    points = interior_points(reduced.normals, np.full(40, reduced.blur))
    margins = np.sort(np.abs(points @ reduced.normals.T).min(axis=1))
    # the best possible in each cell, from a linear program, had minimum 1.6e-4 and median 1.0e-2 when this was written
    assert margins[0] > 1e-5
    assert np.median(margins) > 3e-3
