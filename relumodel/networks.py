"""The networks a user declares; nothing here knows data or solvers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .declared import Declared, number
from .errors import InputTypeError


@dataclass(frozen=True)
class Activation(Declared, abstract=True):
    """Base of the activations that are linear on each side of zero: 1 where active, `inactive` elsewhere."""

    #: sigma(t) in readable mathematics, with {t} for its argument and {x} for the sample
    formula: ClassVar[str]
    #: True where the neuron's own sign decides which side it is on; False where fixed gates do
    self_gated: ClassVar[bool] = True

    @property
    def inactive(self) -> float:
        """The slope on the inactive side."""
        return 0.0

    def mask(self, active: Any) -> Any:
        """The factor 1 or `inactive` of each entry of a boolean array; small integers where they suffice."""
        return active.astype(np.int8) if self.inactive == 0 else np.where(active, 1.0, self.inactive)


@dataclass(frozen=True)
class ReLU(Activation):
    """max(0, t)."""

    formula: ClassVar[str] = "max(0, {t})"


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """t where t >= 0, slope * t elsewhere; 0 <= slope < 1."""

    slope: float = 0.01
    formula: ClassVar[str] = "leaky({t})"

    def __post_init__(self) -> None:
        object.__setattr__(self, "slope", number(self.slope, "slope", low=0, below=1))

    @property
    def inactive(self) -> float:
        return self.slope


@dataclass(frozen=True)
class GatedReLU(Activation):
    """1[x.g_j >= 0] x.u_j with fixed gates g_j (Fiat et al. 2019; Mishkin et al. 2022): the program without sign cones."""

    formula: ClassVar[str] = "1[{x}.g_j >= 0] {t}"
    self_gated: ClassVar[bool] = False


@dataclass(frozen=True)
class TwoLayer(Declared):
    """f(x) = sum_j sigma(x.u_j) a_j. With `bias` a one is appended to x inside the library; its weight is penalised
    like the others."""

    activation: Activation
    bias: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.activation, Activation):
            raise InputTypeError(
                f"TwoLayer takes an activation instance such as rm.ReLU(), rm.LeakyReLU(0.1) or rm.GatedReLU(); got {self.activation!r}."
            )
        if not isinstance(self.bias, bool | np.bool_):
            raise InputTypeError(f"bias must be True or False; got {self.bias!r}.")
        object.__setattr__(self, "bias", bool(self.bias))
