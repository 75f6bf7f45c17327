"""Programs whose rows are on several processes: each lowers its own, after all have compared what they were given.

The program of a rank has the terms of its own rows, with weights that divide by the total of all; what is summed over ranks, the
program asks its `ranks` for.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import Data, both_classes, read, read_classes, with_bias
from ..declare.networks import Polynomial, TwoLayer
from ..errors import InputError, InputTypeError
from ..patterns.pattern_set import PatternStrategy
from ..program.program import Program
from ..program.ranks import Ranks
from .outputs import with_outputs
from .two_layer import refuse_gates, two_layer_program

if TYPE_CHECKING:
    from ..declare.model import Model


def lower_shards(model: Model, X: Any, y: Any, patterns: Any, sample_weight: Any, group: Any) -> Program:
    """The program of `model` on the rows of all processes of a group, of which X, y and sample_weight are those of this one."""
    ranks = Ranks(group)
    with ranks.together():
        _refuse(model, patterns)
        own = read(X, y, model.loss, sample_weight, part=True)
    ranks.agree(_described(model, own, patterns))
    ranks.rows = tuple(int.from_bytes(count) for count in ranks.gather(len(own.X).to_bytes(8)))
    data = _completed(model, own, ranks)
    features = with_bias(data.X, model.network.bias)
    found = refuse_gates(model.network, patterns.find_shards(features, model.network.bias, ranks))
    program = with_outputs(model, data, lambda one, first: two_layer_program(one, first, found))
    return dataclasses.replace(program, ranks=ranks)


def _refuse(model: Model, patterns: Any) -> None:
    """An error for what takes all rows in one process."""
    network = model.network
    if not isinstance(network, TwoLayer) or isinstance(network.activation, Polynomial):
        raise InputError(
            f"group= trains two-layer networks with ReLU, LeakyReLU or GatedReLU; got {network!r}. Compile it in one process, without group=."
        )
    if model.perturbation is not None:
        raise InputError(
            f"group= trains without a perturbation; got {model.perturbation!r}. Compile in one process, without group=, or leave it out and "
            "see what the network keeps with network.certified(X, y, perturbation)."
        )
    if not isinstance(patterns, PatternStrategy):
        raise InputTypeError(
            f"group= compiles on patterns=rm.SamplePatterns(50, seed=0) or rm.PatternsOf(network); got {patterns!r}."
        )
    if type(patterns).find_shards is PatternStrategy.find_shards:
        raise InputError(
            f"{type(patterns).__name__} needs all rows in one process; with group= use rm.SamplePatterns(50, seed=0) or rm.PatternsOf(network)."
        )


def _described(model: Model, data: Data, patterns: PatternStrategy) -> dict[str, Any]:
    """What must be the same on all ranks, by the words of the error when it is not."""
    source = hashlib.blake2b(json.dumps(patterns.to_dict(), default=_plain).encode(), digest_size=8).hexdigest()
    return {
        "model": json.dumps(model.to_dict()),
        "number of features": data.X.shape[1],
        "number of outputs": 0 if model.loss.reads == "classes" else data.outputs,
        "feature names": data.names and list(data.names),
        "source of patterns": f"{patterns!r} (digest {source})",
    }


def _plain(value: Any) -> Any:
    """What JSON does not know: the arrays of a network."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else repr(value)


def _completed(model: Model, data: Data, ranks: Ranks) -> Data:
    """The data of this rank with what only all ranks know: the classes, and the total of the weights."""
    total = ranks.sum(float(len(data.X) if data.weights is None else data.weights.sum()))
    classes = None
    if model.loss.reads == "classes":
        classes = read_classes(np.unique(ranks.stack(np.unique(data.y))[0]), model.loss, None)
    elif model.loss.reads == "margin":
        both_classes(-ranks.largest(-data.y.min(axis=0)), ranks.largest(data.y.max(axis=0)), model.loss)
    return dataclasses.replace(data, total=total, classes=classes)
