"""Backend "admm": the native engine, an interior point where its matrices fit and ADMM where they do not."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from relumodel.backend import BackendError, Options, Program, RawSolution, memory, solve_parts, speed
from relumodel.maps.readings import Composed
from relumodel.program.arrays import Arrays

from .first_order import ITERATIONS, PRECISIONS, bytes_needed, precision, samples
from .first_order import solve as splitting
from .images import unknown_map
from .iterate import Measure
from .linear_algebra import Gram
from .normal_system import STEPS
from .pricing import part, price
from .restart import Restart
from .scaled import Scaled, layer_of, scaled, unknown_term
from .working_set import Answer, WorkingSet, operations

#: The interior point is asked for a gap of the tolerance less REPAIR, which is for the repair of the point and for dropped blocks,
#: within these shares of it.
REPAIR, SHARES = 5e-6, (0.2, 0.8)

#: Operations of one interior-point iteration beyond which ADMM is the method: some twenty such iterations take minutes.
HEAVY = 3e11

#: Conic solvers prove small gaps of perturbed programs sooner, up to about this many entries of their matrices.
SMALL = 5e6

#: Rounding of the dual constraints beyond this share of the penalty is said in the message.
ROUGH = 1e-2

#: Iterations of the interior point without which its point is worth little.
FEWEST = 8

METHODS = ("interior point", "admm")


class AdmmBackend:
    """Two-layer programs by their structure: a working set of blocks and a primal-dual interior point, or ADMM."""

    name = "admm"
    accepts = Program
    supports: ClassVar[set[str]] = {"zero", "nonnegative", "second-order", "exponential", "quadratic"}
    options: ClassVar[dict[str, str]] = {
        "method": '"interior point" or "admm"; chosen by size when left out',
        "max_iter": f"largest number of iterations (200 of the interior point, {ITERATIONS} of ADMM)",
        "dtype": f"precision of ADMM: {' or '.join(PRECISIONS)} (float64)",
        "checkpoint": "a folder where ADMM writes what it takes to go on, and goes on from when it finds it there",
        "cg_steps": f"steps of conjugate gradients in one iteration of ADMM ({STEPS})",
    }

    def declines(self, problem: Program) -> str | None:
        """Why it cannot take a program: a term it does not know."""
        if problem.added:
            return f"it takes two-layer programs as they are compiled, and does not know the term {problem.added[0].name!r}"
        one = problem.parts[0]
        summed = _summed_readings(one)
        unknown = unknown_term(one) if summed else unknown_map(one)
        if unknown is not None:
            return f"it takes two-layer programs, and does not know {unknown}"
        without = next((t for t in problem.terms if not t.function.proximal), None)
        if without is not None:
            return f"it takes terms with a proximal map, and {without.name!r} ({type(without.function).__name__}) has none for this loss"
        obstacle = _obstacle(one) if summed else None  # those are for the interior point only
        return None if obstacle is None else f"its interior point is not for this program: {obstacle}"

    def bytes_needed(self, problem: Program) -> float:
        """What ADMM holds, which takes over where the matrices of the interior point do not fit; theirs where it cannot."""
        problem = problem.parts[0]
        return _matrices(problem) if _summed_readings(problem) else bytes_needed(problem)

    def reluctant(self, problem: Program, tol: float) -> bool:
        """Whether another backend that can take the program is likely to be faster."""
        problem = problem.parts[0]
        return unknown_term(problem) is not None and problem.n_variables * len(samples(problem)) <= SMALL

    def solve(self, problem: Program, options: Options) -> RawSolution:
        return solve_parts(problem, options, self._solve)

    def _solve(self, problem: Program, options: Options) -> RawSolution:
        method, why = _method(problem, options)
        answer = splitting(problem, options, Arrays(precision(options))) if method == "admm" else _interior(problem, options)
        return replace(answer, message=answer.message + why)


def _method(problem: Program, options: Options) -> tuple[str, str]:
    """What to solve with, and why, for the message."""
    asked = options.extra.get("method")
    if asked is not None and asked not in METHODS:
        raise BackendError(f"method must be {' or '.join(map(repr, METHODS))}; got {asked!r}.")
    precise = [name for name in ("dtype", "cg_steps", "checkpoint") if name in options.extra]
    if _summed_readings(problem):
        for wrong in (*(["method='admm'"] if asked == "admm" else []), *precise):
            raise BackendError(
                f"ADMM does not know readings that are sums of values, so {wrong} is not for this program. Leave it out."
            )
        return "interior point", ""
    obstacle = _obstacle(problem) or _too_slow(problem, options)
    if asked == "interior point" and obstacle is not None and obstacle.startswith("it "):
        raise BackendError(f"The interior point cannot take this program: {obstacle}. Use method='admm'.")
    if asked == "interior point" and options.extra.get("checkpoint") is not None:
        raise BackendError("The interior point writes no checkpoints. Leave checkpoint out, or use method='admm'.")
    if asked is not None:
        return asked, ""
    if obstacle is not None:
        return "admm", f"; no interior point, since {obstacle}"
    if precise:
        return "admm", f"; no interior point, since it has no option {precise[0]}"
    return "interior point", ""


def _summed_readings(problem: Program) -> bool:
    """Whether the loss reads more than every value once: ADMM does not know such programs."""
    return isinstance(problem.term("loss").map, Composed)


def _matrices(problem: Program) -> float:
    """Bytes of the interior point: the coupling matrix in both precisions and its factor, and a few copies of what is per block and
    sample."""
    return 20.0 * min(problem.term("loss").map.shape) ** 2 + 8 * 8 * problem.n_constraints


def _obstacle(problem: Program) -> str | None:
    """Why the interior point is not the method for a program; begins with "it" where it cannot take it at all."""
    unknown = unknown_term(problem)
    if unknown is not None:
        return f"it does not know {unknown}"
    needed = _matrices(problem)
    room = memory.available()
    if needed > 0.7 * room.bytes:  # temporaries come on top
        return f"it would need about {memory.shown(needed)} of memory, {memory.left(room)}"
    m, layer = problem.term("loss").map.shape[0], layer_of(problem)
    P, d = layer.mask.shape[0], layer.X.shape[1]
    work = 2.0 * min(m, P * d) * m * P * d
    if work > HEAVY:
        return f"one of its iterations would take about {work:.0e} operations"
    return None


def _too_slow(problem: Program, options: Options) -> str | None:
    """Whether the time left is for fewer steps than get anywhere; ADMM's are short, and any of them may be the last."""
    left = options.remaining()
    if left is None:
        return None
    m, layer = problem.term("loss").map.shape[0], layer_of(problem)
    seconds = operations(m, layer.X.shape[1], layer.mask.shape[0]) / speed()
    return None if FEWEST * seconds <= left else f"one of its iterations would take about {seconds:.2g} s of the {left:.2g} s left"


