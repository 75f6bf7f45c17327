"""Adaptive training of several outputs under a loss that is their sum: one loop an output, since nothing joins them.

Patterns, prices and proofs are those of one output each, so they cost c times as much as for one, where a joint loop would offer every
pattern to every output. The bound is the sum of the bounds.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..certify.bound import relative_gap
from ..data import Data
from ..lift.lower import lower
from ..patterns.adaptive import AdaptivePatterns
from ..resources.deadline import current, limited
from ..robustness.neurons import Neurons, neurons_of
from ..solve.solve import solve
from .cells import cells_of
from .loop import point_of
from .result import Fit, Round
from .training import Training

if TYPE_CHECKING:
    from ..declare.model import Model
    from .settings import FitSettings

OneOutput = Callable[[Data, "FitSettings", Neurons | None], Fit]


def fit_per_output(
    model: Model, data: Data, strategy: AdaptivePatterns, asked: FitSettings, start: Neurons | None, one_output: OneOutput
) -> Fit:
    """The fit of all outputs from that of each. one_output : fits data with one."""
    fits: list[Fit] = []
    stopped = False

    def watch(progress: Round) -> Any:
        nonlocal stopped
        stopped = bool(asked.watch(progress)) or stopped
        return stopped

    for r in range(data.outputs):
        single = dataclasses.replace(data, y=np.ascontiguousarray(data.y[:, r]))
        with limited(current().remaining() / (data.outputs - r)):
            fits.append(one_output(single, dataclasses.replace(asked, watch=watch), _of_output(start, r)))
        stopped = stopped or fits[-1].status == "interrupted"
    return _joined(model, data, strategy, asked, fits)


def _of_output(neurons: Neurons | None, r: int) -> Neurons | None:
    if neurons is None:
        return None
    own = neurons.signs[:, r] != 0
    return Neurons(neurons.blocks[own], neurons.signs[own, r], neurons.slope)


def _joined(model: Model, data: Data, strategy: AdaptivePatterns, asked: FitSettings, fits: list[Fit]) -> Fit:
    """One network and one program, on the patterns of all, from which the solution starts."""
    networks: list[Any] = [fit.network for fit in fits]
    network = type(networks[0]).side_by_side(networks, model.loss.reads != "residual", None)
    training, neurons = Training.of(model, data), neurons_of(network)
    rng = np.random.default_rng(strategy.seed)
    # a direction, so that there is a pattern whatever the network
    cells, index = cells_of(training.X, np.vstack([neurons.blocks, rng.standard_normal((1, training.X.shape[1]))]), rng)
    program = lower(model.network, model, data, cells)
    solution = solve(program, warm_start=point_of(program, neurons, index), **asked.options)
    bound = sum(fit.bound for fit in fits)
    gap = relative_gap(solution.objective, bound)
    unfinished = [fit.status for fit in fits if fit.status != "optimal"]
    duals = [fit.dual for fit in fits if fit.dual is not None]
    return Fit(
        network=solution.network(),
        objective=solution.objective,
        bound=bound,
        bound_kind="certified" if all(fit.bound_kind == "certified" for fit in fits) else "estimated",
        gap=gap,
        status="optimal" if gap <= strategy.gap else next(iter(unfinished), "gap not reached"),
        program=program,
        solution=solution,
        starts=sum(fit.starts for fit in fits),
        price=max(fit.price for fit in fits),
        history=[line for fit in fits for line in fit.history],
        time=time.perf_counter() - asked.started,
        dual=np.concatenate(duals) if len(duals) == len(fits) else None,
    )
