"""`Problem.fit` with bounds everywhere in boxes: relaxations from below and proved networks from above, in turn.

below   the problem with the bounds at finitely many points, or slopes over finitely many segments, which every bound everywhere implies: its
        bound is one on every network that keeps them everywhere
above   on the directions of the network found, the best output weights that keep them everywhere (directions.py), which is proved
The points where these weights are at their bounds join the relaxation.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..certify.bound import relative_gap
from ..declare.problem import Problem
from ..lift.problem import Read
from ..patterns.adaptive import AdaptivePatterns
from ..resources.deadline import current, limited, wrapping_up
from ..robustness.neurons import neurons_of
from .columns import entering
from .directions import Found, Wanted, affine, certificates_of, on_directions
from .fit import asked_for
from .problem import fit_problem
from .result import Fit

Matrix = NDArray[np.float64]

#: Rounds of relaxation and proof, the share of the time left that a relaxation may take, and of a box that a segment spans at least.
ROUNDS, RELAXED, SPAN = 4, 0.5, 0.02

#: The share of what may be left to gain that makes another round worth its time.
WORTH = 0.15

#: How often directions that pay are added to those of a relaxation on adaptive patterns, and the least gap that they are added for.
ENRICHED, LEAST = 5, 2e-2

#: The share of the gap wanted that is asked of a relaxation.
SHARE = 0.75

#: Points of a round that join the relaxation, for every bound, and how far apart they are, in units of the box: points next to each other
#: make cones next to nothing.
JOIN, APART = 8, 0.03


def fit_everywhere(problem: Problem, patterns: Any, *how: Any) -> Fit:
    """`fit_problem`, for problems that may have bounds everywhere; `how` are its arguments after `patterns`."""
    if not problem.everywhere:
        return fit_problem(problem, patterns, *how)
    started = time.perf_counter()
    adaptive = patterns if isinstance(patterns, AdaptivePatterns) else None
    asked = asked_for(adaptive, *how)
    backend, tol, _, *rest = how
    wanted = [Wanted.of(given, problem, problem.network.bias) for given in problem.everywhere]
    # differences over segments are no plain readings; what auto tries after the first conic solver takes long to be no better
    again = "clarabel" if backend == "auto" else backend
    gap, times = (1e-6, 2) if adaptive is None else (adaptive.gap, ENRICHED)
    if adaptive is not None:  # what the proof costs comes on top
        patterns = dataclasses.replace(adaptive, gap=SHARE * gap)
    cuts = [np.zeros((0, len(w.region.low))) for w in wanted]
    extra = affine(wanted, problem.network.bias)
    relaxed, best, lowest = problem._with(everywhere=()), None, None
    with asked.running():
        for _ in range(ROUNDS):
            left = current().remaining()
            with limited(None if np.isinf(left) else RELAXED * left):
                start = None if best is None else neurons_of(best.solution.network())
                below = fit_problem(relaxed, patterns, backend if best is None else again, tol, None, *rest, start=start)
            lowest = below if lowest is None or below.bound > lowest.bound else lowest
            if below.status == "infeasible":
                break
            network: Any = below.network
            directions = [neurons_of(network).blocks, extra]
            if best is not None:
                directions.append(neurons_of(best.solution.network()).blocks)
            above = _above(problem, wanted, _different(directions), cuts, min(asked.options["tol"], 1e-6), gap, times)
            before, best = best, _better(best, above)
            if above is None or _ended(best, lowest, gap) or current().expired() or below.status == "interrupted":
                break
            if not any(map(len, above.active)) or _stalled(before, best, lowest):
                break
            relaxed = _joined(relaxed, above, wanted)
        assert lowest is not None
        with wrapping_up():
            return _result(problem, best, below, lowest, gap, wanted, started)


def _above(
    problem: Problem, wanted: list[Wanted], blocks: Matrix, cuts: list[Matrix], tol: float, gap: float, times: int
) -> Found | None:
    """The best network on the directions, and on those that pay at its multipliers, while they do."""
    read, best = Read.of(problem), None
    for k in range(times):
        found = on_directions(problem, read, wanted, blocks, cuts, tol)
        before, best = best, _better(best, found)
        if found is None or best is not found or not found.proved or current().expired():
            break
        if before is not None and before.solution.objective - found.solution.objective < 0.1 * max(gap, LEAST) * abs(
            found.solution.objective
        ):
            break
        network: Any = found.solution.network()
        fresh = entering(problem, read, wanted, found, k)
        if not len(fresh):
            break
        blocks = _different([neurons_of(network).blocks, affine(wanted, problem.network.bias), fresh])
    return best


def _different(directions: list[Matrix]) -> Matrix:
    blocks = np.vstack(directions)
    units = blocks / np.linalg.norm(blocks, axis=1)[:, None]
    _, first = np.unique(np.round(units, 10), axis=0, return_index=True)
    return blocks[np.sort(first)]


def _better(one: Found | None, other: Found | None) -> Found | None:
    """The proved one, the one with the lower objective of two."""
    found = [f for f in (one, other) if f is not None]
    return min(found, key=lambda f: (not f.proved, f.solution.objective), default=None)


def _stalled(before: Found | None, best: Found | None, lowest: Fit) -> bool:
    """Whether a round gained little of what may be left to gain."""
    if before is None or best is None or not before.proved:
        return False
    gained, left = before.solution.objective - best.solution.objective, before.solution.objective - lowest.bound
    return gained < WORTH * left


def _ended(best: Found | None, lowest: Fit, gap: float) -> bool:
    return best is not None and best.proved and relative_gap(best.solution.objective, lowest.bound) <= gap


def _joined(relaxed: Problem, found: Found, wanted: list[Wanted]) -> Problem:
    """The relaxation with the bounds at the active points too: values there, slopes over segments through them."""
    fresh = []
    blocks = neurons_of(found.solution.network()).blocks
    f = relaxed.network
    for w, points in zip(wanted, found.active, strict=True):
        if not len(points) or (w.along is not None and w.region.half @ w.along == 0):
            continue  # along a feature that is fixed there are no segments
        points, d = _apart(points, w), points.shape[1] - f.bias
        if w.along is None:
            reading = f(points[:, :d])
            reading = reading[:, w.given.output] if f.outputs not in (None, 1) else reading
        else:
            down, up, length = _segments(points, w, blocks)
            reading = (f(up[:, :d]) - f(down[:, :d])) * (1 / length)
        fresh.append(reading >= w.given.level if w.given.sign > 0 else reading <= w.given.level)
    return relaxed._with(constraints=(*relaxed.constraints, *fresh))


def _apart(points: Matrix, w: Wanted) -> Matrix:
    """Some of the points, the last first, no two of which are near each other."""
    width = np.where(w.region.half > 0, 2 * w.region.half, 1.0)
    kept: list[Matrix] = []
    for z in points[::-1]:
        if len(kept) < JOIN and all((np.abs(z - other) / width).max() > APART for other in kept):
            kept.append(z)
    return np.array(kept)


def _segments(points: Matrix, w: Wanted, blocks: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """The ends, and the lengths, of segments along the feature through the points: as far as no neuron changes sides, but no less than a
    share of the box."""
    assert w.along is not None
    k = int(np.argmax(w.along))
    T, rate = points @ blocks.T, blocks[:, k]
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.where(rate != 0, -T / rate, np.inf)
    least = SPAN * (w.region.high[k] - w.region.low[k])
    ahead = np.where(steps > 0, steps, np.inf).min(axis=1)
    behind = np.where(steps < 0, -steps, np.inf).min(axis=1)
    up, down = points.copy(), points.copy()
    up[:, k] = np.minimum(points[:, k] + np.maximum(ahead, least), w.region.high[k])
    down[:, k] = np.maximum(points[:, k] - np.maximum(behind, least), w.region.low[k])
    return down, up, up[:, k] - down[:, k]


def _result(problem: Problem, best: Found | None, below: Fit, lowest: Fit, gap: float, wanted: list[Wanted], started: float) -> Fit:
    """The network with what is proved of it, and the highest bound."""
    if best is None:  # no weights on these directions keep the bounds with the other constraints
        certificates = certificates_of(below.network, wanted)
        found = dataclasses.replace(below, bound_kind=lowest.bound_kind, dual=lowest.dual)
        objective, violation = below.objective, below.violation
    else:
        certificates, solution = best.certificates, best.solution
        # cuts have margins, and what they ask of the network itself is in the certificates
        own = tuple(t for t in solution.program.terms if t.name != "everywhere")
        objective, violation = solution.objective, dataclasses.replace(solution.program, terms=own).violation(solution.point)
        found = dataclasses.replace(lowest, network=solution.network(), solution=solution, program=solution.program)
    # what a search did not find may be found here
    bound = min(lowest.bound, objective) if lowest.bound_kind == "estimated" else lowest.bound
    distance = relative_gap(objective, bound)
    proved = all(c.proved for c in certificates)
    status = below.status if below.status in ("time limit", "interrupted", "failed", "infeasible") else "gap not reached"
    return dataclasses.replace(
        found,
        objective=objective,
        bound=bound,
        gap=distance,
        status="optimal" if proved and distance <= gap else status,
        violation=max([violation, *(c.violation for c in certificates)]),
        certificates=certificates,
        time=time.perf_counter() - started,
    )
