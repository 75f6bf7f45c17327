"""Shapes of a network everywhere, by constraints on its neurons: sufficient, global, one convex program, a smaller class of networks.

A ReLU or leaky ReLU network sum_j a_j sigma(x.u_j) rises in feature k where a_j u_jk >= 0 for every neuron, and has the Lipschitz constant
sum_j |a_j| |u_j|_2 (weights without the bias) or less.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..declared import number, whole
from ..errors import InputError, InputTypeError


@dataclass(frozen=True, eq=False)
class Shape:
    """kind : "increasing", "decreasing" (in `feature`, a column's name or number) or "lipschitz" (constant `bound`)."""

    network: Any
    kind: str
    feature: Any = None
    bound: float = 0.0
    key: object = field(default_factory=object)

    @property
    def text(self) -> str:
        """How it prints."""
        if self.kind == "lipschitz":
            return f"f has the Lipschitz constant {self.bound:g} (2-norm), by its neurons"
        return f"f is {self.kind} in {self.feature!r}, by its neurons"

    def column(self, names: tuple[str, ...] | None, d: int) -> int:
        """The number of its feature among d columns with these names."""
        if isinstance(self.feature, str):
            if names is None:
                raise InputError(
                    f"f.{self.kind}({self.feature!r}) needs points with named columns; these have none, so give its number."
                )
            if self.feature not in names:
                raise InputError(f"There is no feature {self.feature!r}; the columns are {', '.join(names)}.")
            return names.index(self.feature)
        return whole(self.feature, "feature", high=d - 1)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Constraint {self.text}>"


def monotone(network: Any, kind: str, feature: Any, how: Any) -> Shape:
    """f.increasing and f.decreasing."""
    if how != "neurons":
        raise InputError(
            f"how must be 'neurons', every neuron on its own; got {how!r}. For slopes at points, add bounds on f.slope(Z, h)[:, k]."
        )
    if not isinstance(feature, str) and (isinstance(feature, bool) or not hasattr(feature, "__index__")):
        raise InputTypeError(f"A feature is a column's name or number; got {feature!r}.")
    _refuse(network, f"f.{kind}")
    return Shape(network, kind, feature)


def lipschitz(network: Any, bound: Any) -> Shape:
    """f.lipschitz."""
    _refuse(network, "f.lipschitz")
    return Shape(network, "lipschitz", bound=number(bound, "The Lipschitz constant", above=0))


def _refuse(network: Any, who: str) -> None:
    if not network.shaped:
        raise InputError(f"{who} is for rm.TwoLayer networks of rm.ReLU() or rm.LeakyReLU(...); this is {network}.")
