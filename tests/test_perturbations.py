"""Perturbation sets: declared, read against data, and the faces of their support functions against brute force."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import relumodel as rm
from robust_reference import draws, inside

SETS = [rm.LInf, rm.L2, rm.L1]
every_set = pytest.mark.parametrize("make", SETS)


@st.composite
def vectors(draw):
    """(radii (d,) with zeros, Q (n, d) with zeros and ties)."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    d, n = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    r = rng.choice([0.0, 0.5, 1.0, rng.uniform(0.1, 2)], d)
    Q = rng.standard_normal((n, d)) if draw(st.booleans()) else rng.integers(-2, 3, (n, d)).astype(float)
    return r, Q


@every_set
@given(vectors())
def test_support_is_the_largest_product_and_worst_attains_it(make, case):
    r, Q = case
    set_ = make(1.0)
    worst = set_.worst(Q, r)
    assert (inside(set_, r, worst) <= 1 + 1e-12).all()
    h = set_.support(Q, r)
    np.testing.assert_allclose((worst * Q).sum(axis=1), h, atol=1e-12)
    others = draws(set_, r, (300, len(Q)), np.random.default_rng(0))
    assert ((others * Q).sum(axis=2) <= h + 1e-12).all()


@every_set
@given(vectors())
def test_gauge(make, case):
    """The smallest s with g in s Delta, unperturbed columns left out; the support function is its dual norm."""
    r, G = case
    set_ = make(1.0)
    gauge = set_.gauge(G, r)
    np.testing.assert_allclose(gauge, inside(set_, r, np.where(r > 0, G, 0.0)), atol=1e-12)
    assert ((G * np.where(r > 0, G, 0)).sum(axis=1) <= gauge * set_.support(G, r) + 1e-9).all()


@every_set
@given(vectors(), st.floats(0, 5))
def test_prox(make, case, t):
    """p = q - t projection of q / t on Delta: q - p is in t Delta, and (q - p).p = t h(p)."""
    r, Q = case
    set_ = make(1.0)
    P = set_.prox(Q, np.full(len(Q), t), r)
    moved = Q - P
    np.testing.assert_array_equal(moved[:, r == 0], 0)
    assert (set_.gauge(moved, r) <= t * (1 + 1e-9) + 1e-12).all()
    np.testing.assert_allclose((moved * P).sum(axis=1), t * set_.support(P, r), atol=1e-9)


@every_set
def test_torch_agrees_with_numpy(make):
    rng = np.random.default_rng(0)
    r, Q, t = np.array([0.5, 0.0, 2.0]), rng.standard_normal((4, 3)), np.array([0.0, 0.1, 1.0, 9.0])
    on_torch = [torch.tensor(a) for a in (Q, r, t)]
    for name in ("support", "worst", "gauge"):
        np.testing.assert_allclose(getattr(make(1.0), name)(*on_torch[:2]).numpy(), getattr(make(1.0), name)(Q, r), atol=1e-14)
    np.testing.assert_allclose(make(1.0).prox(on_torch[0], on_torch[2], on_torch[1]).numpy(), make(1.0).prox(Q, t, r), atol=1e-12)


def test_by_hand():
    q, r = np.array([[3.0, -4.0]]), np.array([0.5, 1.0])
    assert rm.LInf(1).support(q, r) == 1.5 + 4
    assert rm.L2(1).support(q, r) == pytest.approx(np.hypot(1.5, 4))
    assert rm.L1(1).support(q, r) == 4
    np.testing.assert_array_equal(rm.LInf(1).worst(q, r), [[0.5, -1]])
    np.testing.assert_array_equal(rm.L1(1).worst(q, r), [[0, -1]])
    assert rm.L1(1).gauge(q, r) == 6 + 4


def test_radii():
    np.testing.assert_array_equal(rm.LInf(0.1).radii(2), [0.1, 0.1])
    np.testing.assert_array_equal(rm.L2(0.1).radii(2, bias=True), [0.1, 0.1, 0])
    np.testing.assert_array_equal(rm.LInf([0.1, 0.2, 0.3], fixed=[-1, 0]).radii(3), [0, 0.2, 0])
    np.testing.assert_array_equal(rm.LInf(0.1, fixed=("b", 0)).radii(3, names=("a", "b", "c")), [0, 0, 0.1])
    np.testing.assert_array_equal(rm.LInf(0.1, fixed="a").radii(1, names=("a",)), [0])
    assert rm.LInf(0.1).ball(2, bias=True).radii.tolist() == [0.1, 0.1, 0]
    assert rm.LInf(0.0).ball(2) is None
    assert rm.L1((1, 0), fixed=0).ball(2) is None


