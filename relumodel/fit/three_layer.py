"""Training parallel three-layer networks: descend on the sub-networks, polish convexly on their patterns, and again.

In terms of the blocks b_gj = |w2_gj w3_g| W1_gj, with the signs I_gj of w2 and s_g of w3, a network is

    f(x) = sum_g s_g ( sum_j I_gj (x.b_gj)_+ )_+      at the cost   beta sum_gj |b_gj|,

what the penalty is at the cheapest scaling (Ergen & Pilanci 2021, Proposition 1). The norms are the least squares of smooth factors, as
for two layers (descend.py). The convex program on the patterns of a network is never worse than it (Theorem 1). Nothing prices
sub-networks, so the bound on other networks is 0.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..certify.bound import relative_gap
from ..data import Data
from ..declare.networks import ParallelThreeLayer
from ..errors import InputError
from ..lift.lower import lower
from ..lift.three_layer import network_of_blocks
from ..patterns.adaptive import AdaptivePatterns
from ..patterns.of_network import PatternsOf
from ..resources.deadline import current, limited
from ..resources.phases import report
from ..solve.solution import Solution
from ..solve.solve import solve
from ..trained.three_layer import ThreeLayerNetwork
from .descend import NOISE, ROUNDED
from .loop import DESCENT
from .result import Fit, Round
from .training import Training

if TYPE_CHECKING:
    from ..declare.model import Model
    from .settings import FitSettings

Matrix = NDArray[np.float64]

#: Random starts of the first descent and iterations of each; iterations of the later ones, from the polished network.
STARTS, FIRST, LATER = 10, 1500, 1000

#: At least so many sub-networks descend; of those that enter later, a quarter as many.
LEAST = 20

#: New sub-networks begin at this share of the size of the median one.
SMALL = 0.1


@dataclass(frozen=True, eq=False)
class SubBlocks:
    """blocks : (G, m, d).  inner : (G, m), the signs of the second layer.  outer : (G,) those of the third, or (G, c), see `Neurons`."""

    blocks: Matrix
    inner: Matrix
    outer: Matrix

    def joined(self, other: SubBlocks) -> SubBlocks:
        """These and others."""
        pairs = ((self.blocks, other.blocks), (self.inner, other.inner), (self.outer, other.outer))
        return SubBlocks(*(np.concatenate(pair) for pair in pairs))


@dataclass
class ThreeLayerLoop:
    """One run: the best network, with the solution it came from."""

    model: Model
    data: Data
    strategy: AdaptivePatterns
    asked: FitSettings

    def __post_init__(self) -> None:
        network = self.model.network
        assert isinstance(network, ParallelThreeLayer)
        self.training, self.width = Training.of(self.model, self.data), network.width
        self.rng = np.random.default_rng(self.strategy.seed)
        self.count = max(LEAST, self.strategy.width // self.width)
        self.best: SubBlocks | None = None
        self.solution: Solution | None = None
        self.history: list[Round] = []

    def run(self, start: SubBlocks | None) -> str:
        """From a network, or from random ones; the status at the end."""
        with limited(DESCENT * current().remaining()):
            for k in range(STARTS if start is None else 1):
                raw = self._random(self.count, k) if start is None else start
                self.best = raw if self.best is None else self.best
                self.best = min(self.best, self._descended(raw, FIRST), key=self.objective)
                if current().expired():
                    break
        return self._rounds()

    def _rounds(self) -> str:
        """Polish and descend until that gains too little."""
        assert self.best is not None
        for k in range(1, self.strategy.rounds + 1):
            before = np.inf if self.solution is None else self.objective(self.best)
            self._polish()
            value = self.objective(self.best)
            self.history.append(self._round(k, value))
            stopped = self.solution is not None and self.solution.status == "interrupted"
            if self.asked.watch(self.history[-1]) or stopped or current().interrupted:
                return "interrupted"
            if (reason := current().stopped) is not None:
                return reason
            if before - value <= self.strategy.gap * abs(value):
                break
            grown = self._descended(self.best.joined(self._entering()), LATER)
            self.best = min(self.best, grown, key=self.objective)
        return "gap not reached"

    def objective(self, sub: SubBlocks) -> float:
        """Loss plus beta times the norms of the blocks."""
        d = sub.blocks.shape[2]
        outputs = self._forward(sub.blocks, sub.inner, sub.outer)[-1]
        norms = self.training.penalty.norms(sub.blocks.reshape(-1, d))
        return float(self.training.loss.value(outputs)) + self.training.penalty.beta * float(norms.sum())

    def _forward(self, blocks: Matrix, inner: Matrix, outer: Matrix) -> tuple[Matrix, Matrix, Matrix]:
        """Hidden values (G, m, n), those of the second layer (G, n), and what the loss reads."""
        S = blocks @ self.training.X.T
        second = np.einsum("gj,gjn->gn", inner, np.maximum(S, 0.0))
        return S, second, (outer.T @ np.maximum(second, 0.0)).reshape(-1)

    def _random(self, count: int, k: int = 0) -> SubBlocks:
        """Gaussian sub-networks with signs of both kinds, at the scale of a few that suits the data best; k makes starts differ."""
        G, m, X = count, self.width, self.training.X
        blocks = self.rng.standard_normal((G, m, X.shape[1]))
        inner = np.where(self.rng.random((G, m)) < 0.7, 1.0, -1.0)
        order = np.arange(G) + k
        outer = self.training.serving(order // 2 % self.training.outputs, np.where(order % 2 == 0, 1.0, -1.0))
        typical = float(np.sqrt(np.mean((blocks @ X.T) ** 2)) * m) or 1.0
        candidates = [SubBlocks(blocks * (scale / typical), inner, outer) for scale in (1.0, 0.3, 0.1, 0.03)]
        return min(candidates, key=self.objective)

    def _entering(self) -> SubBlocks:
        """Small random sub-networks."""
        assert self.best is not None
        new = self._random(max(2, self.count // 4), int(self.rng.integers(2)))
        sizes = np.linalg.norm(self.best.blocks, axis=2).sum(axis=1)
        wanted = SMALL * float(np.median(sizes)) if len(sizes) else 1e-3
        own = np.linalg.norm(new.blocks, axis=2).sum(axis=1)
        return SubBlocks(new.blocks * (wanted / own)[:, None, None], new.inner, new.outer)

    def _descended(self, start: SubBlocks, iterations: int) -> SubBlocks:
        """The end of an L-BFGS descent, never worse than its start; sub-networks that vanished are left out."""
        from scipy.optimize import minimize  # here, because importing relumodel should not wait for it

        if not len(start.outer):
            return start
        training, penalty = self.training, self.training.penalty
        shape, blocks = start.blocks.shape, start.blocks
        X = training.X

        def at(point: Matrix, width: float) -> tuple[float, Matrix]:
            z = point.reshape(shape[0] * shape[1], -1)
            S, second, outputs = self._forward(penalty.fold(z).reshape(shape), start.inner, start.outer)
            value, slopes = training.loss.rounded(outputs, width)
            outer = start.outer if start.outer.ndim == 2 else start.outer[:, None]
            on_second = (second > 0) * (outer @ slopes.reshape(outer.shape[1], -1))
            on_hidden = (S > 0) * start.inner[:, :, None] * on_second[:, None, :]
            gradient = penalty.pull(z, (on_hidden @ X).reshape(len(z), -1)) + penalty.beta * z
            return float(value) + 0.5 * penalty.beta * float(point @ point), gradient.ravel()

        iteration = 0

        def watch(intermediate_result: Any) -> None:
            nonlocal iteration
            iteration += 1
            report("descent", iteration, float(intermediate_result.fun))
            if current().expired():
                raise StopIteration

        for width in ROUNDED if training.loss.has_kink else (0.0,):
            z = penalty.unfold(blocks.reshape(-1, shape[2]))
            z += NOISE * np.sqrt(np.mean(z * z)) * self.rng.standard_normal(z.shape)
            settings = {"maxiter": iterations, "maxfun": 2 * iterations, "maxcor": 20, "ftol": 1e-12, "gtol": 1e-9}
            found = minimize(at, z.ravel(), (width,), jac=True, method="L-BFGS-B", callback=watch, options=settings)
            blocks = penalty.fold(found.x.reshape(z.shape)).reshape(shape)
        sizes = np.linalg.norm(blocks, axis=(1, 2))
        used = sizes > 1e-9 * sizes.max(initial=0.0)
        return min(SubBlocks(blocks[used], start.inner[used], start.outer[used]), start, key=self.objective)

    def _polish(self) -> None:
        """Solve on the patterns of the best sub-networks, the largest ones if there are too many; keep what is better."""
        assert self.best is not None
        sizes = np.linalg.norm(self.best.blocks, axis=(1, 2))
        kept = np.argsort(-sizes, kind="stable")[: max(1, self.strategy.max_patterns // self.width)]
        some = SubBlocks(self.best.blocks[kept], self.best.inner[kept], self.best.outer[kept])
        try:
            program = lower(self.model.network, self.model, self.data, PatternsOf(self.network(some)))
        except InputError:  # every sub-network is 0 on every sample
            program = lower(self.model.network, self.model, self.data, PatternsOf(self.network(self._random(self.count))))
        solution = solve(program, **self.asked.options)
        found = blocks_of(solution.network(), self.training)
        if self.solution is None or solution.objective <= self.solution.objective:
            self.solution = solution
        self.best = min(self.best, found, key=self.objective)

    def network(self, sub: SubBlocks) -> ThreeLayerNetwork:
        """The network of blocks."""
        return network_of_blocks(self.model, sub.blocks, sub.inner, sub.outer, self.data.names, self.data.classes)

    def _round(self, number: int, value: float) -> Round:
        assert self.solution is not None
        assert self.best is not None
        return Round(
            iteration=number,
            objective=value,
            bound=0.0,
            gap=relative_gap(value, 0.0),
            patterns=self.solution.program.inverse.found.D.shape[1] if hasattr(self.solution.program.inverse, "found") else 0,
            neurons=int(self.best.blocks.any(axis=2).sum()),
            price=float("nan"),
            elapsed=time.perf_counter() - self.asked.started,
        )


def blocks_of(network: ThreeLayerNetwork, training: Training) -> SubBlocks:
    """The blocks and signs of a network; a sub-network that serves several outputs counts once for each."""
    w3 = network.output_weights if network.output_weights.ndim == 2 else network.output_weights[:, None]
    g, r = np.nonzero(w3)
    sizes = np.abs(w3[g, r])
    blocks = network.hidden_weights[g].transpose(0, 2, 1) * (np.abs(network.second_weights[g]) * sizes[:, None])[:, :, None]
    inner = np.where(network.second_weights[g] >= 0, 1.0, -1.0)
    return SubBlocks(blocks, inner, training.serving(r, np.sign(w3[g, r])))


def fit_three_layer(
    model: Model, data: Data, strategy: AdaptivePatterns, asked: FitSettings, start: ThreeLayerNetwork | None
) -> Fit:
    """See `Model.fit`. start : a network to begin with."""
    loop = ThreeLayerLoop(model, data, strategy, asked)
    status = loop.run(None if start is None else blocks_of(start, loop.training))
    assert loop.best is not None
    assert loop.solution is not None
    network: Any = loop.network(loop.best)
    objective = network.objective(model, data.X, data.y, data.weights)
    if loop.solution.objective <= objective:
        network, objective = loop.solution.network(), loop.solution.objective
    gap = relative_gap(objective, 0.0)
    return Fit(
        network=network,
        objective=objective,
        bound=0.0,
        bound_kind="none",
        gap=gap,
        status="optimal" if gap <= strategy.gap else status,
        program=loop.solution.program,
        solution=loop.solution,
        starts=0,
        price=float("nan"),
        history=loop.history,
        time=time.perf_counter() - asked.started,
    )
