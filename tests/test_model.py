import json
import pickle

import numpy as np
import pytest

import relumodel as rm
from data_strategies import COVERING, MODELS, label


@pytest.mark.parametrize("model", COVERING, ids=label)
def test_json_round_trip(model):
    again = rm.Model.from_dict(json.loads(json.dumps(model.to_dict())))
    assert again == model
    assert hash(again) == hash(model)
    assert str(again) == str(model)


def test_all_models_differ():
    assert len(set(MODELS)) == len(MODELS) == 6 * 12 * 2
    assert len({str(m) for m in MODELS}) == len(MODELS)


def test_pickle_round_trip():
    assert pickle.loads(pickle.dumps(MODELS[0])) == MODELS[0]


def test_print_classification():
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Hinge(), rm.WeightDecay(1e-3))
    assert str(model) == (
        "minimise  1/n sum_k max(0, 1 - y_k f(x_k))  +  0.001/2 sum_j ( |u_j|_2^2 + a_j^2 )\n"
        "over neurons (u_j, a_j),  f(x) = sum_j max(0, [x, 1].u_j) a_j"
    )


def test_print_regression():
    model = rm.Model(rm.TwoLayer(rm.LeakyReLU(0.1)), rm.Huber(2, reduction="sum"), rm.PathNorm(5))
    assert str(model) == (
        "minimise  sum_k huber(f(x_k) - y_k)  +  5 sum_j |u_j|_1 |a_j|\n"
        "over neurons (u_j, a_j),  f(x) = sum_j leaky(x.u_j) a_j,  slope = 0.1, delta = 2"
    )


@pytest.mark.parametrize(("bias", "shown"), [(False, "1[x.g_j >= 0] x.u_j a_j"), (True, "1[[x, 1].g_j >= 0] [x, 1].u_j a_j")])
def test_print_gates(bias, shown):
    assert shown in str(rm.Model(rm.TwoLayer(rm.GatedReLU(), bias), rm.Squared(), rm.WeightDecay(1)))


GOOD = {"network": rm.TwoLayer(rm.ReLU()), "loss": rm.Squared(), "penalty": rm.WeightDecay(1)}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("network", rm.TwoLayer, r"network must be a DeclaredNetwork, .*; got the class TwoLayer \(add parentheses\)"),
        (
            "network",
            rm.ReLU(),
            r"network must be a DeclaredNetwork, for example rm.TwoLayer\(rm.ReLU\(\), bias=True\); got ReLU\(\)",
        ),
        ("loss", rm.Hinge, r"loss must be a Loss, .*; got the class Hinge \(add parentheses\)"),
        ("loss", "hinge", r"loss must be a Loss, for example rm.Hinge\(\) or rm.Squared\(\); got 'hinge'"),
        ("penalty", rm.WeightDecay, r"penalty must be a Penalty, .*; got the class WeightDecay \(add parentheses\)"),
        ("penalty", 1e-3, r"penalty must be a Penalty, for example .*; got 0.001"),
    ],
)
def test_parts_of_the_wrong_type(field, value, message):
    with pytest.raises(rm.InputTypeError, match=message):
        rm.Model(**{**GOOD, field: value})


def test_a_file_with_the_wrong_parts():
    data = rm.Model(**GOOD).to_dict()
    data["loss"], data["penalty"] = data["penalty"], data["loss"]
    with pytest.raises(rm.InputTypeError, match="loss must be a Loss"):
        rm.Model.from_dict(data)


def test_compile_reads_the_data_first():
    model = rm.Model(**GOOD)
    with pytest.raises(rm.InputError, match="X holds 1 NaN values"):
        model.compile([[np.nan]], [1], patterns=None)
    program = model.compile([[1.0], [-1.0]], [0, 1], patterns=rm.EnumeratePatterns())
    assert isinstance(program, rm.Program)
    assert program.model is model
