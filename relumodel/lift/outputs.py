"""Networks with several outputs: the program of one output, once for each, under one loss.

    f_r(x) = sum_j sigma(x.u_j) a_jr,   penalty  beta/2 sum_j ( |u_j|_2^2 + |a_j|_1^2 )

At its cheapest scaling a neuron costs beta |u_j|_2 |a_j|_1 = beta sum_r |u_j|_2 |a_jr|, the cost of one neuron an output; so the outputs
have blocks of their own, and what is exact for one output is exact for all. With |a_j|_2, plain weight decay, a neuron that several
outputs share costs less: for that penalty the optimum is an upper bound. All that holds for the penalty of every kind of network.

A loss that is a sum over outputs (all but those of classes) leaves one problem an output: `Program.parts`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..data import Data, bound
from ..errors import InputError
from ..functions.losses import Squared
from ..functions.penalties import WeightDecay
from ..maps.base import Kron
from ..program.program import Guarantee, Inverse, Program, Term, Variable

if TYPE_CHECKING:
    from ..declare.model import Model

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OutputsInverse:
    """The way back from the variables of one output after those of another. one : that of a single output.
    classes : (c,) the labels, one an output; None for losses that are not of classes."""

    one: Inverse
    model: Model
    outputs: int
    classes: Matrix | None

    @property
    def X(self) -> Matrix:
        """(n, d) with the bias column, if any."""
        return self.one.X

    @property
    def constraints(self) -> frozenset[str]:
        """Those of every output."""
        return self.one.constraints

    @property
    def by_hand(self) -> str:
        """How to do it without relumodel."""
        return f"the variables of output r are those whose names end in _r, and make a network of their own: {self.one.by_hand}"

    @property
    def patterns(self) -> NDArray[np.bool_] | None:
        return self.one.patterns

    def repair(self, program: Program, x: Matrix, room: float = 0.0) -> Matrix:
        """Blocks are repaired one by one, whatever output they belong to."""
        return self.one.repair(program, x, room)

    def network(self, x: Matrix) -> Any:
        """The networks of all outputs as one, none of whose neurons serves two outputs."""
        networks = [self.one.network(part) for part in np.split(x, self.outputs)]
        kind = type(networks[0])
        return kind.side_by_side(networks, self.model.loss.reads != "residual", self.classes)

    def reweighted(self, model: Model) -> OutputsInverse:
        return dataclasses.replace(self, one=self.one.reweighted(model), model=model)

    def describe(self) -> list[tuple[str, str]]:
        shown = f"{self.outputs}, with weights of their own"
        if self.classes is not None:
            shown = f"{self.outputs}, one a class: {', '.join(f'{c:g}' for c in self.classes[:10])}{', ...' * (self.outputs > 10)}"
        return [*self.one.describe(), ("outputs", shown)]


def with_outputs(model: Model, data: Data, one_output: Callable[[Model, Data], Program]) -> Program:
    """The program for all outputs of the data. one_output : makes that of a model with one output."""
    c = data.outputs
    if model.network.outputs not in (None, c):
        raise InputError(f"The network was declared with {model.network.outputs} outputs; the targets ask for {c}.")
    if data.classes is None and c == 1:
        return one_output(model, data)
    refuse_perturbed(model, data)
    # maps, cones and penalty are those of one output; targets of zero stand for the loss, which is bound to all outputs below
    blank = Data(data.X, np.zeros(len(data.X)), data.names, data.weights, total=data.total)
    one = one_output(dataclasses.replace(model, loss=Squared(reduction=model.loss.reduction)), blank)
    terms = tuple(Term(t.name, bound(model.loss, data) if t.name == "loss" else t.function, Kron(t.map, c)) for t in one.terms)
    variables = tuple(Variable(f"{v.name}_{r}", v.shape, r * one.n_variables + v.start) for r in range(c) for v in one.variables)
    inverse = OutputsInverse(one.inverse, model, c, data.classes)
    return Program(model, variables, terms, _guarantee(one, model, c), inverse)


def refuse_perturbed(model: Model, data: Data) -> None:
    """An error for several outputs with a perturbation."""
    if model.perturbation is not None and data.outputs > 1:
        raise InputError(
            f"Training for the worst case over {model.perturbation} is for one output; the targets have {data.outputs}. Train one model an "
            "output, or leave the perturbation out and see what the network keeps with network.certified(X, y, perturbation)."
        )


def _guarantee(one: Program, model: Model, c: int) -> Guarantee:
    """That of one output, and the penalty that it holds for."""
    decays = (model.penalty.formula, model.penalty.formula_three_layer)
    if not isinstance(model.penalty, WeightDecay) or model.network.penalty_formula(model.penalty) not in decays:
        return one.guarantee  # the penalty is a 1-norm of the output weights for one output already
    kind, penalty = one.guarantee.kind, "|w2_g|_2^2 + |w3_g|_1^2" if model.network.layers == 3 else "|u_j|_2^2 + |a_j|_1^2"
    holds = "it is exact" if kind == "exact" else "that holds"
    statement = (
        f"{one.guarantee.statement}; {holds} for the penalty ({penalty})/2 on {c} outputs, and bounds plain weight decay, with the 2-norm "
        "in place of the 1-norm, from above"
    )
    return Guarantee(kind, statement, one.guarantee.source)
