"""`rm.polish`: start the adaptive loop from a network that is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..patterns.adaptive import AdaptivePatterns

if TYPE_CHECKING:
    from ..declare.model import Model
    from .result import Fit


def polish(
    network: Any,
    model: Model,
    X: Any,
    y: Any,
    patterns: AdaptivePatterns | None = None,
    backend: Any = "auto",
    tol: float | None = None,
    time_limit: float | None = None,
    verbose: bool = False,
    callback: Any = None,
    sample_weight: Any = None,
    **options: Any,
) -> Fit:
    """A network that is never worse than `network` on the model's objective, and a bound on every other one.

    network : one of ours, a torch module Linear - ReLU or LeakyReLU - Linear, or a fitted scikit-learn MLP with one hidden
        layer. Its activation must be the model's. Output biases are carried by a constant neuron, which needs bias=True. It is
        called on X (modules in evaluation mode), and refused where it computes another function than its layers.
    patterns : how to go on from the network's own patterns; `rm.AdaptivePatterns(rounds=1)` goes no further.
    The other arguments and the result are those of `Model.fit`; the result's `start` is the objective of `network`.
    """
    from .fit import polish as polished  # here, because importing relumodel should not wait for it

    patterns = AdaptivePatterns() if patterns is None else patterns
    return polished(network, model, X, y, sample_weight, patterns, backend, tol, time_limit, verbose, callback, options)
