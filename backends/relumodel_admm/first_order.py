"""ADMM on any two-layer program: what it starts from, when it looks at the bound, when it stops."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relumodel.backend import BackendError, Options, Program, RankError, RawSolution, certify, relative_gap
from relumodel.functions.base import Nonnegative, SampleLoss
from relumodel.program.arrays import Arrays, converted

from .checkpoint import Checkpoint
from .images import Images, SeparateImages, images_of
from .normal_system import DENSE, ENTRIES, STEPS, DenseInverse, NormalSystem, PencilInverse
from .splitting import Splitting

Vector = NDArray[np.float64]

#: First weights: the loss's, as a share of its curvature; the others', as multiples of what the loss then adds to the normal matrix.
#: Rows of sign cones are normalised and take more than what perturbed programs have in their place.
LOSS, CONES, ROBUST, PENALTY = 0.1, 10.0, 1.0, 0.1

#: The gap is measured at these iterations, then every `EVERY`.
LOOKS, EVERY = (10, 20, 40, 60, 80, 100, 125, 150, 175, 200), 50

#: The weights are balanced after `FIRST` iterations and whenever their number has grown by the factor `AGAIN`.
FIRST, AGAIN = 10, 1.5

#: Rows of sign cones times features up to which the best multipliers of all cones are found before the first iteration.
QUICK = 1e6

#: Iterations of ADMM when the caller gives no limit.
ITERATIONS = 20_000

PRECISIONS = ("float64", "float32")

#: Why a solve stops before its end; of several ranks the last of these counts for all.
REASONS = (None, "time limit", "interrupted")

#: Ranks ask each other for one at every look and about so many seconds later, but no more than every iteration.
ASK = 0.1


def samples(program: Program) -> Vector:
    """X, with the bias column, if any."""
    K: Any = program.terms[0].map
    K = getattr(K, "K", K)  # of readings, that of the values
    return getattr(K, "one", K).X


def bytes_needed(program: Program, itemsize: int = 8) -> int:
    """About what the iteration holds: seven vectors of each term's size, and X twice."""
    X = samples(program)
    images = sum(t.map.shape[0] for t in program.terms)
    return itemsize * (7 * images + 10 * program.n_variables + 2 * X.size + 3 * X.shape[1] ** 2)


@dataclass
class Evaluation:
    """What an iterate is worth: the objective and violation of the program at x, and a valid bound."""

    x: Vector
    duals: dict[str, Vector]
    objective: float
    violation: float
    bound: float

    @property
    def gap(self) -> float:
        return relative_gap(self.objective, self.bound)


