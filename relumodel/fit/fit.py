"""`Model.fit` and `rm.polish`: from data, or a network, to a trained network with a bound on every other one."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..certify.bound import relative_gap
from ..certify.contradiction import refuse_above
from ..data import Data, read
from ..data import bound as bound_loss
from ..declare.networks import ParallelThreeLayer, TwoLayer
from ..declared import number
from ..errors import InputError, InputTypeError, ProofError
from ..functions.penalties import known_norm
from ..lift.lower import lower
from ..lift.outputs import refuse_perturbed
from ..lift.robust import ball_of
from ..patterns.adaptive import AdaptivePatterns
from ..patterns.of_network import PatternsOf
from ..patterns.pattern_set import PatternStrategy
from ..resources.deadline import current, wrapping_up
from ..resources.phases import report, round_ended
from ..resources.progress import Progress, line_above
from ..resources.threads import threads_for
from ..robustness.neurons import Neurons, neurons_of
from ..solve.path import refuse_of_one_program
from ..solve.solution import Solution
from ..solve.solve import solve
from ..trained.reading import network_of, trained_neurons
from ..trained.three_layer import ThreeLayerNetwork
from .dual import Dual
from .loop import Loop
from .outcome import with_beta_max
from .per_output import fit_per_output
from .result import Fit, Round
from .robust import RobustLoop
from .settings import FitSettings
from .three_layer import fit_three_layer
from .training import Training

if TYPE_CHECKING:
    from ..declare.model import Model


def fit(model: Model, X: Any, y: Any, sample_weight: Any, patterns: Any, *how: Any) -> Fit:
    """See `Model.fit`; `how` are its arguments after `patterns`."""
    if not isinstance(patterns, PatternStrategy):
        raise InputTypeError(f"patterns must say where patterns come from, e.g. rm.AdaptivePatterns(gap=1e-3); got {patterns!r}.")
    data = read(X, y, model.loss, sample_weight)
    adaptive = isinstance(patterns, AdaptivePatterns)
    given = None if adaptive and model.network.activation.unit_neurons else patterns  # None: one program, without patterns
    asked = asked_for(given, *how)
    with asked.running(), threads_for(data.X.size):
        found = adapt(model, data, given, asked) if isinstance(given, AdaptivePatterns) else on_given(model, data, given, asked)
        with wrapping_up():
            return with_beta_max(agreed(found, model, data), model, data)


def agreed(found: Fit, model: Model, data: Data) -> Fit:
    """A fit whose bound is not above its objective. Where a search was refuted by the network itself, what holds without one is left;
    raises `ProofError` where a proof was, or the faces that it rests on disagree."""
    try:
        refuse_above(found.bound, found.objective, model.loss, model.penalty)
    except ProofError as error:
        if found.bound_kind == "certified" or "Faces disagree" in str(error):
            raise
        loss = bound_loss(model.loss, data)  # the least that it can be; no penalty is below 0
        least = -float(loss.conjugate(0 * loss.gradient(np.zeros(data.outputs * len(data.X)))))
        gap = relative_gap(found.objective, least)
        return dataclasses.replace(found, bound=least, bound_kind="certified", gap=gap, status="gap not reached", dual=None)
    return found


def polish(network: Any, model: Model, X: Any, y: Any, sample_weight: Any, patterns: Any, *how: Any) -> Fit:
    """See `rm.polish`."""
    if not isinstance(patterns, AdaptivePatterns):
        raise InputTypeError(f"polish goes on with rm.AdaptivePatterns(...) from the network's own patterns; got {patterns!r}.")
    known_norm(model.penalty, "rm.polish")
    asked = asked_for(patterns, *how)
    data = read(X, y, model.loss, sample_weight)
    refuse_perturbed(model, data)
    with asked.running():
        found = _polished(network, model, data, patterns, asked)
        with wrapping_up():
            return with_beta_max(found, model, data)


def _polished(network: Any, model: Model, data: Data, patterns: AdaptivePatterns, asked: FitSettings) -> Fit:
    """The loop from a network, which is returned where nothing better was found."""
    if isinstance(model.network, ParallelThreeLayer):
        return agreed(_polished_three_layers(network, model, data, patterns, asked), model, data)
    start = trained_neurons(network, model, data)
    gates = start.gates is not None
    with threads_for(data.X.size):
        found = on_given(model, data, PatternsOf(network), asked) if gates else adapt(model, data, patterns, asked, start)
    given = network_of(start, model, data)
    before = given.objective(model, data.X, data.y, data.weights)
    if before < found.objective:  # by rounding, or because the program was stopped early
        gap = relative_gap(before, found.bound)
        return agreed(dataclasses.replace(found, network=given, objective=before, gap=gap, start=before), model, data)
    return agreed(dataclasses.replace(found, start=before), model, data)


def _polished_three_layers(network: Any, model: Model, data: Data, patterns: AdaptivePatterns, asked: FitSettings) -> Fit:
    """The three-layer loop from a network, which is returned where nothing better was found."""
    if not isinstance(network, ThreeLayerNetwork):
        raise InputTypeError(
            f"A three-layer network to polish is an rm.ThreeLayerNetwork, made by hand as ThreeLayerNetwork(bias, W1, w2, w3); got {network!r}."
        )
    before = network.objective(model, data.X, data.y, data.weights)
    with threads_for(data.X.size):
        found = fit_three_layer(model, data, patterns, asked, network)
    if before < found.objective:
        return dataclasses.replace(found, network=network, objective=before, gap=relative_gap(before, found.bound), start=before)
    return dataclasses.replace(found, start=before)


def adapt(model: Model, data: Data, strategy: AdaptivePatterns, asked: FitSettings, start: Neurons | None = None) -> Fit:
    """The adaptive loop, from the neurons `start` if there are any."""
    known_norm(model.penalty, "AdaptivePatterns")
    if isinstance(model.network, ParallelThreeLayer):
        return fit_three_layer(model, data, strategy, asked, None)
    if not isinstance(model.network, TwoLayer):
        raise InputError(
            f"AdaptivePatterns train rm.TwoLayer and rm.ParallelThreeLayer networks; fit {type(model.network).__name__} with patterns=rm.SamplePatterns(50, seed=0)."
        )
    if not model.network.activation.self_gated:
        raise InputError(
            "A gated network has the gates it is given, and the program on them is exact: there is nothing to adapt. "
            "Fit with rm.SamplePatterns(50, seed=0) or other patterns, or use rm.ReLU()."
        )
    refuse_perturbed(model, data)
    ball = ball_of(model, data, model.network.bias)
    if ball is not None:
        if model.robust != "crossing":
            raise InputError(
                "AdaptivePatterns follow robust training with robust='crossing'; with 'strict' fit with rm.GapPatterns."
            )
        robust = RobustLoop(model, data, ball, strategy, asked.options, asked.started, asked.watch)
        return _robust(robust, start)
    if data.outputs > 1 and data.classes is None:
        return fit_per_output(model, data, strategy, asked, start, lambda one, share, own: adapt(model, one, strategy, share, own))
    training = Training.of(model, data)
    loop = Loop(
        training, lambda cells: lower(model.network, model, data, cells), strategy, asked.options, asked.started, asked.watch
    )
    status = loop.run(start)
    assert loop.solution is not None
    assert loop.dual is not None
    return result_of(loop.solution, loop.dual, status, loop.starts, loop.history, asked.started)


def on_given(model: Model, data: Data, patterns: PatternStrategy | None, asked: FitSettings) -> Fit:
    """Compile and solve on patterns that do not adapt; the bound is the program's where it is exact, else by pricing."""
    if patterns is not None and model.network.layers == 2 and model.network.activation.self_gated:
        known_norm(model.penalty, "Pricing other patterns, which is what makes a fit's bound,")
    with current().with_nothing_yet():
        program = lower(model.network, model, data, patterns)
    solution = solve(program, **asked.options)
    network = solution.network()
    # the program's bound may be one on every network's own objective; for sub-networks, which nothing prices, 0 is all that is proved
    certain = program.guarantee.kind == "exact" or program.patterns is None
    if certain or model.network.layers != 2:
        bound = solution.bound if certain else 0.0
        gap = relative_gap(solution.objective, bound)
        return Fit(
            network=network,
            objective=solution.objective,
            bound=bound,
            bound_kind="certified" if certain else "none",
            gap=gap,
            status=_status(solution, gap),
            program=program,
            solution=solution,
            starts=0,
            price=float("nan"),
            history=[],
            time=time.perf_counter() - asked.started,
        )
    # with a perturbation too: the worst case is at least the clean loss, so a bound on clean training holds
    training = Training.of(model, data)
    q = solution.dual["loss"] if model.perturbation is None else training.loss.gradient(training.predictions(neurons_of(network)))
    dual = Dual.at(training, q)
    random = np.random.default_rng(0).standard_normal((AdaptivePatterns().starts_on(len(training.X)), training.X.shape[1]))
    blocks = neurons_of(network).blocks
    dual.see(blocks)
    with wrapping_up():
        starts = dual.search(np.vstack([blocks, random]))
    status = _status(solution, relative_gap(solution.objective, dual.bound))
    return result_of(solution, dual, status, starts, [], asked.started)


