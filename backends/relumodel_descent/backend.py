"""Backend "descent": polynomial programs in factored form (Burer & Monteiro 2003), by L-BFGS on a smoothed loss.

A vector w in R^d with p = [w, |w|] is the neuron w / |w| with weight |w|^2, so Z = sum of p p' is feasible whatever the w are, and costs
beta sum of |w|^2. The loss, worst case over balls included, is evaluated exactly on the sum, one eigendecomposition a step instead of a
matrix a sample. Its kinks are smoothed by Moreau envelopes of falling width mu; the slopes of the envelope are multipliers, and the
program's own certificate says how good they are. So a local descent ends with a proof. Where the
proof fails, the unit neuron of the highest price takes the place of the smallest one, and the descent goes on.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from relumodel.backend import Options, Program, RawSolution, conic_fits, joint, many_matrices, scaled_bound, solve_parts
from relumodel.certify.unit_neurons import completed, dearest_neuron, price
from relumodel.functions.ball_loss import BallLoss
from relumodel.functions.base import SampleLoss
from relumodel.maps.quadratic_maps import BallQuadratics, QuadraticPrediction
from relumodel.maps.symmetric import smat, svec

Vector = NDArray[np.float64]

#: Widths of the envelopes, in units of the margin or of the targets.
WIDTHS = tuple(10.0**-k for k in np.arange(1, 8.1, 0.5))

#: Descents at one width, each after the neurons of the highest price have entered, at this share of the largest.
ROUNDS, ENTERS = 3, 0.03

#: Widths without a better gap after which it gives up.
PATIENCE = 3

#: More neurons a sign are rarely of use, and cost in proportion.
MOST = 64


@dataclass(frozen=True, eq=False)
class Envelope:
    """The Moreau envelope of a loss, min over p of phi(p) + (p - s)^2 / (2 mu): smooth, and below phi by at most mu slope^2 / 2."""

    loss: Any
    mu: float

    @property
    def reads(self) -> str:
        return self.loss.reads

    @property
    def even(self) -> bool:
        """As the loss is: that of |p - s| is even."""
        return self.loss.even

    def value(self, s: Vector) -> Vector:
        p = self.loss.prox(s, self.mu)
        return self.loss.value(p) + (s - p) ** 2 / (2 * self.mu)

    def slope(self, s: Vector) -> Vector:
        return (s - self.loss.prox(s, self.mu)) / self.mu


@dataclass(frozen=True, eq=False)
class RoundedSides(BallLoss):
    """The worst case of a residual loss with the larger of its two sides rounded off: mu log(exp(a / mu) + exp(b / mu)), above the
    maximum by at most mu log 2. Its shares of both sides are multipliers."""

    mu: float = 1.0

    def _rounded(self, h: Vector) -> tuple[Vector, Vector]:
        """The argument of phi (n,), and the shares of the sides (2, n)."""
        over = (-h - self.signs * self.clean.tau[self.samples]).reshape(2, -1) / self.mu
        top = np.logaddexp(over[0], over[1])
        return self.mu * top, np.exp(over - top)

    def value(self, z: Any) -> float:
        argument, _ = self._rounded(self.worst(z)[0])
        return float((self.clean.weights * self.clean.loss.value(argument)).sum())

    def gradient(self, z: Any) -> Vector:
        h, e = self.worst(z)
        argument, shares = self._rounded(h)
        slope = self.clean.weights * self.clean.loss.slope(argument)
        return self._multiplier((-slope * shares).reshape(-1), e)


class DescentBackend:
    """Polynomial programs, clean or in the worst case, to gaps of 1e-3 or 1e-4 in seconds."""

    name = "descent"
    accepts = Program
    supports: ClassVar[set[str]] = {"zero", "nonnegative", "exponential", "semidefinite", "quadratic"}
    options: ClassVar[dict[str, str]] = {
        "width": "largest number of neurons of each sign (d + 1, at most 64)",
        "max_iter": "largest number of iterations of each descent (500)",
        "seed": "of the first neurons (0)",
    }

    def declines(self, problem: Program) -> str | None:
        """Why it cannot take a program: it is not one of these."""
        if problem.added:
            return f"it takes programs as they are compiled, and does not know the term {problem.added[0].name!r}"
        if joint(problem):
            return "its outputs share one loss"
        loss = problem.parts[0].term("loss")
        if not isinstance(loss.map, QuadraticPrediction | BallQuadratics):
            return "it takes programs of polynomial networks only"
        return None

    def reluctant(self, problem: Program, tol: float) -> bool:
        """It is for robust programs that are too large for an interior point; elsewhere that is faster and far more exact,
        where there is the time for it."""
        return not many_matrices(problem) and conic_fits(problem)

    def solve(self, problem: Program, options: Options) -> RawSolution:
        return solve_parts(problem, options, self._solve)

    def _solve(self, problem: Program, options: Options) -> RawSolution:
        with options.catching_interrupt():
            return Descent(problem, options).run()


class Descent:
    """One run. w : (2 width, d), the first half of positive sign."""

    def __init__(self, program: Program, options: Options) -> None:
        self.program, self.options = program, options
        self.loss, self.beta = program.term("loss"), program.term("penalty").function.beta  # type: ignore[attr-defined]
        self.half = program.n_variables // 2
        self.d = smat(np.zeros(self.half)).shape[0] - 1
        width = int(options.extra.get("width", min(self.d + 1, MOST)))
        self.signs = np.repeat([1.0, -1.0], width)
        rng = np.random.default_rng(int(options.extra.get("seed", 0)))
        self.w = 0.1 * rng.standard_normal((2 * width, self.d)) / np.sqrt(self.d)
        self.iterations, self.bound = 0, -np.inf
        self.dual: dict[str, Vector] | None = None

    def run(self) -> RawSolution:
        function: Any = self.loss.function
        clean = getattr(function, "clean", function)
        unit = 1.0 if clean.loss.reads == "margin" else max(float(np.abs(clean.tau).max()), 1e-300)
        objective, x, status = np.inf, np.zeros(self.program.n_variables), "inaccurate"
        best, idle = np.inf, 0
        for width in WIDTHS:
            smooth = self.smoothed(width * unit)
            for _ in range(ROUNDS):
                self.descend(smooth)
                point = self.point(self.w)
                value = self.program.objective(point)
                if value < objective:
                    objective, x = value, point
                if self.prove(smooth, point) or self.options.stopped:
                    break
            if objective - self.bound <= 0.5 * self.options.tol * abs(objective):
                status = "solved"
                break
            if self.options.stopped:
                status = self.options.stopped
                break
            gap = objective - self.bound
            idle = 0 if gap < 0.8 * best else idle + 1
            best = min(best, gap)
            if idle == PATIENCE:  # the worst points themselves have kinks, which no envelope of the loss smooths
                break
        message = f"descent with {len(self.signs)} neurons and {self.iterations} iterations"
        return RawSolution(status, x, self.dual, objective, self.iterations, message)

    def smoothed(self, mu: float) -> Any:
        """The loss with its envelope in place of phi."""
        function: Any = self.loss.function
        if isinstance(function, SampleLoss):
            return dataclasses.replace(function, loss=cast(Any, Envelope(function.loss, mu)))
        clean = dataclasses.replace(function.clean, loss=Envelope(function.clean.loss, mu))
        if clean.loss.reads == "margin" or not clean.loss.even:
            return dataclasses.replace(function, clean=clean)
        return RoundedSides(clean, function.samples, function.signs, function.p, mu)

    def point(self, w: Vector) -> Vector:
        P = np.column_stack([w, np.linalg.norm(w, axis=1)])
        return np.concatenate([svec(half.T @ half) for half in np.split(P, 2)])

    def descend(self, smooth: Any) -> None:
        """L-BFGS from where it is."""
        from scipy.optimize import minimize

        def step(intermediate_result: Any) -> None:
            self.iterations += 1
            self.w = intermediate_result.x.reshape(self.w.shape).copy()
            if self.options.report(self.iterations, intermediate_result.fun, self.bound):
                raise StopIteration

        limit = int(self.options.extra.get("max_iter", 500))
        settings = {"maxiter": limit, "maxfun": 2 * limit, "maxcor": 30, "ftol": 1e-13, "gtol": 1e-9}
        found = minimize(
            self.value_and_gradient, self.w.ravel(), (smooth,), method="L-BFGS-B", jac=True, callback=step, options=settings
        )
        if not self.options.stopped:
            self.w = found.x.reshape(self.w.shape).copy()

    def value_and_gradient(self, flat: Vector, smooth: Any) -> tuple[float, Vector]:
        """Of the smoothed objective in w."""
        w = flat.reshape(self.w.shape)
        norms = np.linalg.norm(w, axis=1)[:, None]
        z = self.loss.map.forward(self.point(w))
        R = smat(self.loss.map.adjoint(smooth.gradient(z))[: self.half])
        on_p = 2 * self.signs[:, None] * (np.hstack([w, norms]) @ R)
        gradient = on_p[:, :-1] + on_p[:, -1:] * w / np.maximum(norms, 1e-150) + 2 * self.beta * w
        return float(smooth.value(z)) + self.beta * float((w * w).sum()), gradient.ravel()

    def prove(self, smooth: Any, x: Vector) -> bool:
        """Keep the multipliers that the slopes suggest, if no others proved more; True when no neuron outside is worth its price.
        Else the best ones enter."""
        function = self.loss.function
        q = function.project_dual(smooth.gradient(self.loss.map.forward(x)))
        rest = -self.loss.map.adjoint(q)
        most_violating = price(self.program, rest)
        scale, bound = scaled_bound([(function, q)], most_violating / self.beta)
        if bound > self.bound:
            self.bound, self.dual = bound, {"loss": scale * q, **completed(self.program, rest, scale)}
        if most_violating <= self.beta * (1 + 0.1 * self.options.tol):
            return True
        sizes = (self.w**2).sum(axis=1)
        for sign, R in zip((1.0, -1.0), smat(rest.reshape(2, -1)), strict=True):
            found = dearest_neuron(R)
            if found.price > self.beta:
                at = np.flatnonzero(self.signs == sign)
                self.w[at[sizes[at].argmin()]] = ENTERS * np.sqrt(sizes.max() or 1.0) * found.u
        return False
