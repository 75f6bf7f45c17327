"""The declared training problem: network, loss, penalty. Data enters at `compile`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .declared import Declared
from .errors import InputError, InputTypeError
from .losses import Loss
from .networks import TwoLayer
from .penalties import Penalty
from .perturbations import Perturbation

if TYPE_CHECKING:
    from .program.program import Program


@dataclass(frozen=True)
class Model(Declared):
    """minimise over networks f:  loss(f(X), y) + penalty(f),  the loss in the worst case over the perturbation set, if any.

    robust : which convex program stands for the worst case: "strict" (no sample crosses a neuron's hyperplane; Bai et al. 2023)
        or "crossing" (samples may cross, the value is a certified bound); ignored without a perturbation.

    Immutable, comparable, printable; `to_dict` and `Model.from_dict` are a JSON round trip.
    """

    network: TwoLayer
    loss: Loss
    penalty: Penalty
    perturbation: Perturbation | None = None
    robust: str = "strict"

    def __post_init__(self) -> None:
        _instance(self.network, TwoLayer, "network", "rm.TwoLayer(rm.ReLU(), bias=True)")
        _instance(self.loss, Loss, "loss", "rm.Hinge() or rm.Squared()")
        _instance(self.penalty, Penalty, "penalty", "rm.WeightDecay(1e-3) or rm.PathNorm(1e-3)")
        if self.perturbation is not None:
            _instance(self.perturbation, Perturbation, "perturbation", "rm.LInf(0.05), rm.L2(0.1), rm.L1(0.1) or None")
        if self.robust not in ("strict", "crossing"):
            raise InputError(f"robust must be 'strict' or 'crossing'; got {self.robust!r}.")

    def compile(self, X: Any, y: Any, patterns: Any = None) -> Program:
        """The convex program of this model on data.

        X : (n, d) numbers, arrays or frames.  y : (n,) targets, -1/+1 for classification losses.
        patterns : where activation patterns come from, e.g. `rm.SamplePatterns(50, seed=0)` or `rm.EnumeratePatterns()`.
        Raises `InputError` / `InputTypeError` before any work when something is off.
        Source: Pilanci & Ergen 2020; Bai et al. 2022/2023, eq. 2.2.
        """
        from .data import read
        from .lowering import lower

        return lower(self.network, self, read(X, y, self.loss), patterns)

    def __str__(self) -> str:
        """The training problem in readable mathematics."""
        activation, loss = self.network.activation, self.loss
        point = "x_k" if self.perturbation is None else "x_k + delta_k"
        argument = f"y_k f({point})" if loss.reads == "margin" else f"f({point}) - y_k"
        average = "1/n sum_k" if loss.reduction == "mean" else "sum_k"
        worst = ""
        if self.perturbation is not None:
            worst = f" max over {self.perturbation} of"
        x = "[x, 1]" if self.network.bias else "x"
        beta = f"{self.penalty.beta:g}"
        return (
            f"minimise  {average}{worst} {loss.formula.format(s=argument)}  +  {self.penalty.formula.format(beta=beta)}\n"
            f"over neurons (u_j, a_j),  f(x) = sum_j {activation.formula.format(x=x, t=f'{x}.u_j')} a_j"
            + _parameters(activation, loss)
        )


def _parameters(*declared: Declared) -> str:
    """What the formulas name but do not show: the slope of the activation, the delta of the loss."""
    shown = [f"{key} = {value:g}" for item in declared for key, value in item.to_dict().items() if key not in ("type", "reduction")]
    return ",  " + ", ".join(shown) if shown else ""


def _instance(value: Any, kind: type, name: str, example: str) -> None:
    if not isinstance(value, kind):
        given = f"the class {value.__name__} (add parentheses)" if isinstance(value, type) else repr(value)
        raise InputTypeError(f"{name} must be a {kind.__name__}, for example {example}; got {given}.")
