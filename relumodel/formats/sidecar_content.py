"""What the JSON file of a program may hold. A checksum shows a damaged file, not a wrong one: whoever writes the content can write that,
too. So data and patterns go through the checks that they passed when the program was compiled, and what was proved then is proved again."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..arrangement.arrangement import arrangement
from ..arrangement.packing import pack
from ..data import Data, read, with_bias
from ..declare.networks import ParallelThreeLayer, RandomFeatures
from ..errors import InputError
from ..frames import refuse_names
from ..patterns.enumerate import EnumeratePatterns
from ..patterns.pattern_set import PatternSet

if TYPE_CHECKING:
    from ..declare.model import Model

#: "All patterns" is proved again by listing up to so many, or twice as many as the file has; beyond, it is not believed.
LISTED = 100_000


def checked_data(model: Model, arrays: dict[str, NDArray[Any]], features: Any) -> Data:
    """The data, as `Model.compile` would take them: finite, of fitting shapes, labels that the loss knows, weights > 0."""
    X, y, weights = arrays["X"], arrays["y"], arrays.get("weights")
    names = None
    if features is not None:
        if not isinstance(features, list) or not all(isinstance(name, str) for name in features) or len(features) != X.shape[-1]:
            raise InputError("its features are not one name a column")
        names = tuple(features)
        refuse_names(names, "X")
    if weights is not None and not (weights > 0).all():
        raise InputError("its weights are not all positive")
    data = read(X, y, model.loss, weights)
    kept, classes = arrays.get("classes"), data.classes
    if (kept is None) != (classes is None) or (kept is not None and classes is not None and not np.array_equal(kept, classes)):
        raise InputError("its classes are not those of its labels")
    return dataclasses.replace(data, names=names)


def checked_patterns(model: Model, data: Data, held: PatternSet, arrays: dict[str, NDArray[Any]]) -> PatternSet:
    """The patterns, one row a sample, with one witness each; "complete" only where it was proved again."""
    X = with_bias(data.X, model.network.bias)
    D, witnesses = held.D, held.witnesses
    if D.dtype != np.bool_ or D.ndim != 2 or D.shape[0] != len(X) or not D.shape[1]:
        raise InputError(f"its patterns have shape {D.shape}, and there are {len(X)} samples")
    if witnesses.shape != (D.shape[1], X.shape[1]) or np.isinf(witnesses).any():
        raise InputError(f"its witnesses have shape {witnesses.shape}, and not one finite vector a pattern")
    if not isinstance(held.complete, bool) or not isinstance(held.origin, str):
        raise InputError("its patterns do not say where they are from")
    gates = isinstance(model.network, RandomFeatures) or not getattr(getattr(model.network, "activation", None), "self_gated", True)
    if gates and np.isnan(witnesses).any():
        raise InputError("its network needs a gate for every pattern, and one is not there")
    if model.perturbation is None:
        _check_sides(X, D, witnesses)
    if isinstance(model.network, ParallelThreeLayer):
        _check_second_layer(model.network.width, D, arrays)
    _check_shares(arrays.get("shares"), D)
    # fixed gates are exact, and worst cases are not, whether the patterns are complete or not
    counts = model.perturbation is None and getattr(getattr(model.network, "activation", None), "self_gated", True)
    return dataclasses.replace(held, complete=held.complete and (not counts or _all_there(model, X, D, arrays)))


def _check_sides(X: NDArray[np.float64], D: NDArray[np.bool_], witnesses: NDArray[np.float64]) -> None:
    """An error where a witness has a sample clearly on the other side than its pattern; rows of NaN are patterns without one."""
    sides = X @ witnesses.T
    clear = abs(sides) > 1e-9 * np.linalg.norm(X, axis=1)[:, None] * np.linalg.norm(witnesses, axis=1)
    if (clear & ((sides >= 0) != D)).any():
        raise InputError("its witnesses do not have its patterns")


def _check_second_layer(width: int, D: NDArray[np.bool_], arrays: dict[str, NDArray[Any]]) -> None:
    outer, weights = arrays["second_patterns"], arrays["second_weights"]
    G = D.shape[1] // width
    if outer.dtype != np.bool_ or outer.shape != (G, D.shape[0]) or weights.shape != (G, width) or D.shape[1] != G * width:
        raise InputError("its second layer does not fit its patterns")
    if weights.dtype != np.float64 or not np.isfinite(weights).all():
        raise InputError("its second weights are not finite numbers")


def _check_shares(shares: NDArray[Any] | None, D: NDArray[np.bool_]) -> None:
    """Shares are slopes between those of the two sides, and only then is a crossing program an upper bound."""
    if shares is None:
        return
    if shares.shape != (2, 2, *D.T.shape) or not ((shares >= 0) & (shares <= 1)).all():
        raise InputError("its shares are not numbers between 0 and 1, one a pattern and sample")


def _all_there(model: Model, X: NDArray[np.float64], D: NDArray[np.bool_], arrays: dict[str, NDArray[Any]]) -> bool:
    """Whether the columns of D are all patterns of X, found by listing them once more."""
    limit = max(LISTED, 2 * D.shape[1])
    if arrangement(X).bound > limit:
        return False
    strategy = EnumeratePatterns(limit)
    if isinstance(model.network, ParallelThreeLayer):
        try:
            every = strategy.find_sub_networks(X, model.network.bias, model.network.width)
        except InputError:  # too many
            return False
        there = (every.D, every.outer, every.signs), (D, arrays["second_patterns"], np.sign(arrays["second_weights"]))
        return all(np.array_equal(one, other) for one, other in zip(*there, strict=True))
    held = {column.tobytes() for column in pack(D.T)}
    return all(column.tobytes() in held for column in pack(strategy.find(X, model.network.bias).D.T))
