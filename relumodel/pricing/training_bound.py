"""A certified lower bound on the training problem itself: over networks of every width, whatever their patterns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..certify.contradiction import refuse_above
from ..data import read, with_bias
from ..errors import InputError
from ..functions.base import SampleLoss
from ..functions.penalties import known_norm
from .all_neurons import Price, largest_price
from .global_bound import global_bound

if TYPE_CHECKING:
    from ..declare.model import Model

#: Prices this far (relative) above beta cost as much of the bound, and save much of the search.
ROOM = 1e-7


@dataclass(frozen=True, eq=False)
class TrainingBound:
    """bound : <= the objective of every network.  price : what proves it. Where `price.exhaustive` is false the bound holds too, but
    a longer search may raise it."""

    bound: float
    price: Price


def training_bound(model: Model, X: Any, y: Any, nu: Any, *, time_limit: float | None = None) -> TrainingBound:
    """The bound that the dual candidate nu (n,) proves: minus the gradient of the loss at good predictions, or `-solution.dual["loss"]`.

    nu is moved into the domain of the loss's conjugate, and scaled so that the largest price is at most beta (Pilanci & Ergen 2020).
    With a perturbation this is the bound without it, which holds all the more. Gated networks are refused: their program is exact.
    """
    if model.network.layers != 2:
        raise InputError(f"training_bound is about two-layer networks; the model's network is {model.network}.")
    if not model.network.activation.self_gated:
        raise InputError("A gated network's program is exact: solution.bound is the bound on its training problem already.")
    norm = known_norm(model.penalty, "training_bound")
    data = read(X, y, model.loss)
    if data.outputs > 1 or data.classes is not None:
        raise InputError("training_bound is about one output; model.fit(X, y) has a bound for several, and proves it where it can.")
    loss = SampleLoss.bind(model.loss, data.y)
    nu = np.asarray(nu, dtype=np.float64)
    if nu.shape != (len(data.y),) or not np.isfinite(nu).all():
        raise InputError(f"nu must hold one finite number a sample, shape ({len(data.y)},); got shape {nu.shape}.")
    q, beta = loss.project_dual(-nu), model.penalty.beta
    features = with_bias(data.X, model.network.bias)
    target = (1 + ROOM) * beta
    price = largest_price(features, q, model.network.activation.inactive, norm, time_limit=time_limit, target=target)
    bound = global_bound(loss, q, price.upper, beta)
    refuse_above(bound, float(loss.value(np.zeros(len(nu)))), model.loss, model.penalty)  # the network without neurons is one
    return TrainingBound(bound, price)
