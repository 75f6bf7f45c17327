"""The entrances to the lowerings, dispatched on the kind of network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from typing import TYPE_CHECKING, Any

from ..data import Data
from ..declare.networks import DeclaredNetwork, TwoLayer
from ..errors import InputTypeError
from ..patterns.pattern_set import PatternSet
from ..program.program import Program
from .outputs import with_outputs

if TYPE_CHECKING:
    from ..declare.model import Model


def lower(network: DeclaredNetwork, model: Model, data: Data, patterns: Any) -> Program:
    """The convex program of `model` on `data`, whatever its network and the number of outputs."""
    return with_outputs(model, data, lambda one, first: lower_network(network, one, first, patterns))


def rebuild(network: DeclaredNetwork, model: Model, data: Data, found: PatternSet | None, arrays: Mapping[str, Any]) -> Program:
    """The program of `model` on patterns that were found before: what a file holds. arrays : what else the program is made of."""
    return with_outputs(model, data, lambda one, first: rebuild_network(network, one, first, found, arrays))


@singledispatch
def lower_network(network: Any, model: Model, data: Data, patterns: Any) -> Program:
    """The convex program of a model with one output; every kind of network registers its own."""
    raise InputTypeError(f"No lowering for networks of type {type(network).__name__}.")


@lower_network.register(TwoLayer)
def lower_two_layer(network: TwoLayer, model: Model, data: Data, patterns: Any) -> Program:
    """Two-layer networks differ by their activation."""
    return lower_activation(network.activation, model, data, patterns)


@singledispatch
def lower_activation(activation: Any, model: Model, data: Data, patterns: Any) -> Program:
    """The convex program of a two-layer network; every kind of activation registers its own."""
    raise InputTypeError(f"No lowering for two-layer networks with {type(activation).__name__}.")


@singledispatch
def rebuild_network(network: Any, model: Model, data: Data, found: PatternSet | None, arrays: Mapping[str, Any]) -> Program:
    """`rebuild` with one output; every kind of network registers its own."""
    raise InputTypeError(f"No lowering for networks of type {type(network).__name__}.")
