"""The networks a user declares; nothing here knows data or solvers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..declared import Declared, number, whole
from ..errors import InputError, InputTypeError

if TYPE_CHECKING:
    from ..functions.penalties import Penalty
    from .perturbations import Perturbation


@dataclass(frozen=True)
class Activation(Declared, abstract=True):
    """Base of the activations. All but `Polynomial` are linear on each side of zero: 1 where active, `inactive` elsewhere."""

    #: sigma(t) in readable mathematics, with {t} for its argument and {x} for the sample
    formula: ClassVar[str]
    #: True where the neuron's own sign decides which side it is on; False where fixed gates do
    self_gated: ClassVar[bool] = True
    #: True where the neurons are unit vectors and the penalty is beta sum_j |a_j|
    unit_neurons: ClassVar[bool] = False

    @property
    def inactive(self) -> float:
        """The slope on the inactive side."""
        return 0.0

    def mask(self, active: Any) -> Any:
        """The factor 1 or `inactive` of each entry of a boolean array; small integers where they suffice."""
        return active.astype(np.int8) if self.inactive == 0 else np.where(active, 1.0, self.inactive)

    def largest(self, size: Any) -> Any:
        """A bound on |sigma(t)| and on what it is computed from, over |t| <= size, elementwise."""
        return size  # slopes are at most 1


@dataclass(frozen=True)
class ReLU(Activation):
    """max(0, t)."""

    formula: ClassVar[str] = "max(0, {t})"


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """t where t >= 0, slope * t elsewhere; 0 <= slope < 1."""

    slope: float = 0.01
    formula: ClassVar[str] = "leaky({t})"

    def __post_init__(self) -> None:
        object.__setattr__(self, "slope", number(self.slope, "slope", low=0, below=1))

    @property
    def inactive(self) -> float:
        return self.slope


@dataclass(frozen=True)
class GatedReLU(Activation):
    """1[x.g_j >= 0] x.u_j with fixed gates g_j (Fiat et al. 2019; Mishkin et al. 2022): the program without sign cones."""

    formula: ClassVar[str] = "1[{x}.g_j >= 0] {t}"
    self_gated: ClassVar[bool] = False


@dataclass(frozen=True)
class Polynomial(Activation):
    """a t^2 + b t + c. The default is the least-squares fit of the ReLU of Kuelbs et al. (2024). The neurons are unit vectors, for
    the weight decay of a neuron that is not homogeneous would not become a norm; the penalty is beta sum_j |a_j|."""

    a: float = 0.09
    b: float = 0.5
    c: float = 0.47
    formula: ClassVar[str] = "(a ({t})^2 + b {t} + c)"
    unit_neurons: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("a", "b", "c"):
            object.__setattr__(self, name, number(getattr(self, name), name))
        if not (self.a or self.b or self.c):
            raise InputError("Polynomial needs a coefficient that is not 0; got a = b = c = 0.")

    def largest(self, size: Any) -> Any:
        return (abs(self.a) * size + abs(self.b)) * size + abs(self.c)

    @property
    def inactive(self) -> float:
        raise InputTypeError(
            "A polynomial activation has no active side and no patterns; compile or fit its network without patterns."
        )


#: The field of how many outputs readings of a network have; None, as many as the targets have, is left out of files.
OUTPUTS: Any = field(default=None, kw_only=True, repr=False, metadata={"omitted": True})


class DeclaredNetwork(Declared, abstract=True):
    """Base of the networks. With `bias` a one is appended to x inside the library."""

    bias: bool
    #: how many outputs it has; None is one for readings, and as many as the targets have for a `Model`
    outputs: int | None
    #: 2 where the network is a sum of neurons sigma(x.u) a
    layers: ClassVar[int] = 2

    @property
    def shaped(self) -> bool:
        """Whether the signs of single neurons shape the function: a sum of rising functions of x.u_j."""
        return False

    if TYPE_CHECKING:  # a field of some, the same for all of others

        @property
        def activation(self) -> Activation:
            """That of the neurons."""

    def __post_init__(self) -> None:
        if not isinstance(self.bias, bool | np.bool_):
            raise InputTypeError(f"bias must be True or False; got {self.bias!r}.")
        object.__setattr__(self, "bias", bool(self.bias))
        if self.outputs is not None:
            object.__setattr__(self, "outputs", whole(self.outputs, "outputs", low=1, high=100_000))

    def __call__(self, X: Any) -> Any:
        """f(X), a reading of this network at the rows of X: the material of terms and constraints of an `rm.Problem`."""
        from .readings import read  # here, because importing networks should not need data

        return read(self, X, self.outputs or 1)

    def slope(self, Z: Any, h: Any) -> Any:
        """Central differences of f at the rows of Z, a reading (n, d): (f(z + h_j e_j) - f(z - h_j e_j)) / (2 h_j)."""
        from .readings import slopes

        return slopes(self, Z, h, self.outputs or 1)

    def gradient(self, where: Any, radius: float | None = None) -> Any:
        """The gradient of f, (n, d) at the rows of an array, or everywhere in an `rm.Box`, (d,).

        radius : > 0, at points: networks are then without kinks in |x - z|_1 < radius around every point z, or a program would move its
            kinks onto the points. A reading like any other.
        In a box, inside of the cells of the neurons: may be bounded by numbers, `f.gradient(box)[k] >= 0`; kept and proved by `Problem.fit`.
        """
        from .readings import gradient_of

        return gradient_of(self, where, radius, self.outputs or 1)

    def increasing(self, feature: Any, how: str = "everywhere", box: Any = None, h: float | None = None) -> Any:
        """The constraint that f rises in a feature (a column's name or number). For ReLU and leaky ReLU networks of two layers.

        how : "everywhere"  in a box, that of all points read unless box= is given: `Problem.fit` adds violated slopes until a mixed-integer
                            program proves that there are none, and says what is proved
              "points"      by steps of h (a twentieth of the range by default) around the points that are read
              "neurons"     a_j u_jk >= 0 for every neuron: everywhere, one convex program, a smaller class of networks
        """
        from .shapes import monotone

        return monotone(self, "increasing", feature, how, box, h)

    def decreasing(self, feature: Any, how: str = "everywhere", box: Any = None, h: float | None = None) -> Any:
        """The constraint that f falls in a feature; see `increasing`."""
        from .shapes import monotone

        return monotone(self, "decreasing", feature, how, box, h)

    def convex(self) -> Any:
        """The constraint that f is convex: exact among networks, half the blocks and a linear one. For ReLU and leaky ReLU networks of two
        layers; every output of several."""
        from .shapes import curved

        return curved(self, "convex")

    def concave(self) -> Any:
        """The constraint that f is concave; see `convex`."""
        from .shapes import curved

        return curved(self, "concave")

    def lipschitz(self, bound: float) -> Any:
        """The constraint |f(x) - f(z)| <= bound |x - z|_2 everywhere, by sum_j |a_j| |u_j|_2 <= bound over weights without the bias: sufficient."""
        from .shapes import lipschitz

        return lipschitz(self, bound)

    @property
    def input(self) -> str:
        """What the first layer reads, in readable mathematics."""
        return "[x, 1]" if self.bias else "x"

    @property
    def formula(self) -> str:
        """What is trained, and f(x), in readable mathematics."""
        raise NotImplementedError

    def penalty_formula(self, penalty: Penalty) -> str:
        """The penalty of this network in readable mathematics, with {beta}."""
        return penalty.formula

    def refuse(self, penalty: Penalty, perturbation: Perturbation | None) -> None:
        """Raise `InputError` for a penalty or a perturbation that this network cannot be trained with."""


@dataclass(frozen=True)
class TwoLayer(DeclaredNetwork):
    """f(x) = sum_j sigma(x.u_j) a_j. With `bias` a one is appended to x inside the library; its weight is penalised
    like the others."""

    activation: Activation
    bias: bool = False
    outputs: int | None = OUTPUTS

    def __post_init__(self) -> None:
        if not isinstance(self.activation, Activation):
            raise InputTypeError(
                f"TwoLayer takes an activation instance such as rm.ReLU(), rm.LeakyReLU(0.1) or rm.GatedReLU(); got {self.activation!r}."
            )
        super().__post_init__()

    @property
    def shaped(self) -> bool:
        return self.activation.self_gated and not self.activation.unit_neurons

    @property
    def formula(self) -> str:
        x = self.input
        return f"over neurons (u_j, a_j),  f(x) = sum_j {self.activation.formula.format(x=x, t=f'{x}.u_j')} a_j"

    def penalty_formula(self, penalty: Penalty) -> str:
        return "{beta} sum_j |a_j|,  |u_j|_2 = 1" if self.activation.unit_neurons else penalty.formula

    def refuse(self, penalty: Penalty, perturbation: Perturbation | None) -> None:
        from ..functions.penalties import WeightDecay

        if self.activation.unit_neurons and not isinstance(penalty, WeightDecay):
            raise InputError(
                "A polynomial network is penalised by beta sum_j |a_j| over unit neurons, which is declared as rm.WeightDecay(beta); "
                f"got {penalty!r}."
            )


@dataclass(frozen=True)
class RandomFeatures(DeclaredNetwork):
    """f(x) = sum_i max(0, x.u_i) a_i with random directions u_i that stay as they are: only the a_i are trained
    (Bai et al. 2023, the sampled convex program; extreme learning machines)."""

    bias: bool = False
    outputs: int | None = OUTPUTS

    @property
    def activation(self) -> ReLU:
        """That of its neurons."""
        return ReLU()

    @property
    def formula(self) -> str:
        return f"over output weights a_i,  f(x) = sum_i max(0, {self.input}.u_i) a_i,  the features u_i being fixed"

    def penalty_formula(self, penalty: Penalty) -> str:
        return "{beta} sum_i |a_i|"

    def refuse(self, penalty: Penalty, perturbation: Perturbation | None) -> None:
        if perturbation is not None:
            raise InputError(
                f"RandomFeatures are trained without a perturbation; got {perturbation!r}. Train rm.TwoLayer(rm.ReLU()) with it, or train "
                "these without and see what the network keeps with network.certified(X, y, perturbation)."
            )


@dataclass(frozen=True)
class ParallelThreeLayer(DeclaredNetwork):
    """f(x) = sum_g ((x W1_g)_+ w2_g)_+ w3_g, ReLU sub-networks side by side, `width` hidden neurons in each and |W1_g|_F <= 1
    (Ergen & Pilanci 2021). There are as many as patterns are given, two of opposite sign for each."""

    width: int
    bias: bool = False
    outputs: int | None = OUTPUTS
    layers: ClassVar[int] = 3

    def __post_init__(self) -> None:
        if isinstance(self.width, Activation):
            raise InputTypeError(
                f"ParallelThreeLayer is a ReLU network and takes the width of its sub-networks, rm.ParallelThreeLayer(width=7); got "
                f"{self.width!r}. Other activations are for rm.TwoLayer."
            )
        object.__setattr__(self, "width", whole(self.width, "width", low=1, high=1_000_000))
        super().__post_init__()

    @property
    def activation(self) -> ReLU:
        """That of its neurons."""
        return ReLU()

    @property
    def formula(self) -> str:
        return (
            f"over sub-networks (W1_g, w2_g, w3_g),  f(x) = sum_g max(0, max(0, {self.input}.W1_g).w2_g) w3_g,  |W1_g|_F <= 1,  "
            f"{self.width} hidden neurons each"
        )

    def penalty_formula(self, penalty: Penalty) -> str:
        return penalty.formula_three_layer

    def refuse(self, penalty: Penalty, perturbation: Perturbation | None) -> None:
        if perturbation is not None:
            raise InputError(
                f"ParallelThreeLayer is trained without a perturbation; got {perturbation!r}. Robust training is for rm.TwoLayer networks."
            )
