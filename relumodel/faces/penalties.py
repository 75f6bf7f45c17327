"""The checks on penalties: of neurons, of blocks, and of the smooth factors between them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from . import checks
from .report import Check, FailedError, SkippedError, demand, registrar
from .subject import Subject, faces_of_function

PENALTY_CHECKS: dict[str, Check] = {}
check = registrar(PENALTY_CHECKS)

#: Sizes of blocks that a penalty is tried with.
SIZES = (1, 3)

#: What two sides may differ by, relative to their size.
TOLERANCE = 1e-8


def of_penalty(penalty: Any) -> Subject:
    """A penalty, and its functions on blocks of two sizes."""
    try:
        parts = tuple(faces_of_function(penalty.function(size), 2 * size, f"function({size}): ") for size in SIZES)
    except NotImplementedError:
        parts = ()
    return Subject(f"penalty {penalty}", penalty, parts)


def _blocks() -> np.ndarray:
    rng = np.random.default_rng(0)
    blocks = rng.standard_normal((40, 3)) * np.geomspace(1e-3, 1e3, 40)[:, None]
    blocks[::5, 1] = 0.0
    return blocks


def _ask(penalty: Any, face: str, *arguments: Any) -> Any:
    try:
        return getattr(penalty, face)(*arguments)
    except NotImplementedError:
        raise SkippedError(f"it has no {face}") from None
    except Exception as error:
        raise FailedError(f"{face} raised {type(error).__name__}: {error}") from error


def _same(left: Any, right: Any, message: str) -> None:
    left, right = np.asarray(left, dtype=float), np.asarray(right, dtype=float)
    demand(left.shape == right.shape, f"{message}: shapes {left.shape} and {right.shape}")
    off = np.abs(left - right) / (1e-300 + np.maximum(np.abs(left), np.abs(right)))
    k = np.unravel_index(int(np.argmax(off)), off.shape)
    demand(off[k] <= TOLERANCE, f"{message}: {left[k]:.8g} and {right[k]:.8g}")


@check("declared", "a frozen dataclass with beta that prints its formula, and comes back from to_dict")
def declared(subject: Subject) -> None:
    penalty = subject.owner
    demand(isinstance(getattr(penalty, "formula", None), str), "the class must say its formula: formula: ClassVar[str] = ...")
    demand("{beta}" in penalty.formula, f"formula = {penalty.formula!r} must have {{beta}} where its strength stands")
    back = type(penalty).from_dict(penalty.to_dict())
    demand(back == penalty, f"from_dict(to_dict()) gives {back}; is the class a @dataclass(frozen=True)?")


@check("norm", "norms are norms: positive, of the same size at any scale, and no longer over a corner")
def norm(subject: Subject) -> None:
    penalty, B = subject.owner, _blocks()
    sizes = _ask(penalty, "norms", B)
    demand(np.shape(sizes) == (len(B),), f"norms of blocks (40, 3) has shape {np.shape(sizes)}; it must be (40,)")
    demand((sizes > 0).all() and _ask(penalty, "norms", 0 * B[:1])[0] == 0, "norms must be positive, and 0 of the zero block")
    _same(_ask(penalty, "norms", -3 * B), 3 * sizes, "norms(-3 b) is not 3 norms(b)")
    together = _ask(penalty, "norms", B + B[::-1])
    demand((together <= (sizes + sizes[::-1]) * (1 + TOLERANCE)).all(), "norms(a + b) is above norms(a) + norms(b)")


@check("function", "the function on blocks is beta times the norms, whatever beta is")
def function(subject: Subject) -> None:
    penalty, B = subject.owner, _blocks()
    on_blocks = _ask(penalty, "function", 3)
    sizes = _ask(penalty, "norms", B)
    for factor in (1.0, 2.0):
        scaled = dataclasses.replace(penalty, beta=factor * penalty.beta)
        values = [float(scaled.function(3).value(b)) for b in B]
        _same(values, factor * penalty.beta * sizes, "function(3).value(b) is not beta norms(b)")
    together = float(on_blocks.value(B.reshape(-1)))
    _same(together, penalty.beta * sizes.sum(), "function(3).value of all blocks is not beta times the sum of norms")
    with_beta = dataclasses.replace(on_blocks, beta=2 * penalty.beta) if hasattr(on_blocks, "beta") else None
    demand(with_beta is not None, "the function has no field beta, which program.with_penalty replaces")


@check("neurons", "of_network at the cheapest scaling of a neuron (c u, a / c) is beta norms(|a| u)")
def neurons(subject: Subject) -> None:
    """Over all c, by a grid around the balanced neuron u = b / sqrt|b|, a = sqrt|b|, which solutions are given back as."""
    penalty, B = subject.owner, _blocks()[:12]
    for b, size in zip(B, _ask(penalty, "norms", B), strict=True):
        hidden, output = (b / np.sqrt(size))[:, None], np.sqrt(size)
        for sign in (1.0, -1.0):
            balanced = _ask(penalty, "of_network", hidden, np.array([sign * output]))
            _same(
                balanced,
                penalty.beta * size,
                "of_network of (b / sqrt|b|, sqrt|b|) is not beta |b|: its network would cost another amount",
            )
        for c in np.geomspace(0.05, 20, 41):
            other = _ask(penalty, "of_network", c * hidden, np.array([output / c]))
            demand(
                other >= balanced * (1 - TOLERANCE),
                f"of_network of (c u, a / c) at c = {c:.3g} is {other:.8g}, below beta |b| = {balanced:.8g}",
            )


@check("outputs", "several output weights of a neuron count by their 1-norm, which separates outputs")
def outputs(subject: Subject) -> None:
    penalty, B = subject.owner, _blocks()[10:20]
    a = np.random.default_rng(1).standard_normal((10, 4))
    several = _ask(penalty, "of_network", B.T, a)
    _same(
        several, _ask(penalty, "of_network", B.T, np.abs(a).sum(axis=1)), "of_network with outputs a (m, c) is not that with |a|_1"
    )


@check("factors", "fold(unfold(b)) = b with |unfold(b)|^2 / 2 = norms(b), the least there is; pull is the gradient")
def factors(subject: Subject) -> None:
    penalty, B = subject.owner, _blocks()
    z = _ask(penalty, "unfold", B)
    back = _ask(penalty, "fold", z)
    demand(np.allclose(back, B, rtol=1e-9, atol=1e-12), "fold(unfold(b)) is not b")
    _same(0.5 * (z * z).sum(axis=1), _ask(penalty, "norms", B), "|unfold(b)|^2 / 2 is not norms(b)")
    rng = np.random.default_rng(2)
    some = rng.standard_normal(z.shape)
    sizes = _ask(penalty, "norms", _ask(penalty, "fold", some))
    demand((sizes <= 0.5 * (some * some).sum(axis=1) * (1 + TOLERANCE)).all(), "norms(fold(z)) is above |z|^2 / 2")
    G, step = rng.standard_normal(B.shape), 1e-6
    direction = rng.standard_normal(z.shape)
    ahead, behind = (_ask(penalty, "fold", some + sign * step * direction) for sign in (1, -1))
    slope = (G * (ahead - behind)).sum() / (2 * step)
    pulled = float((_ask(penalty, "pull", some, G) * direction).sum())
    demand(
        abs(slope - pulled) <= 1e-5 * (1 + abs(slope)),
        f"pull gives the slope {pulled:.6g} where differences of fold give {slope:.6g}",
    )


@check("sub_networks", "of_sub_networks does not change when a sub-network is rescaled without changing its hidden values")
def sub_networks(subject: Subject) -> None:
    rng = np.random.default_rng(3)
    W1, w2, w3 = rng.standard_normal((4, 3, 2)), rng.standard_normal((4, 2)), rng.standard_normal(4)
    cost = _ask(subject.owner, "of_sub_networks", W1, w2, w3)
    demand(np.isfinite(cost) and cost >= 0, f"of_sub_networks is {cost}; it must be a number >= 0")
    _same(
        _ask(subject.owner, "of_sub_networks", 3 * W1, w2 / 3, w3),
        cost,
        "of_sub_networks of (3 W1, w2 / 3, w3) is not that of (W1, w2, w3)",
    )


def _on_function(name: str, about: str, run: Any) -> None:
    def of_parts(subject: Subject) -> None:
        if not subject.parts:
            raise SkippedError("it has no function")
        checks.everywhere(run)(subject)

    check(name, about)(of_parts)


def _gauge(f: Any) -> None:
    if "dual_gauge" not in f.calls:
        raise SkippedError("its function has no dual_gauge, so it certifies nothing")
    checks.gauge(f)


_on_function("convex", "the function on blocks is convex", checks.convex)
_on_function("fenchel_young", "value(z) + conjugate(q) >= z.q: what every bound rests on", checks.fenchel_young)
_on_function("domain", "project_dual stays where it is inside, and the domain holds the segment to 0", checks.domain)
_on_function("dual_gauge", "dual_gauge(q) scales q onto the border of the dual ball", _gauge)
_on_function("prox", "prox minimises t value(p) + |p - z|^2 / 2", checks.prox)
_on_function("moreau", "(z - prox(z)) / t is a subgradient at prox(z)", checks.moreau)
_on_function("rows", "the least that the conic rows allow is the value", checks.rows)
_on_function("torch", "the faces of the function are the same on torch tensors", checks.on_torch)
