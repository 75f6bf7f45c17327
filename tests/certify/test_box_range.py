"""Ranges over boxes: no sampled point beats what is proved, what is attained is what the network has there, and in the plane the vertices of
the arrangement of neurons know the ends exactly."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

import relumodel as rm

#: HiGHS's tolerances, in units of the sum of the largest |t| of every neuron
SLACK = 1.5e-5


def network(seed: int, d: int, m: int, slope: float = 0.0, bias: bool = True) -> rm.Network:
    rng = np.random.default_rng(seed)
    return rm.Network(
        rm.LeakyReLU(slope), bias, rng.normal(size=(d + bias, m)), rng.choice([-1.0, 1.0], m) * rng.uniform(0.5, 2, m)
    )


def size(f: rm.Network, box: rm.Box) -> float:
    low, high = box.ends(f.n_features)
    U = f.hidden_weights
    centre = np.append(0.5 * (low + high), [1.0] * f.bias)
    half = np.append(0.5 * (high - low), [0.0] * f.bias)
    return float(((np.abs(centre @ U) + half @ np.abs(U)) * np.abs(f.output_weights)).sum())


CASES = [(d, m, slope, bias) for d, m in ((1, 6), (2, 12), (4, 15), (6, 8)) for slope, bias in ((0.0, True), (0.2, False))]


@pytest.mark.parametrize(("d", "m", "slope", "bias"), CASES)
def test_nothing_that_is_sampled_leaves_the_range(d: int, m: int, slope: float, bias: bool) -> None:
    f = network(d * m, d, m, slope, bias)
    box = rm.Box(-np.linspace(0.5, 1, d), np.linspace(1.0, 0.3, d))
    low, high = box.ends(d)
    Z = np.vstack([np.random.default_rng(0).uniform(low, high, (20_000, d)), list(itertools.product(*zip(low, high, strict=True)))])
    found, slopes = f.range(box), f.slope_range(box)
    assert found.proved
    assert slopes.proved.all()
    values, gradients = f(Z), f.input_gradient(Z[:20_000])
    assert found.low_bound <= found.low <= values.min() + SLACK * size(f, box)
    assert found.high_bound >= found.high >= values.max() - SLACK * size(f, box)
    assert f(found.low_at[None])[0] == pytest.approx(found.low, rel=1e-12)
    assert f(found.high_at[None])[0] == pytest.approx(found.high, rel=1e-12)
    assert (found.low_at >= low).all()
    assert (found.high_at <= high).all()
    c = np.abs(f.hidden_weights[:d] * f.output_weights).sum(axis=1)
    assert (slopes.low_bound <= slopes.low).all()
    assert (slopes.low <= gradients.min(axis=0) + SLACK * c).all()
    assert (slopes.high >= gradients.max(axis=0) - SLACK * c).all()
    assert np.diag(f.input_gradient(slopes.low_at)) == pytest.approx(slopes.low)
    # the point is inside of a cell: a small step has that slope
    step = 1e-9 * np.eye(d)
    assert np.diag(f.input_gradient(np.clip(slopes.high_at + step, low, high))) == pytest.approx(slopes.high)


def vertices(f: rm.Network, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The points of a rectangle where two of the lines of the neurons and the edges meet: the ends of f are there."""
    lines = [(w[:2], -w[2]) for w in f.hidden_weights.T] + [
        (e, v) for e, v in zip(np.eye(2)[[0, 1, 0, 1]], [*low, *high], strict=True)
    ]
    out = []
    for (a, b), (c, d) in itertools.combinations(lines, 2):
        M = np.array([a, c])
        if abs(np.linalg.det(M)) > 1e-12:
            z = np.linalg.solve(M, [b, d])
            if (z >= low - 1e-9).all() and (z <= high + 1e-9).all():
                out.append(np.clip(z, low, high))
    return np.array(out)


@pytest.mark.parametrize("seed", range(3))
def test_in_the_plane_the_vertices_know(seed: int) -> None:
    f = network(seed, 2, 14)
    low, high = np.array([-1.0, -0.5]), np.array([0.7, 1.0])
    V = vertices(f, low, high)
    found = f.range(rm.Box(low, high))
    assert found.low == pytest.approx(f(V).min(), abs=SLACK * size(f, rm.Box(low, high)))
    assert found.high == pytest.approx(f(V).max(), abs=SLACK * size(f, rm.Box(low, high)))
    # every cell has a vertex, and a random point beside it
    around = np.random.default_rng(seed).normal(size=(60, 1, 2)) * 1e-5
    Z = np.clip((V + around).reshape(-1, 2), low, high)
    direction = np.array([0.6, -0.8])
    slopes = f.slope_range(rm.Box(low, high), direction)
    assert slopes.low == pytest.approx((f.input_gradient(Z) @ direction).min(), abs=1e-9)
    assert slopes.high == pytest.approx((f.input_gradient(Z) @ direction).max(), abs=1e-9)


