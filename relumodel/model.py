"""The declared training problem: network, loss, penalty. Data enters at `compile`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .declared import Declared
from .errors import InputError, InputTypeError
from .faces.one_sided import refuse_two_sided
from .losses import Loss
from .networks import DeclaredNetwork
from .penalties import Penalty
from .perturbations import Perturbation
from .program.ranks import ALONE

if TYPE_CHECKING:
    from .adaptive.result import Fit
    from .batches.program import BatchProgram
    from .program.program import Program


@dataclass(frozen=True)
class Model(Declared):
    """minimise over networks f:  loss(f(X), y) + penalty(f),  the loss in the worst case over the perturbation set, if any.

    robust : which convex program stands for the worst case: "strict" (no sample crosses a neuron's hyperplane; Bai et al. 2023)
        or "crossing" (samples may cross, the value is a certified bound); ignored without a perturbation.

    Immutable, comparable, printable; `to_dict` and `Model.from_dict` are a JSON round trip.
    """

    network: DeclaredNetwork
    loss: Loss
    penalty: Penalty
    perturbation: Perturbation | None = None
    robust: str = "strict"

    def __post_init__(self) -> None:
        _instance(self.network, DeclaredNetwork, "network", "rm.TwoLayer(rm.ReLU(), bias=True)")
        _instance(self.loss, Loss, "loss", "rm.Hinge() or rm.Squared()")
        _instance(self.penalty, Penalty, "penalty", "rm.WeightDecay(1e-3) or rm.PathNorm(1e-3)")
        if self.perturbation is not None:
            _instance(self.perturbation, Perturbation, "perturbation", "rm.LInf(0.05), rm.L2(0.1), rm.L1(0.1) or None")
        self.network.refuse(self.penalty, self.perturbation)
        if self.perturbation is not None:
            refuse_two_sided(self.loss)
        if self.loss.reads == "classes" and self.perturbation is not None:
            raise InputError(
                f"{type(self.loss).__name__} is trained without a perturbation; got {self.perturbation!r}. Train without one, and see what the "
                "network keeps with network.certified(X, y, perturbation)."
            )
        if self.robust not in ("strict", "crossing"):
            raise InputError(f"robust must be 'strict' or 'crossing'; got {self.robust!r}.")

    def compile(self, X: Any, y: Any, patterns: Any = None, sample_weight: Any = None, group: Any = ALONE) -> Program:
        """The convex program of this model on data.

        X : (n, d) numbers, arrays or frames.
        y : (n,) targets: numbers, -1/+1 for losses of margins, whole numbers for losses of classes; or (n, c) for a network with c outputs,
            whose losses add up.
        patterns : where activation patterns come from, e.g. `rm.SamplePatterns(50, seed=0)` or `rm.EnumeratePatterns()`.
        sample_weight : (n,) numbers >= 0. Whole weights count a sample so many times: a "mean" is the weighted one, a "sum" the
            weighted sum. Samples of weight 0 are left out: the program has no rows for them.
        group : a torch.distributed process group, e.g. `dist.group.WORLD`, where every process of it runs this on rows of its own: X, y and
            sample_weight are the rows here, the program is about all, and its methods are called on all ranks (docs/many_machines.md).
        Raises `InputError` / `InputTypeError` before any work when something is off.
        Source: Pilanci & Ergen 2020; Bai et al. 2022/2023, eq. 2.2.
        """
        from .data import read
        from .lowering import lower
        from .lowering.shards import lower_shards

        if group is not ALONE:
            return lower_shards(self, X, y, patterns, sample_weight, group)
        return lower(self.network, self, read(X, y, self.loss, sample_weight), patterns)

    def compile_batches(self, data: Any, patterns: Any = None, batch_size: int = 1024) -> BatchProgram:
        """The convex program of this model on data beyond memory, read a batch at a time and never whole.

        data : a pair (X, y) or triple (X, y, sample_weight) of arrays that can be sliced, `numpy.memmap` for example; a torch DataLoader or
            another iterable of batches that can be gone through again; or a callable that returns a new iterator over them. Batches are
            (X, y) or (X, y, sample_weight). X : (n, d), or (n, ...), whose other axes are made one in C order. Every pass must give the
            same samples, in any order.
        patterns : where directions come from, e.g. `rm.SamplePatterns(50, seed=0)`: they are chosen on the first batches, and their
            patterns [X g >= 0] on all of the data are used.
        batch_size : samples of a batch where data are arrays; iterables have batches of their own.
        Goes through the data once, to check and to count. Raises `InputError` / `InputTypeError`, naming the batch, when something is off.
        """
        from .batches.program import compile_batches

        return compile_batches(self, data, patterns, batch_size)

    def fit(
        self,
        X: Any,
        y: Any,
        patterns: Any = None,
        backend: Any = "auto",
        tol: float | None = None,
        time_limit: float | None = None,
        verbose: bool = False,
        callback: Any = None,
        sample_weight: Any = None,
        **options: Any,
    ) -> Fit:
        """Train on data: a network, and a bound on the objective of every other one.

        X, y, sample_weight : as for `compile`.
        patterns : `rm.AdaptivePatterns(gap=1e-3, seed=0)` unless given; any other source is compiled and solved once.
        backend, options : for the convex programs, as in `Program.solve`.
        tol : the relative gap of these programs; a twentieth of the gap wanted, at most 1e-5, unless given (1e-6 for others).
        time_limit : seconds for all of it; the best network so far is returned, as after Ctrl-C.
        verbose : a line on stderr every round.  callback : called with each `Round` (for other patterns with the solver's
            `Progress`); returning True stops.
        """
        from .adaptive.fit import fit
        from .patterns.adaptive import AdaptivePatterns

        patterns = AdaptivePatterns() if patterns is None else patterns
        return fit(self, X, y, sample_weight, patterns, backend, tol, time_limit, verbose, callback, options)

    def __str__(self) -> str:
        """The training problem in readable mathematics."""
        loss = self.loss
        point = "x_k" if self.perturbation is None else "x_k + delta_k"
        argument = {"margin": f"y_k f({point})", "residual": f"f({point}) - y_k", "classes": point}[loss.reads]
        average = "1/n sum_k" if loss.reduction == "mean" else "sum_k"
        worst = ""
        if self.perturbation is not None:
            worst = f" max over {self.perturbation} of"
        penalty = self.network.penalty_formula(self.penalty).format(beta=f"{self.penalty.beta:g}")
        shown = f"minimise  {average}{worst} {loss.formula.format(s=argument)}  +  {penalty}\n{self.network.formula}" + _parameters(
            getattr(self.network, "activation", None), loss
        )
        if loss.reads != "classes":
            return shown
        last = "w3_g" if self.network.layers == 3 else "a_i" if "a_i" in penalty else "a_j"
        return shown + f",\none output a class:  {last} has one entry for each and counts by their sum of absolute values"


def _parameters(*declared: Declared | None) -> str:
    """What the formulas name but do not show: the slope of the activation, the delta of the loss."""
    shown = [
        f"{key} = {value:g}"
        for item in declared
        if item
        for key, value in item.to_dict().items()
        if key not in ("type", "reduction")
    ]
    return ",  " + ", ".join(shown) if shown else ""


def _instance(value: Any, kind: type, name: str, example: str) -> None:
    if not isinstance(value, kind):
        given = f"the class {value.__name__} (add parentheses)" if isinstance(value, type) else repr(value)
        raise InputTypeError(f"{name} must be a {kind.__name__}, for example {example}; got {given}.")
