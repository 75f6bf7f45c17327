"""The declared training problem: network, loss, penalty. What is done with it and data is in relumodel.api."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

from ..declared import Declared
from ..errors import InputError, InputTypeError
from ..faces.declared import refuse_disagreement
from ..functions.losses import Loss
from ..functions.one_sided import refuse_two_sided
from ..functions.penalties import Penalty
from .networks import DeclaredNetwork
from .perturbations import Perturbation


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
        refuse_disagreement(self.loss, self.penalty)
        if self.perturbation is not None:
            refuse_two_sided(self.loss)
        if self.loss.reads == "classes" and self.perturbation is not None:
            raise InputError(
                f"{type(self.loss).__name__} is trained without a perturbation; got {self.perturbation!r}. Train without one, and see what the "
                "network keeps with network.certified(X, y, perturbation)."
            )
        if self.robust not in ("strict", "crossing"):
            raise InputError(f"robust must be 'strict' or 'crossing'; got {self.robust!r}.")

    def with_penalty(self, beta: float) -> Self:
        """This model with another penalty strength."""
        return dataclasses.replace(self, penalty=dataclasses.replace(self.penalty, beta=beta))

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
