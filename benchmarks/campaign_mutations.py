"""Accidents that happen to files: bytes, words and parts of JSON lost, changed, doubled or put in."""

from __future__ import annotations

import copy
from typing import Any

from campaign_draws import Rng, pick

#: What often breaks a reader of text.
TOKENS = (
    *(
        "nan",
        "inf",
        "-inf",
        "1e999",
        "-0",
        "0x10",
        "1_000",
        "١",
        "²",
        "１",
        "1e30",
        "-1",
        "0",
        "1",
        "true",
        "null",
        "None",
        "[]",
        "{}",
    ),
    *(
        '""',
        "'",
        "#",
        ",",
        ";",
        ":",
        "=",
        "\\",
        "\0",
        "\t",
        "\r",
        "\n",
        "\ufeff",
        "é",
        "💥",
        "# Columns ²",
        "=obj= x",
        "Columns",
        "Rows",
    ),
    *("9" * 6000, "[" * 5000, '{"a":' * 5000, "x" * 100_000, "Model status\nInfeasible\n"),
)
#: What often breaks a reader of JSON.
VALUES = (
    None,
    True,
    False,
    0,
    -1,
    3,
    2.5,
    1e30,
    10**400,
    float("nan"),
    "",
    "x",
    "é\0",
    [],
    [None],
    {},
    {"type": "ReLU"},
    [[1, 2], [3]],
)


def mutated(rng: Rng, raw: bytes) -> bytes:
    """The bytes after one accident, or a few."""
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        n = len(raw)
        i, j = sorted(int(k) for k in rng.integers(0, n + 1, 2))
        accident = int(rng.integers(7))
        if accident == 0:  # cut short
            raw = raw[:i]
        elif accident == 1:  # a part lost
            raw = raw[:i] + raw[min(j, i + 200) :]
        elif accident == 2 and n:  # bytes that changed
            data = bytearray(raw)
            known = b"0123456789.-eE \n" if rng.random() < 0.7 else bytes(range(256))
            for k in rng.integers(0, n, int(rng.integers(1, 6))):
                data[k] = pick(rng, known)
            raw = bytes(data)
        elif accident == 3:  # something put in
            raw = raw[:i] + pick(rng, TOKENS).encode() + raw[i:]
        elif accident == 4:  # a part twice
            raw = raw[:j] + raw[i : min(j, i + 500)] + raw[j:]
        else:  # a word or a line in place of another
            mark = pick(rng, (b"\n", b" ", b","))
            parts = raw.split(mark)
            parts[int(rng.integers(len(parts)))] = pick(rng, TOKENS).encode() if rng.random() < 0.7 else pick(rng, parts)
            raw = mark.join(parts)
    return raw


def altered(rng: Rng, value: Any) -> Any:
    """JSON data with one to three of its parts changed, left out or added, somewhere."""
    value = copy.deepcopy(value)
    for _ in range(int(rng.integers(1, 4))):
        at, key = value, None
        while isinstance(at, dict | list) and len(at):
            holder, key = at, pick(rng, list(at) if isinstance(at, dict) else range(len(at)))
            at = holder[key]
            if rng.random() < 0.35:
                break
        if key is None:
            continue
        if rng.random() < 0.2:
            del holder[key]
        else:
            holder[key] = _other(rng, at)
    return value


def _other(rng: Rng, value: Any) -> Any:
    if isinstance(value, str) and rng.random() < 0.5:
        return mutated(rng, value.encode()).decode(errors="replace")
    if isinstance(value, int | float) and abs(value) < 1e300 and rng.random() < 0.5:
        return value * pick(rng, (-1, 0, 2, 0.5)) + pick(rng, (0, 1, -1))
    return copy.deepcopy(pick(rng, VALUES))  # what is changed next must not stand in the next case
