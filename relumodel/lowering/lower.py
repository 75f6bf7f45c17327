"""The entrances to the lowerings, dispatched on the kind of network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from typing import TYPE_CHECKING, Any

from ..data import Data
from ..errors import InputTypeError
from ..networks import TwoLayer
from ..patterns.pattern_set import PatternSet
from ..program.program import Program

if TYPE_CHECKING:
    from ..model import Model


@singledispatch
def lower(network: Any, model: Model, data: Data, patterns: Any) -> Program:
    """The convex program of `model` on `data`; every kind of network registers its own."""
    raise InputTypeError(f"No lowering for networks of type {type(network).__name__}.")


@lower.register(TwoLayer)
def lower_two_layer(network: TwoLayer, model: Model, data: Data, patterns: Any) -> Program:
    """Two-layer networks differ by their activation."""
    return lower_activation(network.activation, model, data, patterns)


@singledispatch
def lower_activation(activation: Any, model: Model, data: Data, patterns: Any) -> Program:
    """The convex program of a two-layer network; every kind of activation registers its own."""
    raise InputTypeError(f"No lowering for two-layer networks with {type(activation).__name__}.")


@singledispatch
def rebuild(network: Any, model: Model, data: Data, found: PatternSet | None, arrays: Mapping[str, Any]) -> Program:
    """The program of `model` on patterns that were found before: what a file holds. arrays : what else the program is made of."""
    raise InputTypeError(f"No lowering for networks of type {type(network).__name__}.")
