"""Convex-concave repetition of crossing programs (Yuille & Rangarajan 2003; relumodel, crossing program).

A crossing program bounds every neuron on every sample with a slope chosen beforehand. At its solution other slopes give a better
bound, that of the network's own certificate; the program with those slopes has a lower objective at the same point, and a lower one
yet at its own optimum.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..declared import number, whole
from ..errors import InputError, InputTypeError
from ..functions.crossing import CrossingLoss
from ..lift.robust import with_slopes
from ..lift.two_layer import CrossingInverse
from ..maps.crossing import CrossingMap
from ..program.program import Program
from ..resources.deadline import limited
from ..robustness.neurons import Neurons
from ..robustness.relaxation import relaxed_bound
from ..solve.solution import Solution
from ..solve.solve import solve


def refine(solution: Solution, rounds: int = 5, **options: Any) -> Solution:
    """Solve a crossing program again with the slopes that are best at its solution, at most `rounds` times.

    The certified worst-case objective never rises from round to round; it stops when a round lowers it by less than `tol`
    (relative; that of `solution` unless given). The bound of the answer is that of its last program, whose slopes it has.

    options : those of `Program.solve` but warm_start, for every round; a time_limit is one for each.
    Raises `InputError` for solutions of other programs than those of robust="crossing".
    """
    rounds = whole(rounds, "rounds", low=1)
    if not isinstance(solution, Solution):
        raise InputTypeError(f"refine takes a Solution, what program.solve() returns; got {type(solution).__name__}.")
    if "warm_start" in options:
        raise InputError("refine starts every round from the one before; leave warm_start out.")
    tol = number(options.setdefault("tol", solution.tol), "tol", above=0)
    model = solution.program.model
    if model.robust == "crossing" and model.perturbation is not None and not isinstance(solution.program.inverse, CrossingInverse):
        return solution  # its radii are 0: the program is that of clean training, and there is nothing to bound
    with limited() as deadline:
        for _ in range(rounds):
            program = with_slopes(solution.program, improved(solution.program, solution.point))
            found = solve(program, warm_start=solution, **options)
            gain = solution.objective - found.objective
            solution = found if gain >= 0 else solution  # below 0 by rounding only
            if deadline.interrupted:
                return dataclasses.replace(solution, status="interrupted")
            if gain <= tol * abs(found.objective):
                break
    return solution


def improved(program: Program, point: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shares of a crossing program that are best at a point, see CrossingMap: (2, 2, P, n). Zero blocks keep theirs."""
    inverse, loss = program.inverse, program.term("loss")
    if not isinstance(inverse, CrossingInverse) or not isinstance(loss.map, CrossingMap) or inverse.ball is None:
        raise InputError(
            "refine repeats crossing programs: compile the model with a perturbation and robust='crossing'. "
            "A strict program and one without perturbation have no slopes to choose."
        )
    blocks, (P, n, _), slope = inverse.blocks(point), loss.map.sizes, loss.map.slope
    used = blocks.any(axis=1)
    neurons = Neurons(blocks[used], np.repeat([1.0, -1.0], P)[used], slope)
    shares = loss.map.shares.reshape(2, 2 * P, n).copy()
    assert isinstance(loss.function, CrossingLoss)
    before = loss.function.bounds(loss.map.forward(inverse.point(blocks)))
    for side, (samples, s) in enumerate(zip(loss.map.samples, (1.0, -1.0), strict=True)):
        bound = relaxed_bound(neurons, loss.map.X[samples], np.full(len(samples), s), inverse.ball)
        better = bound.value >= before[side]  # not by rounding only
        at = np.ix_(used, samples[better])
        shares[side][at] = np.clip((bound.slopes[:, better] - slope) / (1 - slope), 0.0, 1.0)
    return shares.reshape(2, 2, P, n)
