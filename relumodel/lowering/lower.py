"""The one entrance to the lowerings, dispatched on the kind of network."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING, Any

from ..data import Data
from ..errors import InputTypeError
from ..program.program import Program

if TYPE_CHECKING:
    from ..model import Model


@singledispatch
def lower(network: Any, model: Model, data: Data, patterns: Any) -> Program:
    """The convex program of `model` on `data`; every kind of network registers its own."""
    raise InputTypeError(f"No lowering for networks of type {type(network).__name__}.")
