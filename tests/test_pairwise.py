from itertools import combinations, product

import pytest

from data_strategies import COVERING, MODELS
from pairwise import pairwise

DESIGNS = [
    [range(3)],
    ["ab", range(4)],
    ["abc", range(2), range(6), "xy", "uv"],
    [range(5)] * 4,
]


@pytest.mark.parametrize("factors", DESIGNS, ids=str)
def test_every_pair_stands_in_a_row(factors):
    rows = pairwise(*factors)
    assert rows == pairwise(*factors)
    assert len(set(rows)) == len(rows)
    assert set(rows) <= set(product(*factors))
    for i, factor in enumerate(factors):
        assert {row[i] for row in rows} == set(factor)
    for i, j in combinations(range(len(factors)), 2):
        assert {(row[i], row[j]) for row in rows} == set(product(factors[i], factors[j]))


def test_rows_that_cannot_be_built_are_left_out():
    rows = pairwise("abc", range(3), "xy", allowed=lambda letter, number, end: (letter, number) != ("a", 0))
    assert {(letter, number) for letter, number, _ in rows} == set(product("abc", range(3))) - {("a", 0)}
    assert {(number, end) for _, number, end in rows} == set(product(range(3), "xy"))


def test_few_models_hold_every_pair_of_declarations():
    def choices(model):
        network, loss = model.network, model.loss
        return type(network.activation), network.bias, type(loss), loss.reduction, type(model.penalty)

    few, all_of_them = [choices(m) for m in COVERING], [choices(m) for m in MODELS]
    assert len(few) <= 24 < len(all_of_them) == 144
    for i, j in combinations(range(5), 2):
        assert {(row[i], row[j]) for row in few} == {(row[i], row[j]) for row in all_of_them}
