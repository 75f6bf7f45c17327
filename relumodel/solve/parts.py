"""Programs with several outputs for backends of one output: each part for itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..maps.base import Kron
from ..program.program import Program
from ..resources.progress import Progress
from .protocol import Options, RawSolution

Vector = NDArray[np.float64]


def joint(program: Program) -> bool:
    """Whether a program has several outputs under one loss, so that `solve_parts` cannot take it apart."""
    return isinstance(program.term("loss").map, Kron) and len(program.parts) == 1


def solve_parts(program: Program, options: Options, solve: Callable[[Program, Options], RawSolution]) -> RawSolution:
    """For a backend that accepts `Program`s: the answer to one with several outputs from those to its `parts`, one after the other.

    solve : the backend's own, for a single output. Progress counts outputs still to come at their loss at zero, and their bound as 0.
    """
    parts = program.parts
    if len(parts) == 1:
        return solve(parts[0], options)
    starts = [None] * len(parts) if options.warm_start is None else np.split(options.warm_start, len(parts))
    ahead = [part.objective(np.zeros(part.n_variables)) for part in parts]
    answers: list[RawSolution] = []
    points: list[Vector] = []
    value = bound = 0.0
    for r, (part, start) in enumerate(zip(parts, starts, strict=True)):
        known, iterations, rest = value, sum(a.iterations or 0 for a in answers), sum(ahead[r + 1 :])

        def watch(
            progress: Progress, iterations: int = iterations, known: float = known, bound: float = bound, rest: float = rest
        ) -> bool:
            best, low = known + progress.objective + rest, bound + max(progress.bound, 0.0)
            return options.report(iterations + progress.iteration, best, low, violation=progress.violation)

        asked = replace(options, warm_start=start, callback=watch, history=[], restart=None, part=r)
        answer = solve(part, asked)
        answers.append(answer)
        points.append(np.zeros(part.n_variables) if answer.x is None else answer.x)
        value += part.objective(points[-1])
        bound += max(asked.history[-1].bound, 0.0) if asked.history and math.isfinite(asked.history[-1].bound) else 0.0
        if options.stopped is not None or answer.status == "failed":
            break
    points += [np.zeros(part.n_variables) if start is None else start for part, start in zip(parts, starts, strict=True)][
        len(points) :
    ]
    duals = [answer.dual for answer in answers]
    whole = len(duals) == len(parts) and all(dual is not None for dual in duals)
    worst = next((a.status for a in answers if a.status != "solved"), "solved")
    return RawSolution(
        status=options.stopped or worst,
        x=np.concatenate(points),
        dual={term.name: np.concatenate([dual[term.name] for dual in duals]) for term in program.terms} if whole else None,
        objective=None if any(a.objective is None for a in answers) or not whole else sum(a.objective or 0.0 for a in answers),
        iterations=sum(a.iterations or 0 for a in answers),
        message=f"{len(parts)} outputs, each for itself: " + "; ".join(dict.fromkeys(a.message for a in answers)),
    )
