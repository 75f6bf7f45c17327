"""What estimators say of shapes, `monotonic_cst` and `bounds`, and what they keep of fits."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..certify.bound import relative_gap
from ..declare.box import Box
from ..declare.model import Model
from ..declare.problem import Problem
from ..declared import number
from ..errors import InputError, InputTypeError
from .everywhere import fit_everywhere
from .result import Fit

Matrix = NDArray[np.float64]


def directions(given: Any, d: int, names: tuple[str, ...]) -> dict[int, int]:
    """The features with a constraint: number -> 1 or -1. given : 1, 0, -1 for each of the d features, a dictionary by name, or None."""
    if given is None:
        return {}
    if isinstance(given, dict):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise InputError(
                f"monotonic_cst names the feature {unknown[0]!r}; the columns of X are {', '.join(names) or 'without names'}."
            )
        given = [given.get(name, 0) for name in names]
    try:
        signs = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        signs = np.zeros(0)
    if signs.shape != (d,) or not np.isin(signs, (-1, 0, 1)).all():
        raise InputError(f"monotonic_cst holds 1, 0 or -1 for each of the {d} features, or is a dictionary by name; got {given!r}.")
    return {int(k): int(signs[k]) for k in np.flatnonzero(signs)}


@dataclass(frozen=True)
class Shapes:
    """signs : the features with a monotonic constraint, number -> 1 or -1.  how : as in `f.increasing`.  bounds : (low, high), None for none.
    convexity : "convex", "concave" or None."""

    signs: dict[int, int]
    how: str
    bounds: tuple[float | None, float | None]
    convexity: str | None

    @classmethod
    def of(cls, estimator: Any, names: tuple[str, ...]) -> Self:
        """From a fitted estimator's parameters. names : of the columns, if any."""
        bounds, convexity = getattr(estimator, "bounds", None), getattr(estimator, "convexity", None)
        ends = (None, None) if bounds is None else bounds
        if not isinstance(ends, tuple | list) or len(ends) != 2:
            raise InputTypeError(f"bounds is a pair (low, high) of numbers, None for no bound; got {bounds!r}.")
        low, high = (
            None if end is None else number(end, f"{name} of bounds") for end, name in zip(ends, ("low", "high"), strict=True)
        )
        if low is not None and high is not None and low > high:
            raise InputError(f"bounds is a pair (low, high) with low <= high; got {bounds!r}.")
        if convexity not in (None, "convex", "concave"):
            raise InputError(f"convexity is 'convex', 'concave' or None; got {convexity!r}.")
        signs = directions(estimator.monotonic_cst, estimator.n_features_in_, names)
        return cls(signs, estimator.monotonic_how, (low, high), convexity)

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self.signs) or self.bounds != (None, None) or self.convexity is not None


def fit_shaped(model: Model, shapes: Shapes, X: Matrix, y: Matrix, weights: Matrix, patterns: Any, *how: Any) -> Fit:
    """`Model.fit` with these shapes; `how` are its arguments after `patterns`."""
    if model.perturbation is not None:
        raise InputError("monotonic_cst, bounds and convexity are for training without a perturbation.")
    f: Any = model.network
    constraints = [(f.increasing if sign > 0 else f.decreasing)(k, how=shapes.how) for k, sign in shapes.signs.items()]
    low, high = shapes.bounds
    box = Box.of(X)
    constraints += [] if low is None else [f(box) >= low]
    constraints += [] if high is None else [f(box) <= high]
    constraints += [] if shapes.convexity is None else [f.convex() if shapes.convexity == "convex" else f.concave()]
    return fit_everywhere(Problem(model.loss(f(X), y, weight=weights) + model.penalty, constraints), patterns, *how)


def summary(results: list[Fit], names: tuple[str, ...] | None) -> dict[str, Any]:
    """The attributes that a fit of one network, or of one a class, leaves: sums, and the weakest kind of bound."""
    networks: list[Any] = [dataclasses.replace(result.network, feature_names=names) for result in results]
    objective, bound = sum(result.objective for result in results), sum(result.bound for result in results)
    kinds, statuses = {result.bound_kind for result in results}, [result.status for result in results]
    return {
        "network_": networks if len(networks) > 1 else networks[0],
        "n_neurons_": sum(network.n_neurons for network in networks),
        "objective_": objective,
        "bound_": bound,
        "gap_": relative_gap(objective, bound),
        "bound_kind_": next(kind for kind in ("none", "estimated", "certified") if kind in kinds),
        "status_": next((status for status in statuses if status != "optimal"), "optimal"),
        "certificates_": [c for result in results for c in result.certificates],
    }
