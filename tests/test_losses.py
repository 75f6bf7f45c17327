import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

import relumodel as rm
from reference import epigraph_minimum
from relumodel.functions.losses import positive, soft

LOSSES = [rm.Squared(), rm.Absolute(), rm.Huber(0.7), rm.Huber(3.0), rm.Hinge(), rm.SquaredHinge(), rm.Logistic()]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=str)

#: arguments on both sides of every kink, and the kinks
S = np.concatenate([np.linspace(-6, 6, 49), [-0.7, 0.7, 1.0, 1 - 1e-9, 1 + 1e-9]])
#: dual arguments inside, on the border of, and outside every domain
M = np.concatenate([np.linspace(-4, 4, 33), [-0.7, 0.7, -1e-9, -1 + 1e-9]])


@pytest.mark.parametrize(
    ("loss", "s", "value"),
    [
        (rm.Squared(), -3.0, 4.5),  # 9 / 2
        (rm.Absolute(), -3.0, 3.0),
        (rm.Huber(2.0), 1.0, 0.5),  # inside delta: half the square
        (rm.Huber(2.0), -3.0, 4.0),  # beyond: delta (|s| - delta / 2) = 2 (3 - 1)
        (rm.Hinge(), 0.25, 0.75),
        (rm.Hinge(), 1.5, 0.0),
        (rm.SquaredHinge(), -1.0, 4.0),  # (1 + 1)^2, no factor 1/2
        (rm.SquaredHinge(), 2.0, 0.0),
        (rm.Logistic(), 0.0, math.log(2)),
        (rm.Logistic(), -math.log(3), math.log(4)),  # log(1 + 3)
    ],
)
def test_values_by_hand(loss, s, value):
    assert loss.value(np.array([s]))[0] == pytest.approx(value, rel=1e-15)


@every_loss
def test_margin_losses_fall_and_residual_losses_are_even(loss):
    grid = np.sort(S)
    values = loss.value(grid)
    assert values.min() >= 0
    if loss.reads == "margin":
        assert (np.diff(values) <= 1e-15).all()
    else:
        np.testing.assert_allclose(values, loss.value(-grid), rtol=1e-15)


@every_loss
def test_fenchel_young(loss):
    """phi(s) + phi*(m) >= s m, with equality where m is a subgradient at s."""
    m = loss.clip(M)
    below = loss.value(S)[:, None] + loss.conjugate(m)[None, :] - S[:, None] * m[None, :]
    assert below.min() >= -1e-12
    slope = loss.slope(S)
    np.testing.assert_allclose(loss.value(S) + loss.conjugate(slope), S * slope, atol=1e-12)


@every_loss
def test_conjugate_is_the_supremum(loss):
    """phi*(m) against the best of a fine grid; where phi* is finite the supremum lies within it (or is approached)."""
    m = np.unique(loss.clip(M))
    s = np.arange(-6000, 6001) / 100
    best = (m[:, None] * s - loss.value(s)).max(axis=1)
    np.testing.assert_allclose(loss.conjugate(m), best, atol=1e-4)


@every_loss
def test_clip_is_the_nearest_point_of_the_domain(loss):
    """Outside its domain phi* is infinite: a step of 1e-3 beyond, m s - phi(s) grows without end."""
    clipped = loss.clip(M)
    np.testing.assert_array_equal(loss.clip(clipped), clipped)
    for m in M[np.abs(clipped - M) > 1e-3]:
        beyond = loss.clip(np.array([m]))[0]
        beyond += 1e-3 * np.sign(m - beyond)
        far = np.array([-1e7, 1e7])
        assert (beyond * far - loss.value(far)).max() > 1e3


@every_loss
def test_slope_is_a_subgradient(loss):
    """phi(t) >= phi(s) + phi'(s) (t - s) for all s, t."""
    tangent = loss.value(S)[:, None] + loss.slope(S)[:, None] * (S[None, :] - S[:, None])
    assert (loss.value(S)[None, :] - tangent).min() >= -1e-12


