"""The checks on losses."""

from __future__ import annotations

import numpy as np

from ..functions.one_sided import increasing, uneven
from . import checks
from .report import Check, SkippedError, demand, registrar
from .subject import Subject

LOSS_CHECKS: dict[str, Check] = {}
check = registrar(LOSS_CHECKS)


@check("declared", "a frozen dataclass that prints its formula, and comes back from to_dict")
def declared(subject: Subject) -> None:
    loss = subject.owner
    for name in ("formula", "reads"):
        demand(isinstance(getattr(loss, name, None), str), f"the class must say its {name}: {name}: ClassVar[str] = ...")
    demand("{s}" in loss.formula, f"formula = {loss.formula!r} must have {{s}} where its argument stands")
    demand(loss.reads in ("margin", "residual", "classes"), f"reads = {loss.reads!r}; it is 'margin', 'residual' or 'classes'")
    back = type(loss).from_dict(loss.to_dict())
    demand(back == loss, f"from_dict(to_dict()) gives {back}; is the class a @dataclass(frozen=True)?")


check("value", "value is finite, elementwise, and leaves its argument alone")(checks.everywhere(checks.finite))
check("convex", "value is convex")(checks.everywhere(checks.convex))
check("slope", "slope is a subgradient of value")(checks.everywhere(checks.subgradient))
check("fenchel_young", "value(s) + conjugate(m) >= s m for m in the domain: what every bound rests on")(
    checks.everywhere(checks.fenchel_young)
)
check("conjugate", "value(s) + conjugate(m) = s m at m = slope(s): the conjugate is no larger than it must be")(
    checks.everywhere(checks.attained)
)
check("domain", "clip stays where it is inside, and the domain holds the segment to 0")(checks.everywhere(checks.domain))
check("clip", "clip is the nearest point of the domain of the conjugate")(checks.everywhere(checks.nearest))
check("prox", "prox minimises t value(p) + (p - s)^2 / 2")(checks.everywhere(checks.prox))
check("moreau", "(s - prox(s)) / t is a subgradient at prox(s)")(checks.everywhere(checks.moreau))
check("rows", "the least that the conic rows allow is the value")(checks.everywhere(checks.rows))


@check("conjugate_slopes", "the two derivatives of the conjugate")
def conjugate_slopes(subject: Subject) -> None:
    if subject.owner.reads == "classes":
        raise SkippedError("losses of classes have none")
    checks.everywhere(checks.derivatives)(subject)


@check("weights", "the rows of several samples cost weights_k value(s_k)")
def weights(subject: Subject) -> None:
    """On three samples of different weights, bound as programs bind them."""
    loss, w = subject.owner, np.array([0.5, 2.0, 1.0])
    z = np.array([0.3, -1.7, 2.2])
    if loss.reads == "classes":
        raise SkippedError("the classes of a class loss are tried one by one")
    from .epigraph import epigraph_minimum

    value = float(w @ subject.parts[0].ask("value", z[None]))
    try:
        found = epigraph_minimum(loss.rows(w), z)
    except NotImplementedError:
        raise SkippedError("it has no rows") from None
    demand(
        found is not None and abs(found - value) <= 2e-6 * (1 + abs(value)),
        f"at s = (0.3, -1.7, 2.2) with weights (0.5, 2, 1) the loss is {value:.8g}, but its rows allow {found}",
    )


@check("sides", "what it says of its sides: even = True means phi(-s) = phi(s), and losses of margins do not increase")
def sides(subject: Subject) -> None:
    loss = subject.owner
    if loss.reads == "residual":
        where = uneven(loss)
        if not loss.even:
            raise SkippedError(
                "it does not declare even = True"
                + ("" if where else "; but it is even, and worst cases of even losses are solved faster")
            )
        demand(not where, f"it declares even = True, but {where}")
    elif loss.reads == "margin":
        where = increasing(loss)
        demand(not where, f"a loss of margins y f(x) must not increase, or perturbations are refused; {where}")
    else:
        raise SkippedError("losses of classes have no sides")


@check("likelihood", "where declared, exp(-phi) sums to 1 over the labels")
def likelihood(subject: Subject) -> None:
    loss = subject.owner
    if not loss.likelihood:
        raise SkippedError("it does not declare likelihood = True")
    if loss.reads == "residual":
        demand(False, "a loss of residuals has no labels, so exp(-phi) is no probability of one: declare likelihood = False")
    if loss.reads == "margin":
        Z = subject.parts[0].Z[:, subject.parts[0].near]
        total = np.exp(-subject.parts[0].ask("value", Z)) + np.exp(-subject.parts[0].ask("value", -Z))
    else:
        Z = subject.parts[0].Z[:, subject.parts[0].near]
        total = sum(np.exp(-part.ask("value", Z)) for part in subject.parts)
    k = int(np.abs(total - 1).argmax())
    demand(abs(total[k] - 1) <= 1e-9, f"at {Z[:, k]} the labels' exp(-phi) sum to {total[k]:.6g}")


check("torch", "value, slope, prox, conjugate and clip are the same on torch tensors")(checks.everywhere(checks.on_torch))
