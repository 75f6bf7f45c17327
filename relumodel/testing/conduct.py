"""How a backend behaves: it leaves data alone, is quiet, repeatable, keeps to its time, listens, and takes a hint."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..api import Model, Program
from ..declare.networks import ReLU, TwoLayer
from ..errors import RelumodelError
from ..functions.margin_losses import Hinge
from ..functions.penalties import PathNorm, Penalty, WeightDecay
from ..patterns import SamplePatterns
from .bench import Bench, Case, Handed, Run, SkippedError, demand, hand_over
from .kit import check


@check("protocol", "the optional parts are what they should be")
def protocol(bench: Bench) -> None:
    options = getattr(bench.backend, "options", None)
    words = isinstance(options, Mapping) and all(isinstance(word, str) for pair in options.items() for word in pair)
    demand(options is None or words, f"options must be a dictionary, name -> what it does; it is {options!r}")
    probe = getattr(bench.backend, "unavailable", None)
    if probe is not None:
        reason = probe()
        demand(reason is None or isinstance(reason, str), f"unavailable() must return None or a reason; it returned {reason!r}")


@check("leaves_data_alone", "no array of the problem is changed")
def leaves_data_alone(bench: Bench) -> None:
    for case in _some(bench):
        run = bench.solved(case)
        demand(not run.changed, f"{case.name}: it changed {', '.join(run.changed[:3])}")


@check("quiet", "nothing is printed unless verbose")
def quiet(bench: Bench) -> None:
    for case in _some(bench):
        run = bench.solved(case)
        demand(not run.output, f"{case.name}: it printed {run.output.strip()[:60]!r}")


@check("verbose", "verbose=True works")
def verbose(bench: Bench) -> None:
    for case in _some(bench)[:1]:
        demand(_solved(bench.call(bench.handed(case), verbose=True)), "with verbose=True it no longer solves the program")


@check("repeatable", "the same call gives the same answer")
def repeatable(bench: Bench) -> None:
    handed = hand_over(_example(_penalty(bench), n=20, d=3, P=10), bench.backend)
    first, second = bench.call(handed), bench.call(handed)
    demand(first.answer.status == second.answer.status, f"status {first.answer.status!r}, then {second.answer.status!r}")
    off = float(np.abs(first.x - second.x).max())
    demand(off <= 1e-3 * bench.tol, f"two runs on the same problem differ by {off:.2e}")


@check("certified", "relumodel proves the gap that was asked for from the backend's answer")
def certified(bench: Bench) -> None:
    program = _example(_penalty(bench), n=20, d=3, P=10)
    if bench.call(hand_over(program, bench.backend)).answer.dual is None:
        raise SkippedError("it returns no dual, so its bounds come from the point alone")
    solution = program.solve(backend=bench.backend, tol=bench.tol)
    demand(solution.gap <= 10 * bench.tol, f"the gap is {solution.gap:.2e}; {bench.tol:.0e} was asked for ({solution.message})")


@check("warm_start", "a warm start is a hint, and is not changed")
def warm_start(bench: Bench) -> None:
    for case in _some(bench):
        handed = bench.handed(case)
        for value in (0.0, 3.0):
            run = bench.call(handed, warm_start=np.full(handed.size, value))
            demand(not run.changed, f"{case.name}: it changed {', '.join(run.changed[:3])}")
            error = abs(bench.program(case).objective(handed.point(run.x)) - case.optimum)
            demand(error <= bench.slack * max(1.0, abs(case.optimum)), f"{case.name}: from {value:g} it ends {error:.2e} off")


@check("callback_stops", "a callback that returns True stops the backend, status 'interrupted'")
def callback_stops(bench: Bench) -> None:
    handed = hand_over(_example(_penalty(bench), n=60, d=5, P=30), bench.backend)
    lines = len(bench.call(handed).options.history)
    if lines < 2:
        raise SkippedError("it reports no progress" if not lines else "it reports at its end only")
    run = bench.call(handed, callback=lambda progress: True)
    after = len(run.options.history) - 1
    demand(run.answer.status == "interrupted", f"status {run.answer.status!r} after the callback asked to stop")
    demand(after <= 1 or after < lines - 1, f"it reported {after} times more after the callback asked to stop")


@check("progress_units", "the objective it reports on the way ends near the optimum, in the problem's units")
def progress_units(bench: Bench) -> None:
    for case in _some(bench):
        reported = [line.objective for line in bench.solved(case).options.history if np.isfinite(line.objective)]
        if not reported:
            raise SkippedError("it reports no objective on the way")
        off = abs(reported[-1] - case.optimum) / max(1.0, abs(case.optimum))
        demand(off <= 0.01, f"{case.name}: it last reported {reported[-1]:.6g}; the optimum is {case.optimum:.6g}")


@check("time_limit", "it stops at the time limit and says so")
def time_limit(bench: Bench) -> None:
    handed, needed = _slow(bench)
    limit = needed / 8
    for attempt in (1, 2, 3):  # again, in case the machine was busy
        run = bench.call(handed, time_limit=limit)
        said = f"it returned after {run.elapsed:.2f} s with status {run.answer.status!r}"
        late = run.elapsed > limit + 0.5 * (needed - limit)
        quiet_about_it = run.answer.status != "time limit" and run.elapsed > 2 * limit
        if not late and not quiet_about_it:
            return
        demand(attempt < 3, f"limited to {limit:.2f} s, where the whole solve takes {needed:.2f} s, {said}")


def _slow(bench: Bench) -> tuple[Handed, float]:
    """A problem that takes the backend a while, and how long."""
    for n in (60, 120, 240, 480):
        handed = hand_over(_example(_penalty(bench), n=n, d=8, P=30), bench.backend)
        run = bench.call(handed, time_limit=1e-3)  # what a backend prepares once per problem is not timed
        if isinstance(run.error, RelumodelError):
            raise SkippedError(f"it refuses one: {run.error}")
        run = bench.call(handed)
        demand(_solved(run), f"status {run.raw and run.raw.status!r} on {n} samples without a limit")
        if run.elapsed >= 0.4:
            return handed, run.elapsed
    raise SkippedError(f"it is too fast to tell: {run.elapsed:.2f} s on {n} samples")


def _some(bench: Bench) -> list[Case]:
    """Few programs of different kinds, out of those the backend can take."""
    cases = bench.cases()
    if not cases:
        raise SkippedError("it can take none of the programs")
    kinds = {bench.program(case).kinds: case for case in cases}
    return list(kinds.values())


def _penalty(bench: Bench) -> Penalty:
    """Weight decay where the backend has the cones for it, else the path norm."""
    for penalty in (WeightDecay(1e-2), PathNorm(1e-2)):
        try:
            bench.take(_example(penalty, n=4, d=1, P=1))
        except SkippedError:
            continue
        return penalty
    raise SkippedError("it supports neither second-order nor nonnegative cones, or declines the program")


def _example(penalty: Penalty, n: int, d: int, P: int) -> Program:
    """Hinge loss on Gaussian data with labels of a product of two features."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    y = np.where(X[:, 0] * X[:, -1] > np.median(X[:, 0] * X[:, -1]), 1.0, -1.0)
    return Model(TwoLayer(ReLU(), bias=True), Hinge(), penalty).compile(X, y, patterns=SamplePatterns(P, seed=0))


def _solved(run: Run) -> bool:
    return run.answer.status in ("solved", "inaccurate")