def asked_for(
    patterns: PatternStrategy | None, backend: Any, tol: Any, time_limit: Any, verbose: Any, callback: Any, options: dict[str, Any]
) -> FitSettings:
    """The arguments of `Model.fit`, checked. Patterns that do not adapt hand verbose and callback to the solver."""
    started = time.perf_counter()
    if callback is not None and not callable(callback):
        raise InputTypeError(f"callback must be callable; got {callback!r}.")
    limit = None if time_limit is None else number(time_limit, "time_limit", above=0)
    adaptive = isinstance(patterns, AdaptivePatterns)
    refuse_of_one_program(options, "AdaptivePatterns" if adaptive else "model.fit", adaptive)
    wanted = max(1e-7, min(1e-6, patterns.gap / 20)) if isinstance(patterns, AdaptivePatterns) else 1e-6
    how = {"backend": backend, "tol": wanted if tol is None else number(tol, "tol", above=0), **options}
    if not adaptive:
        how |= {"verbose": verbose, "callback": callback}
    elif verbose:
        how["callback"] = _of_program
    return FitSettings(how, started, limit, _watcher(verbose, callback), bool(verbose) and adaptive)


def _robust(loop: RobustLoop, start: Neurons | None) -> Fit:
    """The robust loop's result; its bound is that of clean training on attacked data."""
    status = loop.run(start)
    solution = loop.solution()
    return Fit(
        network=solution.network(),
        objective=loop.objective,
        bound=loop.bound,
        bound_kind="estimated" if loop.bound > 0 else "none",
        gap=relative_gap(loop.objective, loop.bound),
        status=status,
        program=solution.program,
        solution=solution,
        starts=loop.starts,
        price=loop.price,
        history=loop.history,
        time=time.perf_counter() - loop.started,
    )