def _interior(problem: Program, options: Options) -> RawSolution:
    units = scaled(problem)
    gram = Gram(units.X)
    if units.stuck > 0:
        nothing = np.zeros(problem.n_variables)
        return RawSolution(
            "infeasible", nothing, message=f"a constraint on points that are zero in every feature is left by {units.stuck:.3g}"
        )
    with options.catching_interrupt():
        at_zero = _zero(units, gram)
        if at_zero is not None:
            return at_zero

        def watch(k: int, m: Measure) -> bool:
            f0 = units.f0
            return options.report(k, f0 * m.objective, f0 * m.bound, gap=m.gap, violation=m.violation)

        limit = int(options.extra.get("max_iter", 200))
        work = WorkingSet(units, gram, _wanted(options.tol), limit, watch)
        restart = options.restart if isinstance(options.restart, Restart) else None
        start = None if restart is None else restart.iterate_for(units)
        answer = work.solve(start)
    status = (
        "infeasible"
        if answer.infeasible
        else "solved"
        if answer.solved
        else options.stopped or ("time limit" if work.late else "inaccurate")
    )
    dual = units.dual(answer.q, answer.multipliers)
    objective, message = units.f0 * answer.objective, _message(units, answer)
    fresh = None if work.first is None else Restart.of(units, work.first)
    carried = fresh if start is None else restart  # a start that was carried far is no longer centred
    x = units.point(np.zeros_like(answer.u) if answer.infeasible else answer.u)
    return RawSolution(status, x, dual, objective, answer.iterations, message, restart=carried)


def _wanted(tol: float) -> float:
    return float(np.clip(tol - REPAIR, SHARES[0] * tol, SHARES[1] * tol))


def _message(units: Scaled, answer: Answer) -> str:
    if answer.infeasible:
        return "interior point; its multipliers prove that no network on these patterns satisfies the constraints"
    again = f", {answer.rounds - 1} times with blocks taken back" if answer.rounds > 1 else ""
    lost = "" if answer.solved else _rounding(units)
    return f"interior point, {answer.used} of {units.count} blocks at the end{again}{lost}"


def _rounding(units: Scaled) -> str:
    """A word on programs at the limit of float64: sums in the dual constraints may round to more than the penalty allows for."""
    slope = units.readings.back(units.loss.slope(np.zeros(units.loss.size)))
    terms = (np.abs(units.masks).max() * units.f0 / units.beta * np.abs(slope)) @ np.abs(units.X)
    share = float(np.finfo(float).eps * terms.max())
    if share < ROUGH:
        return ""
    return (
        f"; at the limit of float64: rounding in the largest columns comes to {share:.0e} of the penalty, scale the columns alike"
    )


def _zero(units: Scaled, gram: Gram) -> RawSolution | None:
    """The zero solution, if it satisfies the constraints and the loss gradient there proves it optimal."""
    q, nothing = units.loss.slope(np.zeros(units.loss.size)), np.zeros(units.loss.size)
    if units.loss.outside(nothing).any():
        return None
    everything = units.blocks(np.arange(units.count))
    multipliers = np.zeros((units.count, everything.side.shape[1]))
    if units.f0 == 0:
        return _at_zero(units, np.zeros_like(q), multipliers)
    gauges = units.gauges(units.pulls(everything, q))
    if (gauges > 1).any():
        likely = np.argsort(-gauges)[:4]  # one block that enters is enough
        if len(price(units, gram, part(everything, likely), q, 1e-9).enter):
            return None
        prices = price(units, gram, everything, q, 1e-9)
        if len(prices.enter):
            return None
        multipliers[everything.index] = prices.multipliers
    return _at_zero(units, q, multipliers)


def _at_zero(units: Scaled, q: np.ndarray, multipliers: np.ndarray) -> RawSolution:
    x = np.zeros(units.program.n_variables)
    return RawSolution("solved", x, units.dual(q, multipliers), units.f0, 0, "zero is optimal: its dual proves it")