@every_loss
@pytest.mark.parametrize("t", [0.01, 1.0, 25.0])
def test_prox_minimises(loss, t):
    """Against scipy's scalar minimiser, whose answer in p is good to the root of rounding only."""
    for s in S[::3]:
        found = minimize_scalar(
            lambda p, s=s: t * loss.value(np.float64(p)) + 0.5 * (p - s) ** 2,
            bounds=(s - 200, s + 200),
            method="bounded",
            options={"xatol": 1e-9},
        )
        assert loss.prox(np.array([s]), t)[0] == pytest.approx(found.x, abs=1e-5)


@every_loss
def test_moreau(loss):
    """q = (s - prox(s)) / t is a subgradient at p = prox(s): in the domain of phi*, and Fenchel-Young holds with equality."""
    t = np.linspace(0.01, 30, len(S))
    p = loss.prox(S, t)
    q = (S - p) / t
    np.testing.assert_allclose(loss.clip(q), q, atol=1e-11)
    np.testing.assert_allclose(loss.value(p) + loss.conjugate(loss.clip(q)), p * q, atol=1e-10)


@every_loss
@pytest.mark.parametrize("face", ["value", "slope", "prox", "conjugate", "clip"])
@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
def test_torch_agrees_with_numpy_and_keeps_its_type(loss, face, kind):
    def at(s):
        s = loss.clip(s) if face == "conjugate" else s
        return loss.prox(s, 0.5) if face == "prox" else getattr(loss, face)(s)

    out = at(torch.tensor(S, dtype=kind))
    assert out.dtype == kind
    exact = at(S.astype(np.float32).astype(float) if kind == torch.float32 else S)
    np.testing.assert_allclose(out.numpy(), exact, atol=1e-14 if kind == torch.float64 else 2e-5)


@every_loss
def test_rows_describe_the_epigraph(loss):
    s, weights = np.array([-2.5, 0.3, 1.0, 4.0]), np.array([0.25, 1.0, 2.0, 0.5])
    assert epigraph_minimum(loss.rows(weights), s) == pytest.approx(weights @ loss.value(s), abs=1e-6)


def test_logistic_neither_overflows_nor_loses_small_values():
    """log(1 + exp(-s)) is -s to rounding at s = -800, and exp(-s) at s = 40."""
    loss = rm.Logistic()
    np.testing.assert_array_equal(loss.value(np.array([-800.0, 800.0])), [800.0, 0.0])
    assert loss.value(np.array([40.0]))[0] == pytest.approx(math.exp(-40), rel=1e-12)
    np.testing.assert_array_equal(loss.slope(np.array([-800.0, 800.0])), [-1.0, -0.0])
    np.testing.assert_array_equal(loss.conjugate(np.array([-1.0, 0.0])), [0.0, 0.0])


@pytest.mark.parametrize("scale", [1e-8, 1.0, 10.0, 1e8])
@pytest.mark.parametrize("t", [1e-6, 1.0, 25.0, 1e4, 1e12])
def test_logistic_prox_at_any_scale(scale, t):
    """The root of p + t phi'(p) = s, to rounding in its terms. Plain Newton steps cycle for t > 16."""
    loss, s = rm.Logistic(), np.linspace(-5, 5, 201) * scale
    p = loss.prox(s, t)
    assert (np.abs(p + t * loss.slope(p) - s) <= 1e-14 * (np.abs(p) + np.abs(s) + t)).all()
    assert ((p >= s) & (p <= s + t)).all()


def test_positive_and_soft():
    np.testing.assert_array_equal(positive(np.array([-2.0, 0.0, 3.0])), [0, 0, 3])
    np.testing.assert_array_equal(soft(np.array([-2.0, 0.5, 3.0]), 1.0), [-1, 0, 2])


@pytest.mark.parametrize("reduction", ["average", "Mean", None, 1, True])
def test_unknown_reduction(reduction):
    with pytest.raises(rm.InputError, match=f"reduction must be 'mean' or 'sum'; got {reduction!r}"):
        rm.Hinge(reduction=reduction)


@pytest.mark.parametrize(
    ("delta", "error"), [(0, rm.InputError), (-1, rm.InputError), (math.inf, rm.InputError), ("1", rm.InputTypeError)]
)
def test_bad_delta(delta, error):
    with pytest.raises(error, match="delta must be"):
        rm.Huber(delta)


def test_huber_checks_its_reduction_too():
    with pytest.raises(rm.InputError, match="reduction must be"):
        rm.Huber(1.0, reduction="none")