def test_radii_come_from_many_kinds():
    for radius in (
        [0.1, 0.2],
        (0.1, 0.2),
        np.array([0.1, 0.2]),
        torch.tensor([0.1, 0.2], dtype=torch.float64),
        pd.Series([0.1, 0.2]),
    ):
        assert rm.L2(radius) == rm.L2((0.1, 0.2))
    for radius in (1, np.float32(1), np.array(1.0), torch.tensor(1.0)):
        assert rm.L2(radius) == rm.L2(1.0)
    assert rm.L1(0.1, fixed=np.int64(3)) == rm.L1(0.1, fixed=(3,)) == rm.L1(0.1, fixed=np.array([3]))


@pytest.mark.parametrize("set_", [rm.LInf(0.1), rm.L2((0.1, 0.0)), rm.L1(0.5, fixed=("a", 1))])
def test_json_round_trip_and_scaling(set_):
    assert type(set_).from_dict(json.loads(json.dumps(set_.to_dict()))) == set_
    np.testing.assert_allclose(set_.scaled(2).radii(2, names=("a", "b")), 2 * set_.radii(2, names=("a", "b")))


def test_printed():
    assert str(rm.LInf(0.05)) == "|delta_k|_inf <= 0.05"
    assert str(rm.L1(0.05, fixed=0)) == "|delta_k|_1 <= 0.05, 1 feature fixed"
    assert str(rm.L2((1, 2), fixed=(0, 1))) == "|delta_k|_2 <= 1 in units of its radii, 2 features fixed"
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge(), rm.WeightDecay(1), rm.L2(0.1))
    assert "max over |delta_k|_2 <= 0.1 of max(0, 1 - y_k f(x_k + delta_k))" in str(model)


@pytest.mark.parametrize(
    ("radius", "kind", "words"),
    [
        (-0.1, rm.InputError, "finite number >= 0; got -0.1"),
        (np.nan, rm.InputError, "got nan"),
        (np.inf, rm.InputError, "got inf"),
        ([0.1, -1], rm.InputError, "Every radius"),
        ([0.1, np.nan], rm.InputError, "got nan"),
        ([[0.1]], rm.InputTypeError, "Every radius must be a number"),
        (np.ones((2, 2)), rm.InputError, r"got shape \(2, 2\)"),
        ("0.1", rm.InputTypeError, "got '0.1'"),
        (None, rm.InputTypeError, "got None"),
        (True, rm.InputTypeError, "got True"),
        (1j, rm.InputTypeError, "must be a number"),
        ({0.1, 0.2}, rm.InputTypeError, "in their order"),
    ],
)
@every_set
def test_bad_radii(make, radius, kind, words):
    with pytest.raises(kind, match=words):
        make(radius)


@pytest.mark.parametrize("fixed", [1.5, None, (True,), [[0]], (0.5,)])
def test_bad_fixed(fixed):
    with pytest.raises(rm.InputTypeError, match="fixed lists features by position or name"):
        rm.LInf(0.1, fixed=fixed)


def test_what_does_not_fit_the_data():
    X, y = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1.0, 0.0, 3.0]}), [1, -1, 1]

    def compiled(perturbation, X=X):
        model = rm.Model(rm.TwoLayer(rm.ReLU(), True), rm.Hinge(), rm.WeightDecay(0.1), perturbation)
        return model.compile(X, y, patterns=rm.EnumeratePatterns())

    with pytest.raises(rm.InputError, match="has 3 radii and X has 2 features; give one number or 2"):
        compiled(rm.LInf([0.1, 0.1, 0.1]))
    with pytest.raises(rm.InputError, match=r"'c', which X does not have \(a, b\)"):
        compiled(rm.LInf(0.1, fixed="c"))
    with pytest.raises(rm.InputError, match="no column names"):
        compiled(rm.LInf(0.1, fixed="a"), X=X.to_numpy())
    with pytest.raises(rm.InputError, match="feature 2, but X has 2 features"):
        compiled(rm.LInf(0.1, fixed=2))
    by_name, by_position = compiled(rm.LInf(0.1, fixed="b")), compiled(rm.LInf(0.1, fixed=1))
    assert by_name.inverse.ball.radii.tolist() == by_position.inverse.ball.radii.tolist() == [0.1, 0, 0]


def test_not_a_perturbation():
    with pytest.raises(rm.InputTypeError, match="perturbation must be"):
        rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge(), rm.WeightDecay(1), 0.1)
    with pytest.raises(rm.InputError, match="'strict' or 'crossing'"):
        rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge(), rm.WeightDecay(1), rm.LInf(0.1), robust="loose")
