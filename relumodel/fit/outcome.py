"""What a user should hear about a fit that ended: that its gap was not reached, or that its best network is zero."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import Data
from ..declare.networks import TwoLayer
from ..errors import ConvergenceWarning, ZeroNetworkWarning
from ..patterns.adaptive import AdaptivePatterns
from .dual import Dual
from .result import Fit
from .training import Training

if TYPE_CHECKING:
    from ..declare.model import Model

#: Random starts of the search for the largest price at zero.
STARTS = 300

#: Statuses of a fit that ended before its gap was reached, without being told to by Ctrl-C or a callback.
SHORT = ("gap not reached", "time limit", "failed")


def with_beta_max(found: Fit, model: Model, data: Data) -> Fit:
    """The fit, with `beta_max` where its network is zero and its penalty is beyond that. Polynomial neurons are not searched for: their bound
    is exact."""
    network = model.network
    priced = isinstance(network, TwoLayer) and network.activation.self_gated and not network.activation.unit_neurons
    if found.network.n_neurons or not priced or model.penalty.beta <= 0:
        return found
    training = Training.of(model, data)
    dual = Dual.at(training, training.loss.gradient(np.zeros(training.outputs * len(training.X))))
    dual.search(np.random.default_rng(0).standard_normal((STARTS, training.X.shape[1])))
    beta_max = dual.price * model.penalty.beta
    return dataclasses.replace(found, beta_max=beta_max) if 0 < beta_max <= model.penalty.beta else found


def gap_wanted(model: Any, patterns: Any) -> float | None:
    """The gap that a fit is expected to reach: one of adaptive patterns, where a bound on every other network is known."""
    priced = isinstance(patterns, AdaptivePatterns) and isinstance(model.network, TwoLayer) and model.perturbation is None
    return patterns.gap if priced and not _restricted(model) else None


def _restricted(model: Any) -> bool:
    """Whether it is of fewer networks than the bound is for."""
    return bool(getattr(model, "shapes", ()) or getattr(model, "everywhere", ()))


def warn_of(found: Fit, model: Any, patterns: Any, stacklevel: int) -> None:
    """Warnings of our own classes. stacklevel : as for `warnings.warn` in the caller."""
    wanted = gap_wanted(model, patterns)
    if wanted is not None and found.status in SHORT:
        warnings.warn(
            f"The fit ended with the status {found.status!r}: its gap is {found.gap:.2g}, {wanted:g} was wanted, so the objective "
            f"{found.objective:.6g} may be that far above the best. Allow more time or rounds, or ask for a larger gap.",
            ConvergenceWarning,
            stacklevel=stacklevel + 1,
        )
    left = [c for c in found.certificates if not c.proved]
    if left:
        warnings.warn(
            f"{len(left)} of {len(found.certificates)} bounds everywhere in boxes are not proved: {left[0]}. result.certificates has all; "
            "allow more time, or ask for less.",
            ConvergenceWarning,
            stacklevel=stacklevel + 1,
        )
    if found.beta_max is not None:
        warnings.warn(zero_message(found.beta_max, model.penalty.beta), ZeroNetworkWarning, stacklevel=stacklevel + 1)


def zero_message(beta_max: float, beta: float) -> str:
    """That no neuron pays, and from which penalty strength on."""
    return (
        f"The best network is zero: no neuron pays for its penalty from beta_max = {beta_max:.3g} on (estimated, by a search over directions), "
        f"and beta is {beta:.3g}. Take a smaller one; it goes with the scale of the targets and of the features."
    )
