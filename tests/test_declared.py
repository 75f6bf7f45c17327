import dataclasses
import json
from fractions import Fraction

import numpy as np
import pytest

import relumodel as rm
from relumodel.declare.networks import Activation
from relumodel.declared import Declared, number, whole
from relumodel.functions.losses import Loss
from relumodel.functions.penalties import Penalty
from relumodel.patterns import PatternStrategy


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.int8(2), np.array(2.0), Fraction(2)])
def test_number_accepts_what_counts_as_one(value):
    out = number(value, "beta")
    assert out == 2.0
    assert type(out) is float


@pytest.mark.parametrize("value", [True, np.True_, "2", None, 1 + 1j, np.complex128(2), np.array([2.0]), [2.0], int])
def test_number_refuses_other_types(value):
    with pytest.raises(rm.InputTypeError, match="beta must be a number; got"):
        number(value, "beta")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400])
def test_number_refuses_what_is_not_finite(value):
    with pytest.raises(rm.InputError, match="beta must be finite; got"):
        number(value, "beta")


@pytest.mark.parametrize(
    ("value", "limits", "allowed"),
    [
        (-1e-9, {"low": 0}, ">= 0"),
        (0, {"above": 0}, "> 0"),
        (1, {"low": 0, "below": 1}, ">= 0 and < 1"),
        (float("nan"), {"low": 0}, ">= 0"),
    ],
)
def test_number_says_what_is_allowed(value, limits, allowed):
    with pytest.raises(rm.InputError, match=f"x must be a finite number {allowed}; got {value!r}"):
        number(value, "x", **limits)


def test_number_at_the_ends_of_its_range():
    assert number(0, "x", low=0) == 0
    assert number(np.nextafter(0, 1), "x", above=0) > 0


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_whole_accepts_integers(value):
    assert whole(value, "count", low=3) == 3


@pytest.mark.parametrize("value", [3.0, True, np.True_, "3", None, np.array([3])])
def test_whole_refuses_other_types(value):
    with pytest.raises(rm.InputTypeError, match="count must be a whole number; got"):
        whole(value, "count")


def test_whole_refuses_what_is_too_small():
    with pytest.raises(rm.InputError, match=r"count must be a whole number >= 1; got 0"):
        whole(0, "count", low=1)


DECLARED = [
    rm.Huber(0.5, reduction="sum"),
    rm.LeakyReLU(0.3),
    rm.TwoLayer(rm.GatedReLU(), bias=True),
    rm.PathNorm(2),
    rm.SamplePatterns(5, seed=1),
]


@pytest.mark.parametrize("declared", DECLARED, ids=str)
def test_json_round_trip(declared):
    again = Declared.from_dict(json.loads(json.dumps(declared.to_dict())))
    assert again == declared
    assert type(again) is type(declared)
    assert hash(again) == hash(declared)


@pytest.mark.parametrize("declared", DECLARED, ids=str)
def test_immutable(declared):
    field = dataclasses.fields(declared)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(declared, field, 1)


def test_equal_only_within_a_class():
    assert rm.WeightDecay(1) == rm.WeightDecay(1.0)
    assert rm.WeightDecay(1) != rm.PathNorm(1)
    assert rm.Squared() != rm.Squared(reduction="sum")
    assert len({rm.WeightDecay(1), rm.WeightDecay(1.0), rm.WeightDecay(2)}) == 2


@pytest.mark.parametrize("data", [None, [], "Hinge", {}, {"reduction": "mean"}])
def test_from_dict_needs_a_type(data):
    with pytest.raises(rm.InputTypeError, match="needs a dictionary with a 'type' entry"):
        Loss.from_dict(data)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (Loss, "Cubic"),
        (Loss, ["Hinge"]),
        (Loss, None),
        (Penalty, "Hinge"),
        (Loss, "Loss"),
        (Loss, "MarginLoss"),
        (Activation, "Activation"),
        (Penalty, "Penalty"),
        (PatternStrategy, "PatternStrategy"),
    ],
)
def test_from_dict_names_what_it_knows(kind, given):
    with pytest.raises(rm.InputError, match=rf"Unknown type .* for {kind.__name__}; known: [A-Z]\w+, ") as error:
        kind.from_dict({"type": given})
    assert f", {kind.__name__}" not in str(error.value)


def test_from_dict_refuses_unknown_fields():
    with pytest.raises(rm.InputError, match="Hinge has no field 'delta'; its fields are reduction"):
        Loss.from_dict({"type": "Hinge", "delta": 1})


def test_from_dict_says_which_field_lacks():
    with pytest.raises(rm.InputError, match="Huber needs the field 'delta'"):
        Loss.from_dict({"type": "Huber"})
    assert Loss.from_dict({"type": "Hinge"}) == rm.Hinge()


def test_from_dict_checks_values_like_the_constructor():
    with pytest.raises(rm.InputError, match="beta must be a finite number >= 0"):
        Penalty.from_dict({"type": "WeightDecay", "beta": -1})