def result_of(solution: Solution, dual: Dual, status: str, starts: int, history: list[Round], started: float) -> Fit:
    return Fit(
        network=solution.network(),
        objective=solution.objective,
        bound=dual.bound,
        bound_kind="estimated" if dual.proved is None else "certified",
        gap=relative_gap(solution.objective, dual.bound),
        status=status,
        program=solution.program,
        solution=solution,
        starts=starts,
        price=dual.price,
        history=history,
        time=time.perf_counter() - started,
        dual=dual.q,
        odds=dual.odds,
    )


def _status(solution: Solution, gap: float) -> str:
    """ "optimal" rests on the gap to every network, not on that to the program."""
    if gap <= solution.tol:
        return "optimal"
    return solution.status if solution.status in ("time limit", "interrupted", "failed") else "gap not reached"


def _of_program(progress: Progress) -> None:
    """A solver's line as one of the fit's."""
    report("convex program", progress.iteration, progress.objective)


def _watcher(verbose: bool, callback: Any) -> Callable[[Round], Any]:
    """A line on stderr a round where wanted, then the user's callback, which may stop the loop."""

    def watch(progress: Round) -> Any:
        if verbose:
            line_above(str(progress))
        round_ended(progress.iteration)
        try:
            return callback is not None and callback(progress)
        except KeyboardInterrupt:  # of the callback's own making: Ctrl-C itself is heard by the deadline
            if current().interrupted:
                raise
            current().interrupt()
            return True

    return watch