def test_sides_that_meet_in_a_point_are_no_cell() -> None:
    # lines x = 0, y = 0, x + y = 0 meet in the origin: x > 0, y > 0, x + y < 0 is no cell; the slope along x would be -1 there
    U = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    f = rm.Network(rm.ReLU(), False, U * [1, 1, -1], np.array([-1.0, 0.0, -1.0]))
    found = f.slope_range(rm.Box(-1, 1), 0)
    assert found.high == 1.0  # both off, or on with slopes -1 and 1
    g = rm.Network(rm.ReLU(), False, np.array([[1.0, -1.0], [0.0, 0.0]]), np.array([-1.0, 1.0]))  # -|x| apart from signs: -x
    both = g.slope_range(rm.Box(-1, 1), 0)
    assert (both.low, both.high) == (-1.0, -1.0)  # both active at x = 0 alone, where the slopes would add to -2
    assert both.narrow >= 1
    assert "left out" in str(both)


def test_outputs_names_and_fixed_features() -> None:
    f = rm.Network(rm.ReLU(), True, np.random.default_rng(0).normal(size=(3, 6)), np.random.default_rng(1).normal(size=(6, 2)))
    found = f.range(rm.Box(0, 1))
    assert found.low.shape == (2,)
    assert found.low_at.shape == (2, 2)
    one = f.output(1)
    assert one.range(rm.Box(0, 1)).low == pytest.approx(found.low[1], abs=1e-6)
    point = f.range(rm.Box([0.3, 0.2], [0.3, 0.2]))
    assert point.low == pytest.approx(f(np.array([[0.3, 0.2]]))[0])
    frame = pd.DataFrame({"age": [0.0, 1.0], "income": [2.0, 3.0]})
    named = rm.Network(rm.ReLU(), True, one.hidden_weights, one.output_weights, feature_names=("age", "income"))
    slopes = named.slope_range(rm.Box.of(frame), "income")
    assert slopes.low == named.slope_range(rm.Box([0, 2], [1, 3])).low[1]
    with pytest.raises(rm.InputError, match="other columns"):
        named.range(rm.Box.of(frame[["income", "age"]]))
    with pytest.raises(rm.InputError, match="no feature 'size'"):
        named.slope_range(rm.Box.of(frame), "size")


def test_what_is_not_proved_in_time_is_said() -> None:
    f = network(5, 8, 120)
    found = f.range(rm.Box(-1, 1), time_limit=0.05)
    assert not found.proved
    assert found.low_bound < found.low < found.high < found.high_bound
    assert "proved only" in str(found)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: rm.Box(1, 0), "low <= high"),
        (lambda: rm.Box([0, 0, 0], [1, 1]), "must agree"),
        (lambda: rm.Box(-np.inf, 1), "infinite"),
        (lambda: rm.Box(None, 1), "a number or an array"),
        (lambda: rm.Box([[0.0]], 1), "one a feature"),
        (lambda: network(0, 2, 3).range(rm.Box([0, 0, 0], 1)), "3 features and the network 2"),
        (lambda: network(0, 2, 3).range((0, 1)), r"rm\.Box"),
        (lambda: network(0, 2, 3).slope_range(rm.Box(0, 1), [1.0]), "direction of 2"),
        (lambda: network(0, 2, 3).slope_range(rm.Box(0, 1), 2), "at most 1"),
    ],
)
def test_what_is_no_box_is_refused(make: Any, words: str) -> None:
    with pytest.raises(rm.RelumodelError, match=words):
        make()


def test_gates_that_are_fixed_are_refused() -> None:
    f = rm.Network(rm.GatedReLU(), False, np.eye(2), np.ones(2), gates=np.eye(2))
    with pytest.raises(rm.InputError, match="fixed gates"):
        f.range(rm.Box(0, 1))


def test_nothing_is_printed() -> None:
    code = (
        "import os; from relumodel.resources.quiet import without_stdout\n"
        "with without_stdout(): os.write(1, b'noise')\n"
        "os.write(1, b'voice')"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"voice"
