"""`Problem.fit`: the adaptive loop on a convex function of the values at the union of all points, constraints by an exact penalty.

    J_M = terms + M sum of distances from the constraints

has finite values and gradients, so it is descended, solved and priced like a loss, and every bound on it is one on the problem, where M is
infinite. From some M on, the largest multiplier, its optimum satisfies the constraints (Han & Mangasarian 1979); M grows until it does.
"""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from ..certify.bound import relative_gap
from ..data import with_bias
from ..declare.networks import TwoLayer
from ..declare.problem import Problem
from ..errors import InputError
from ..functions.base import Function
from ..functions.penalties import known_norm
from ..functions.several import gradient, has_kink, rounded
from ..lift.problem import Read, hardened, lower_problem, on_union
from ..lift.values import on_values
from ..patterns.adaptive import AdaptivePatterns
from ..patterns.pattern_set import PatternStrategy
from ..resources.deadline import current, wrapping_up
from ..resources.threads import threads_for
from ..robustness.neurons import Neurons, neurons_of
from ..solve.solution import Solution
from ..solve.solve import solve
from .dual import Dual
from .fit import asked_for, result_of
from .loop import Loop
from .result import Fit, Round
from .settings import FitSettings
from .training import Training

Matrix = NDArray[np.float64]

#: The first weight of the distances, in units of the terms' slope at zero; how often it is raised, each time by GROW.
FIRST, RAISES, GROW = 4.0, 6, 8.0

#: Violations, relative to the size of the values, that a weight has done its work at.
MET = 1e-6

#: The violation, relative likewise, up to which a result may be called optimal.
KEPT = 1e-9


@dataclass(frozen=True, eq=False)
class ReadLoss(Function):
    """J(A z) of the values z at the union. Its gradient is in z; its conjugate and the domain of that are those of J, in multipliers of A z,
    which `pulled` turns into those of z."""

    inner: Any
    A: scipy.sparse.csr_array
    outputs: int

    @property
    def has_kink(self) -> bool:
        """Whether J has a kink."""
        return has_kink(self.inner)

    def value(self, z: Any) -> Any:
        return self.inner.value(self.A @ z)

    def gradient(self, z: Any) -> Any:
        """A subgradient in z."""
        return self.A.T @ gradient(self.inner, self.A @ z)

    def rounded(self, z: Any, width: float) -> tuple[float, Any]:
        """J's Moreau envelope at A z, and the gradient of that in z."""
        value, slopes = rounded(self.inner, self.A @ z, width)
        return value, self.A.T @ slopes

    def conjugate(self, q: Any) -> Any:
        return self.inner.conjugate(q)

    def project_dual(self, q: Any) -> Any:
        return self.inner.project_dual(q)

    def pulled(self, q: Any) -> Any:
        """A'q."""
        return self.A.T @ q


def fit_problem(problem: Problem, patterns: Any, *how: Any, start: Neurons | None = None) -> Fit:
    """See `relumodel.api.Problem.fit`; `how` are its arguments after `patterns`. start : neurons to begin with, of adaptive patterns."""
    if not isinstance(patterns, PatternStrategy):
        raise InputError(f"patterns must say where patterns come from, e.g. rm.AdaptivePatterns(gap=1e-3); got {patterns!r}.")
    network = problem.network
    adaptive = isinstance(patterns, AdaptivePatterns) and not network.activation.unit_neurons
    asked = asked_for(patterns if adaptive else None, *how)
    if adaptive:
        known_norm(problem.penalty, "AdaptivePatterns")
        if not isinstance(network, TwoLayer) or not network.activation.self_gated:
            raise InputError(
                f"AdaptivePatterns train rm.TwoLayer networks whose own sign decides; fit a problem of {network} with other patterns, "
                "e.g. rm.SamplePatterns(50, seed=0)."
            )
    read = Read.of(problem)
    with asked.running(), threads_for(read.points.size):
        if isinstance(patterns, AdaptivePatterns) and adaptive:
            return _adapted(problem, read, patterns, asked, start)
        return _given(problem, read, None if network.activation.unit_neurons else patterns, asked)


def _training(problem: Problem, read: Read) -> Training:
    loss: Any = read.function if read.plain else ReadLoss(read.function, read.A, read.outputs)
    network = problem.network
    return Training(with_bias(read.points, network.bias), loss, problem.penalty, network.activation.inactive)


def _given(problem: Problem, read: Read, patterns: Any, asked: FitSettings) -> Fit:
    """One program; its bound is that of the problem where it is exact, else by pricing its multipliers."""
    program = lower_problem(problem, patterns)
    solution = solve(program, **asked.options)
    network: Any = problem.network
    if program.guarantee.kind == "exact" or program.patterns is None:
        return _of_program(solution, "certified", solution.bound, asked)
    if not isinstance(network, TwoLayer) or not network.activation.self_gated:
        return _of_program(solution, "none", -math.inf, asked)
    known_norm(problem.penalty, "Pricing other patterns, which is what makes a fit's bound,")
    dual = Dual.at(_training(problem, read), solution.dual["loss"])
    blocks = neurons_of(solution.network()).blocks
    dual.see(blocks)
    with wrapping_up():
        random = np.random.default_rng(0).standard_normal((AdaptivePatterns().starts_on(len(read.points)), blocks.shape[1]))
        starts = dual.search(np.vstack([blocks, random]))
    found = result_of(solution, dual, _status(solution, solution.tol, dual.bound), starts, [], asked.started)
    return dataclasses.replace(found, violation=solution.violation, dual=dual.nu)


