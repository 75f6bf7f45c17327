"""The way back for several outputs: that of one output for each, and the networks side by side."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..program.program import Inverse, Program

if TYPE_CHECKING:
    from ..model import Model

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OutputsInverse:
    """The way back from the variables of one output after those of another. one : that of a single output.
    classes : (c,) the labels, one an output; None for losses that are not of classes."""

    one: Inverse
    model: Model
    outputs: int
    classes: Matrix | None

    @property
    def X(self) -> Matrix:
        """(n, d) with the bias column, if any."""
        return self.one.X

    @property
    def constraints(self) -> frozenset[str]:
        """Those of every output."""
        return self.one.constraints

    @property
    def by_hand(self) -> str:
        """How to do it without relumodel."""
        return f"the variables of output r are those whose names end in _r, and make a network of their own: {self.one.by_hand}"

    @property
    def patterns(self) -> NDArray[np.bool_] | None:
        return self.one.patterns

    def repair(self, program: Program, x: Matrix, room: float = 0.0) -> Matrix:
        """Blocks are repaired one by one, whatever output they belong to."""
        return self.one.repair(program, x, room)

    def network(self, x: Matrix) -> Any:
        """The networks of all outputs as one, none of whose neurons serves two outputs."""
        networks = [self.one.network(part) for part in np.split(x, self.outputs)]
        kind = type(networks[0])
        return kind.side_by_side(networks, self.model.loss.reads != "residual", self.classes)

    def reweighted(self, model: Model) -> OutputsInverse:
        return dataclasses.replace(self, one=self.one.reweighted(model), model=model)

    def describe(self) -> list[tuple[str, str]]:
        shown = f"{self.outputs}, with weights of their own"
        if self.classes is not None:
            shown = f"{self.outputs}, one a class: {', '.join(f'{c:g}' for c in self.classes[:10])}{', ...' * (self.outputs > 10)}"
        return [*self.one.describe(), ("outputs", shown)]
