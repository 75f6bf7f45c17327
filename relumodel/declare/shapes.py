"""Shapes of a network everywhere, by constraints on its neurons: sufficient, global, one convex program, a smaller class of networks.

A ReLU or leaky ReLU network sum_j a_j sigma(x.u_j) rises in feature k where a_j u_jk >= 0 for every neuron, and has the Lipschitz constant
sum_j |a_j| |u_j|_2 (weights without the bias) or less.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..declared import number
from ..errors import InputError, InputTypeError
from .box import Box
from .everywhere import Everywhere, refuse_other
from .features import column_of

#: What monotone features may rest on, and the step of slopes at points, in units of the feature's range.
HOW, STEP = ("everywhere", "points", "neurons"), 0.05


#: The shapes of one curvature, with it.
CURVED = {"convex": 1, "concave": -1}


@dataclass(frozen=True, eq=False)
class Shape:
    """kind : "increasing", "decreasing" (in `feature`, a column's name or number), the same with "at points" (steps of `bound`, 0 for a
    share of the range), "lipschitz" (constant `bound`), "convex" or "concave"."""

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
        if self.kind in CURVED:
            return f"f is {self.kind}"
        return f"f is {self.kind} in {self.feature!r}, by its neurons"

    def column(self, names: tuple[str, ...] | None, d: int) -> int:
        """The number of its feature among d columns with these names."""
        return column_of(self.feature, names, d, f"f.{self.kind}")

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Constraint {self.text}>"


def monotone(network: Any, kind: str, feature: Any, how: Any, box: Any, h: Any) -> Any:
    """f.increasing and f.decreasing."""
    if not isinstance(how, str) or how not in HOW:
        raise InputError(
            f"how must be 'everywhere' (proved in a box), 'points' (slopes at the points that are read) or 'neurons' (every neuron on its "
            f"own); got {how!r}."
        )
    if not isinstance(feature, str) and (isinstance(feature, bool) or not hasattr(feature, "__index__")):
        raise InputTypeError(f"A feature is a column's name or number; got {feature!r}.")
    refuse_other(network, f"f.{kind}")
    if box is not None and not isinstance(box, Box):
        raise InputTypeError(f"box must be rm.Box(low, high) or rm.Box.of(X); got {type(box).__name__}.")
    if (box is not None and how != "everywhere") or (h is not None and how != "points"):
        raise InputError("box= goes with how='everywhere', and h=, a step, with how='points'.")
    if how == "everywhere":
        where = "the box of all points" if box is None else box
        sign = 1.0 if kind == "increasing" else -1.0
        return Everywhere(network, box, sign, 0.0, feature=feature, text=f"f is {kind} in {feature!r}, everywhere in {where}")
    step = None if h is None else number(h, "h", above=0)
    return Shape(network, kind if how == "neurons" else f"{kind} at points", feature, step or 0.0)


def at_points(shape: Shape, points: Any, names: tuple[str, ...] | None) -> Any:
    """The constraint that f does not fall, or rise, by steps of h in its feature around the points (n, d), within the range that the feature
    has there."""
    k = shape.column(names, points.shape[1])
    low, high = float(points[:, k].min()), float(points[:, k].max())
    h = shape.bound or STEP * (high - low)
    if low == high:
        raise InputError(
            f"f.{shape.kind}: the feature {shape.feature!r} is the same at all points; give how='everywhere' and a box."
        )
    down, up = points.copy(), points.copy()
    down[:, k], up[:, k] = np.maximum(points[:, k] - h, low), np.minimum(points[:, k] + h, high)
    sign = 1.0 if shape.kind.startswith("increasing") else -1.0
    slope = (shape.network(up) - shape.network(down)) * (sign / (up[:, k] - down[:, k]))
    return dataclasses.replace(
        slope >= 0, text=f"f is {shape.kind.split()[0]} in {shape.feature!r}, by steps at {len(points)} points"
    )


def lipschitz(network: Any, bound: Any) -> Shape:
    """f.lipschitz."""
    refuse_other(network, "f.lipschitz")
    return Shape(network, "lipschitz", bound=number(bound, "The Lipschitz constant", above=0))


def curved(network: Any, kind: str) -> Shape:
    """f.convex and f.concave."""
    refuse_other(network, f"f.{kind}")
    return Shape(network, kind)
