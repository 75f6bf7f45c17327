"""Training with networks that rise, or fall, in some features everywhere: what estimators call `monotonic_cst`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..declare.model import Model
from ..declare.problem import Problem
from ..errors import InputError
from .problem import fit_problem
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


def fit_monotone(model: Model, signs: dict[int, int], X: Matrix, y: Matrix, weights: Matrix, patterns: Any, *how: Any) -> Fit:
    """`Model.fit` with these monotonic constraints, by neurons; `how` are its arguments after `patterns`."""
    if model.perturbation is not None:
        raise InputError("monotonic_cst is for training without a perturbation.")
    f, loss = model.network, model.loss
    shapes = [f.increasing(k, how="neurons") if sign > 0 else f.decreasing(k, how="neurons") for k, sign in signs.items()]
    return fit_problem(Problem(loss(f(X), y, weight=weights) + model.penalty, shapes), patterns, *how)