class FirstOrder:
    """One solve."""

    def __init__(self, program: Program, options: Options, arrays: Arrays, steps: int | None) -> None:
        self.program, self.options, self.arrays = program, options, arrays
        images, first = images_of(program), program.ranks.rank == 0
        height = program.ranks.sum(float(sum(t.map.shape[0] for t in program.terms if t.on_rows or first)))
        dense = images.size <= DENSE and images.size * height <= ENTRIES
        inverse = (DenseInverse if dense else PencilInverse)(images, arrays)
        self.system = NormalSystem(converted(images, arrays), inverse, steps or (1 if dense else STEPS))
        start = options.warm_start if options.warm_start is not None else np.zeros(program.n_variables)
        functions = [converted(t.function, arrays) for t in program.terms]
        self.splitting = Splitting(functions, self.system, self._weights(images), arrays.give(start))
        self.penalty = [t.name for t in program.terms].index("penalty")
        folder = options.extra.get("checkpoint")
        self.checkpoint = None if folder is None else Checkpoint(folder, program, options.part)
        self.k, self.resumed, self.repaired_at, self.balanced = 0, 0, 0, float(FIRST)
        self.asked, self.asked_at, self.ask = 0, time.perf_counter(), 1
        self.seconds = 0.0  # that the last look took

    def _weights(self, images: Images | SeparateImages) -> list[float]:
        """The loss's from its curvature between zero and its minimum, the others in proportion."""
        function: Any = self.program.term("loss").function
        clean: Any = getattr(function, "clean", function)
        f0 = self.program.objective(np.zeros(self.program.n_variables))
        spread = float((clean.tau**2).sum()) if isinstance(clean, SampleLoss) else 0.0
        spread = self.program.ranks.sum(spread) or self.program.ranks.sum(float(self.program.term("loss").map.shape[0]))
        loss = LOSS * 2 * f0 / spread
        curvature = images.curvature()
        share = {t.name: pencil.mean(curvature) for t, pencil in zip(self.program.terms, images.pencils(), strict=True)}
        level = loss * share["loss"]
        out = []
        for term in self.program.terms:
            cones = CONES if isinstance(term.function, Nonnegative) else ROBUST
            part = {"loss": 1.0, "penalty": PENALTY}.get(term.name, cones)
            out.append(part * level / share[term.name] if share[term.name] > 0 and level > 0 else 1.0)
        return out

    def run(self, limit: int) -> RawSolution:
        """Iterate until the gap is reached, or there is reason to stop."""
        try:
            return self._run(limit)
        except RankError as error:
            kept = "no checkpoint= was asked for" if self.checkpoint is None else str(self.checkpoint)
            raise RankError(f"{error} It was after iteration {self.k}; {kept}.") from error

    def _run(self, limit: int) -> RawSolution:
        options = self.options
        look = self._kept()
        if look is None and options.warm_start is None and (zero := self.zero()) is not None:
            return RawSolution("solved", zero.x, zero.duals, zero.objective, 0, "zero is optimal: its dual proves it")
        look = look or self.look()
        done, reason = self.resumed > 0 and self._solved(look), None
        while not done and self.k < limit:
            self.k += 1
            self.splitting.step()
            look_now = self.k in LOOKS or self.k % EVERY == 0 or self.k == limit
            if looked := look_now or (self.k >= self.ask and self._reason() is not None):
                if self.arrays.dtype != "float64":
                    self.splitting.refresh()
                look, before = self.look(), look
                if look.bound < before.bound:  # the best proof so far is kept
                    look.bound, look.duals = before.bound, before.duals
                if not math.isfinite(look.objective):
                    look = before
                    break
                done = self._solved(look)
                options.report(self.k, look.objective, look.bound, gap=look.gap, violation=look.violation)
                reason = self._reason()  # that of all ranks, and no look at the own clock until the next
            if self.k >= self.balanced:
                self.balanced = AGAIN * self.k
                self.splitting.balance(self.penalty)
            if looked and self.checkpoint is not None:
                self._keep(look, done or reason is not None or self.k == limit)
            if looked and reason is not None:
                break
        status = "solved" if done else reason or ("iteration limit" if self.k >= limit else "inaccurate")
        return RawSolution(status, look.x, look.duals, look.objective, self.k, self.message(done))

    def _reason(self) -> str | None:
        """Why to stop now, if some rank has a reason. Time is left for a last look, and as much for who repairs and proves the point."""
        left = self.options.remaining()
        own = self.options.stopped or ("time limit" if left is not None and left <= 2 * self.seconds else None)
        if self.program.ranks.size == 1:
            return own
        now = time.perf_counter()
        reason, seconds = self.program.ranks.largest(np.array([REASONS.index(own), now - self.asked_at]))
        self.ask = self.k + max(int(ASK * (self.k - self.asked) / max(seconds, 1e-9)), 1)
        self.asked, self.asked_at = self.k, now
        return REASONS[int(reason)]

    def _keep(self, look: Evaluation, now: bool) -> None:
        """Write what it takes to go on after this iteration."""
        assert self.checkpoint is not None
        splitting, take = self.splitting, self.arrays.take
        arrays: dict[str, Any] = {f"state{j}": take(s) for j, s in enumerate(splitting.states)}
        arrays |= {f"copy{j}": take(p) for j, p in enumerate(splitting.copies)}
        arrays |= {f"dual {name}": q for name, q in look.duals.items()}
        best = [look.objective, look.violation, look.bound]
        arrays |= {"x": take(splitting.x), "weights": splitting.weights, "best": look.x, "measured": best}
        self.checkpoint.write(self.k, {**arrays, "counts": [self.k, self.repaired_at, self.balanced]}, now)

    def _kept(self) -> Evaluation | None:
        """Go on from a checkpoint, if there is one; what its iterate was worth."""
        kept = None if self.checkpoint is None else self.checkpoint.read()
        if kept is None:
            return None
        give, terms = self.arrays.give, self.program.terms
        states, copies = ([give(kept[f"{name}{j}"]) for j in range(len(terms))] for name in ("state", "copy"))
        self.splitting.resume(give(kept["x"]), states, copies, kept["weights"].tolist())
        k, repaired_at, self.balanced = kept["counts"].tolist()
        self.k, self.resumed, self.repaired_at = int(k), int(k), int(repaired_at)
        return Evaluation(kept["best"], {t.name: kept[f"dual {t.name}"] for t in terms}, *kept["measured"].tolist())

    def zero(self) -> Evaluation | None:
        """The zero point, if the loss gradient there proves it optimal: as it is or, where that does not take long, with the best
        multipliers of the cones."""
        program, tol = self.program, self.options.tol
        x = np.zeros(program.n_variables)
        work = program.n_constraints * samples(program).shape[1]
        for wanted in (math.inf, tol) if work <= QUICK else (math.inf,):
            proof = certify(program, x, None, wanted)
            look = Evaluation(x, proof.multipliers, program.objective(x), 0.0, proof.bound)
            if look.gap <= tol:
                return look
        return None

    def look(self) -> Evaluation:
        """Measure the present iterate, in float64."""
        program, splitting, left = self.program, self.splitting, self.options.remaining()
        x = self.arrays.take(splitting.copies[self.penalty])
        x = program.ranks.same(np.concatenate([x, self.arrays.take(splitting.x)[len(x) :]]))
        multipliers = self.system.images.multipliers(splitting.multipliers())
        duals = {t.name: self.arrays.take(q) for t, q in zip(program.terms, multipliers, strict=True)}
        proof = certify(program, x, duals, tol=math.inf)
        looked = Evaluation(x, proof.multipliers, program.objective(x), program.violation(x), proof.bound)
        self.seconds = 0.0 if left is None else left - (self.options.remaining() or 0.0)
        return looked

    def _solved(self, look: Evaluation) -> bool:
        """Whether the gap holds at a feasible point; that point then takes the place of x. Tried when the iterate itself is near."""
        tol, k = self.options.tol, self.k
        if abs(look.gap) > tol or (self.repaired_at and self.resumed < k < 1.25 * self.repaired_at):
            return False
        self.repaired_at = k
        x = self.program.inverse.repair(self.program, look.x)
        objective = self.program.objective(x)
        if relative_gap(objective, look.bound) > tol:
            return False
        look.x, look.objective, look.violation = x, objective, self.program.violation(x)
        return True

    def message(self, done: bool) -> str:
        how = "factorised normal matrix" if self.system.inverse.exact else f"conjugate gradients, {self.system.steps} an iteration"
        lost = "; float32 lost the accuracy that was asked for, use float64" if self.arrays.dtype != "float64" and not done else ""
        again = f", resumed at iteration {self.resumed}" if self.resumed else ""
        on = f", {self.program.ranks.size} ranks" if self.program.ranks.size > 1 else ""
        return f"ADMM ({how}){again}{on}{lost}"


def whole(value: Any, name: str, low: int) -> int:
    """An option that is a whole number, or an error that says so."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
        raise BackendError(f"{name} must be a whole number, at least {low}; got {value!r}.")
    return int(value)


def precision(options: Options, usual: str = "float64") -> str:
    """The option "dtype", or an error that says what it may be."""
    dtype = options.extra.get("dtype", usual)
    if dtype not in PRECISIONS:
        raise BackendError(f"dtype must be one of {', '.join(PRECISIONS)}; got {dtype!r}.")
    return dtype


def solve(program: Program, options: Options, arrays: Arrays) -> RawSolution:
    """ADMM on a program, in these arrays. Ctrl-C, the clock and the callback stop it; what it has is returned."""
    steps = options.extra.get("cg_steps")
    steps = None if steps is None else whole(steps, "cg_steps", low=1)
    limit = whole(options.extra.get("max_iter", ITERATIONS), "max_iter", low=0)
    with options.catching_interrupt(), np.errstate(all="ignore"):
        return FirstOrder(program, options, arrays, steps).run(limit)