def _of_program(solution: Solution, kind: str, bound: float, asked: FitSettings) -> Fit:
    return Fit(
        network=solution.program.inverse.network(solution.point),
        objective=solution.objective,
        bound=bound,
        bound_kind=kind,
        gap=relative_gap(solution.objective, bound),
        status=_status(solution, solution.tol, bound),
        program=solution.program,
        solution=solution,
        starts=0,
        price=float("nan"),
        history=[],
        time=time.perf_counter() - asked.started,
        violation=solution.violation,
    )


def _status(solution: Solution, gap: float, bound: float) -> str:
    if solution.status == "infeasible":
        return "infeasible"
    if relative_gap(solution.objective, bound) <= gap and solution.program.outside(solution.point) <= KEPT:
        return "optimal"
    return solution.status if solution.status in ("time limit", "interrupted", "failed") else "gap not reached"


def _adapted(problem: Problem, read: Read, strategy: AdaptivePatterns, asked: FitSettings, start: Neurons | None = None) -> Fit:
    """The loop at growing weights, each from the network before, then the problem itself on the patterns found."""
    weight, neurons, best = _first_weight(problem, read), start, None
    raises = RAISES if problem.constraints else 1
    if problem.constraints and _contradictory(problem):  # one look, for a network that is as near as that
        strategy, raises = dataclasses.replace(strategy, rounds=1), 1
    rounds: list[Round] = []
    for _ in range(raises):
        soft = Read.of(problem, weight) if problem.constraints else read
        loop = Loop(
            _training(problem, soft),
            partial(on_union, problem, soft),
            strategy,
            asked.options,
            asked.started,
            asked.watch,
        )
        loop.restricted, loop.history, loop.polishes = bool(problem.shapes or read.groups), rounds, True
        status = loop.run(neurons)
        assert loop.solution is not None
        assert loop.dual is not None
        found = _kept(problem, read, loop, status, strategy.gap, asked)
        best = (
            found
            if best is None or (found.violation, found.objective) < (best.violation, best.objective) or found.status == "optimal"
            else best
        )
        best = dataclasses.replace(
            best, bound=max(best.bound, found.bound), gap=relative_gap(best.objective, max(best.bound, found.bound))
        )
        if found.status in ("optimal", "interrupted") or current().expired() or _met(read, found):
            return best
        weight, neurons = GROW * weight, neurons_of(loop.solution.network())
    assert best is not None
    # it pays to leave the constraints at any weight that was tried
    return dataclasses.replace(best, status="infeasible") if not _met(read, best) else best


def _kept(problem: Problem, read: Read, loop: Loop, status: str, gap: float, asked: FitSettings) -> Fit:
    """The result of a loop: with constraints, that of the problem itself on the same patterns, where that is feasible."""
    solution, dual = loop.solution, loop.dual
    assert solution is not None
    assert dual is not None
    if problem.constraints:
        hard = hardened(solution.program, read)
        with wrapping_up():
            # without a start: that of the weighed problem is as good and has more neurons, and a start is kept as it is
            hard_solution = solve(hard, **asked.options)
        solution = (
            hard_solution
            if hard_solution.status != "infeasible"
            else dataclasses.replace(
                solution, program=hard, violation=hard.violation(solution.point), objective=hard.objective(solution.point)
            )
        )
        ended = relative_gap(solution.objective, dual.bound) <= gap and hard.outside(solution.point) <= KEPT
        status = "optimal" if ended else status if status != "optimal" else "gap not reached"
    found = result_of(solution, dual, status, loop.starts, loop.history, asked.started)
    return dataclasses.replace(found, violation=solution.violation, dual=dual.nu)


def _contradictory(problem: Problem) -> bool:
    """Whether no values at the points satisfy the constraints, whatever network has them: by a program on the values."""
    constraints = Read.of(problem.without_terms(), 1.0)
    program = on_values(constraints)
    solution = solve(program, backend="clarabel", tol=1e-6)
    least = solution.bound
    return solution.status == "optimal" and least > MET * (1 + float(np.abs(solution.point).max(initial=0.0)))


def _met(read: Read, found: Fit) -> bool:
    return found.program.outside(found.solution.point) <= MET


def _first_weight(problem: Problem, read: Read) -> float:
    """A weight that is more than the terms pull with at the zero network, where they are."""
    z = np.zeros(read.A.shape[1])
    soft: Any = Read.of(problem, 0.0) if problem.constraints else read
    pull = float(np.abs(gradient(soft.function, soft.A @ z)).sum()) if problem.terms else 0.0
    return FIRST * max(pull, problem.penalty.beta, 1e-12)
