"""What must hold between the faces of one function, checked on numbers. See `Faces` for what is asked, and how.

The mathematics: Rockafellar 1970. f*(q) = sup over z of z.q - f(z), so f(z) + f*(q) >= z.q, with equality where q is a subgradient at z;
p = prox(z, t) exactly when (z - p) / t is a subgradient at p.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .report import FailedError, SkippedError, demand
from .subject import Faces, Subject

Matrix = NDArray[np.float64]

#: What two sides may differ by, relative to the largest number that they are made of, and 1.
TOLERANCE = 1e-8

#: Steps of proximal maps and of comparisons around a point.
STEPS, AROUND = (0.05, 1.0, 20.0), (1e-3, 0.1, 2.0)


def everywhere(run: Callable[[Faces], None]) -> Callable[[Subject], None]:
    """The check on every part of a subject; what fails says in which part."""

    def on_all(subject: Subject) -> None:
        for part in subject.each():
            try:
                run(part)
            except FailedError as failure:
                raise FailedError(part.label + str(failure)) from failure

    return on_all


def finite(f: Faces) -> None:
    """The value is a finite number at moderate arguments, the same for a column alone, and the argument is left as it was."""
    Z = f.Z[:, f.near]
    before, values = Z.copy(), f.ask("value", Z)
    demand(np.array_equal(before, Z), "value() changed its argument in place; write into a copy")
    demand(
        np.isfinite(values).all(), f"value({_few(Z, ~np.isfinite(values))}) = {values[~np.isfinite(values)][:1]}; it must be finite"
    )
    for k in (0, Z.shape[1] // 2):
        one = f.ask("value", Z[:, k : k + 1])[0]
        demand(one == values[k] or _near(one, values[k], values[k]), f"value of a sample alone is {one}, among others {values[k]}")


def convex(f: Faces) -> None:
    """f on the segment between two points is not above the segment."""
    Z = _inside(f)
    rng = np.random.default_rng(0)
    a, b = rng.integers(Z.shape[1], size=(2, 400))
    share = rng.random(400)
    middle = share * Z[:, a] + (1 - share) * Z[:, b]
    value = f.ask("value", Z)
    chord, there = share * value[a] + (1 - share) * value[b], f.ask("value", middle)
    over = there - chord - TOLERANCE * (1 + np.abs(value[a]) + np.abs(value[b]))
    k = int(np.argmax(over))
    demand(
        not over[k] > 0,
        f"value is not convex: between {_at(Z, a[k])} and {_at(Z, b[k])} it is {there[k]:.6g} at {_at(middle, k)}, above the chord's {chord[k]:.6g}",
    )


def fenchel_young(f: Faces) -> None:
    """value(z) + conjugate(q) >= z.q: without it, a bound that the conjugate proves may be above the optimum."""
    Z, Q = _inside(f), f.ask("project", f.Q)
    value, conjugate, product = f.ask("value", Z), f.ask("conjugate", Q), Z.T @ Q
    demand(np.isfinite(Q).all(), f"{_word(f, 'project')} returned NaN or infinite entries")
    short = product - value[:, None] - conjugate
    short -= TOLERANCE * (1 + np.abs(value)[:, None] + np.abs(conjugate) + np.abs(Z).T @ np.abs(Q))
    i, k = np.unravel_index(int(np.nanargmax(np.where(np.isfinite(short), short, -np.inf))), short.shape)
    demand(
        not short[i, k] > 0,
        f"value, conjugate and {_word(f, 'project')} disagree: at z = {_at(Z, i)} and q = {_at(Q, k)}, which is in the domain, "
        f"value(z) + conjugate(q) = {value[i] + conjugate[k]:.6g} < z.q = {product[i, k]:.6g}. Either conjugate(q) is below "
        "sup z.q - value(z), or q is not in the domain of the conjugate",
    )
    nan = ~np.isfinite(conjugate)
    demand(not nan.any(), f"conjugate({_few(Q, nan)}) is not finite inside of the domain")


def attained(f: Faces) -> None:
    """value(z) + conjugate(q) = z.q where q is the subgradient at z, which is in the domain."""
    if not f.has("gradient"):
        raise SkippedError(f"it has no {_word(f, 'gradient')}")
    Z = f.Z[:, f.near]
    _equality(f, Z, f.ask("gradient", Z), f"q = {_word(f, 'gradient')}(z)")


def moreau(f: Faces) -> None:
    """q = (z - p) / t with p = prox(z, t) is a subgradient at p: in the domain, with equality in Fenchel-Young."""
    Z = f.Z[:, f.near]
    for t in STEPS:
        p = f.ask("prox", Z, t)
        _equality(f, p, (Z - p) / t, f"p = prox(z, {t:g}), q = (z - p) / {t:g}")


def _equality(f: Faces, Z: Matrix, Q: Matrix, which: str) -> None:
    inside = f.ask("project", Q)
    size = 1 + np.abs(Q).max(axis=0) + np.abs(Z).max(axis=0)
    out = np.abs(inside - Q).max(axis=0) / size
    k = int(np.argmax(out))
    demand(
        out[k] <= 10 * TOLERANCE,
        f"with {which}: q = {_at(Q, k)} is a subgradient, so it is in the domain of the conjugate, but {_word(f, 'project')} moves it to "
        f"{_at(inside, k)}: the domain is too small, or the subgradient is wrong",
    )
    left, right = f.ask("value", Z) + f.ask("conjugate", inside), (Z * inside).sum(axis=0)
    off = np.abs(left - right) / (1 + np.abs(left) + (np.abs(Z) * np.abs(inside)).sum(axis=0))
    k = int(np.argmax(off))
    demand(
        off[k] <= 10 * TOLERANCE,
        f"with {which}: value + conjugate = {left[k]:.6g} at z = {_at(Z, k)}, q = {_at(inside, k)}, where it must be z.q = {right[k]:.6g}: "
        "q is no subgradient there, or conjugate(q) is not sup z.q - value(z)",
    )


def subgradient(f: Faces) -> None:
    """value(y) >= value(z) + q.(y - z) for the subgradient q at z."""
    if not f.has("gradient"):
        raise SkippedError(f"it has no {_word(f, 'gradient')}")
    Z = f.Z[:, f.near]
    value, Q = f.ask("value", Z), f.ask("gradient", Z)
    tangent = value[:, None] + Q.T @ Z - (Q * Z).sum(axis=0)[:, None]
    over = tangent - value - TOLERANCE * (1 + np.abs(value) + np.abs(Q).T @ np.abs(Z))
    i, k = np.unravel_index(int(np.argmax(over)), over.shape)
    demand(
        not over[i, k] > 0,
        f"{_word(f, 'gradient')}({_at(Z, i)}) = {_at(Q, i)} is no subgradient: its tangent is {tangent[i, k]:.6g} at {_at(Z, k)}, where "
        f"value is {value[k]:.6g}",
    )


def domain(f: Faces) -> None:
    """The projection onto the domain stays where it is inside, and holds the segment to 0, along which bounds are scaled."""
    word, inside = _word(f, "project"), f.ask("project", f.Q)
    for scale, what in (
        (1.0, f"{word} moves a point that it returned itself"),
        (0.0, "the domain of the conjugate lacks 0, so f has no least value; bounds are scaled towards 0"),
        (0.5, "the domain lacks half of one of its points"),
    ):
        again = f.ask("project", scale * inside)
        off = np.abs(again - scale * inside).max(axis=0) / (1 + np.abs(inside).max(axis=0))
        k = int(np.argmax(off))
        demand(off[k] <= TOLERANCE, f"{what}: {_at(scale * inside, k)} became {_at(again, k)}")


def cone(f: Faces) -> None:
    """What says that it is the indicator of a cone has a conjugate of 0 on a domain that holds every multiple of its points."""
    if not getattr(f.owner, "cone", False):
        raise SkippedError("it is not declared to be the indicator of a cone")
    inside = 1e3 * f.ask("project", f.Q)
    off = np.abs(f.ask("project", inside) - inside).max(axis=0) / (1 + np.abs(inside).max(axis=0))
    k = int(np.argmax(off))
    demand(
        off[k] <= TOLERANCE, f"cone = True, but {_at(inside, k)}, 1000 times a point of the domain of the conjugate, is not in it"
    )
    conjugate = np.broadcast_to(f.ask("conjugate", inside), inside.shape[1])
    k = int(np.argmax(np.abs(conjugate)))
    demand(conjugate[k] == 0, f"cone = True, but conjugate({_at(inside, k)}) = {conjugate[k]:.6g}, where that of a cone is 0")


def nearest(f: Faces) -> None:
    """The projection is the nearest point of the domain: no other point of it that was seen is nearer."""
    inside = f.ask("project", f.Q)
    own = np.linalg.norm(inside - f.Q, axis=0)
    other = np.linalg.norm(inside[:, None, :] - f.Q[:, :, None], axis=0)
    short = own - other.min(axis=1) - TOLERANCE * (1 + np.linalg.norm(f.Q, axis=0))
    k = int(np.argmax(short))
    best = int(np.argmin(other[k]))
    demand(
        not short[k] > 0,
        f"{_word(f, 'project')}({_at(f.Q, k)}) = {_at(inside, k)}, but {_at(inside, best)} is in the domain, too, and nearer",
    )


def prox(f: Faces) -> None:
    """p = prox(z, t) minimises t value(p) + |p - z|^2 / 2: nothing around p, and no other point, is better."""
    Z = f.Z[:, f.near]
    others = _inside(f)
    for t in STEPS:
        p = f.ask("prox", Z, t)
        demand(np.isfinite(p).all(), f"prox({_few(Z, ~np.isfinite(p).all(axis=0))}, {t:g}) is not finite")
        _feasible(f, p, f"prox(z, {t:g})")
        cost = t * f.ask("value", p) + 0.5 * ((p - Z) ** 2).sum(axis=0)
        for tried in _around(f, p, others):
            there = t * f.ask("value", tried) + 0.5 * ((tried - Z) ** 2).sum(axis=0)
            over = cost - there - TOLERANCE * (1 + np.abs(cost))
            k = int(np.argmax(over))
            demand(
                not over[k] > 0,
                f"prox({_at(Z, k)}, {t:g}) = {_at(p, k)} costs {cost[k]:.8g}, but {_at(tried, k)} costs {there[k]:.8g}",
            )


def _around(f: Faces, p: Matrix, others: Matrix) -> list[Matrix]:
    """Points to compare with p: around it, moved back inside where f has a domain, and elsewhere."""
    rng = np.random.default_rng(1)
    moved = [p + size * sign * np.eye(len(p))[:, j : j + 1] for size in AROUND for sign in (1, -1) for j in range(min(len(p), 4))]
    moved += [p + size * rng.standard_normal(p.shape) for size in AROUND]
    moved.append(others[:, rng.integers(others.shape[1], size=p.shape[1])])
    return [f.ask("prox", point, 1.0) for point in moved] if _constrained(f) else moved


def derivatives(f: Faces) -> None:
    """conjugate_slopes are the derivatives of the conjugate: the first is where q is attained, the second its difference quotient."""
    inside = f.ask("project", f.Q)
    low, high = inside.min(), inside.max()
    width = min(high - low, 8.0)
    if width <= 0:
        raise SkippedError("the domain of the conjugate is a point")
    ends = max(low, -4.0), min(high, 4.0)
    q = np.linspace(*ends, 23)[1:-1][None, :]
    first, second = f.ask("conjugate_slopes", q)
    left = f.ask("value", first[None]) + f.ask("conjugate", q)
    off = np.abs(left - first * q[0]) / (1 + np.abs(left) + np.abs(first * q[0]))
    k = int(np.argmax(off))
    demand(
        off[k] <= 10 * TOLERANCE,
        f"conjugate_slopes({_at(q, k)}) says that conjugate' is {first[k]:.6g}; there value + conjugate = {left[k]:.6g}, not s m = {first[k] * q[0, k]:.6g}",
    )
    h = 1e-5 * width
    above, below = (f.ask("conjugate_slopes", q + sign * h)[0] for sign in (1, -1))
    quotient = (above - below) / (2 * h)
    off = np.abs(quotient - second) / (1 + np.abs(second))
    # where the first derivative has a kink or jumps itself there is no second one: piecewise losses
    off[np.abs((above - first) - (first - below)) > 1e-3 * h * (1 + np.abs(quotient))] = 0.0
    k = int(np.argmax(off))
    demand(
        off[k] <= 1e-4,
        f"conjugate_slopes({_at(q, k)}) says that conjugate'' is {second[k]:.6g}; the first one's differences say {quotient[k]:.6g}",
    )


def rows(f: Faces) -> None:
    """The minimum over the auxiliaries of the conic rows is the value, at points inside of the domain."""
    from .epigraph import epigraph_minimum

    Z = _inside(f)
    near = np.flatnonzero(np.abs(Z).max(axis=0) < 50)
    for k in near[np.linspace(0, len(near) - 1, 12).astype(int)]:
        value, found = f.ask("value", Z[:, k : k + 1])[0], epigraph_minimum(f.ask("rows", Z), Z[:, k])
        demand(
            found is not None and abs(found - value) <= 2e-6 * (1 + abs(value)),
            f"value({_at(Z, k)}) = {value:.8g}, but the least that the conic rows allow there is {'nothing' if found is None else f'{found:.8g}'}",
        )


def gauge(f: Faces) -> None:
    """dual_gauge(q) is the smallest s with q in s times the domain: q / s is on its border, and z.q <= s value(z)."""
    size = f.ask("dual_gauge", f.Q)
    keep = np.isfinite(size) & (size > 0)
    if not keep.any():
        raise SkippedError("every gauge is 0 or infinite (beta = 0)")
    border, size = f.Q[:, keep] / size[keep], size[keep]
    off = np.abs(f.ask("project", (1 - 1e-9) * border) - (1 - 1e-9) * border).max(axis=0)
    k = int(np.argmax(off))
    demand(
        off[k] <= TOLERANCE * (1 + np.abs(border[:, k]).max()),
        f"dual_gauge({_at(f.Q[:, keep], k)}) = {size[k]:.6g} is too small: q over it is not in the domain",
    )
    beyond = np.abs(f.ask("project", 1.001 * border) - 1.001 * border).max(axis=0)
    k = int(np.argmin(beyond))
    demand(beyond[k] > 0, f"dual_gauge({_at(f.Q[:, keep], k)}) = {size[k]:.6g} is too large: q over less is in the domain, too")


def on_torch(f: Faces) -> None:
    """The faces that engines run on torch give the same there as on NumPy's arrays."""
    try:
        import torch
    except ImportError:
        raise SkippedError("torch is not installed") from None
    moved = f.on(lambda array: torch.tensor(array))
    inside = f.ask("project", f.Q)
    for face, arguments in (
        ("value", (f.Z,)),
        ("gradient", (f.Z,)),
        ("prox", (f.Z, 0.7)),
        ("project", (f.Q,)),
        ("conjugate", (inside,)),
    ):
        if face in f.calls and f.has(face):
            here, there = f.ask(face, *arguments), moved.ask(face, *arguments)
            off = np.abs(here - there) / (1 + np.abs(here))
            demand(
                not (off > 1e-6).any(),
                f"{_word(f, face)} of torch tensors differs from that of NumPy's arrays by {np.nanmax(off):.1e} (relative)",
            )


def _inside(f: Faces) -> Matrix:
    """Points where f is finite: those there are, and where it has a domain their proximal points."""
    if not _constrained(f):
        return f.Z
    kept = f.Z[:, f.ask("violation", f.Z) == 0]
    try:
        return np.hstack([kept, f.ask("prox", f.Z[:, f.near], 1.0)])
    except SkippedError:
        if not kept.shape[1]:
            raise SkippedError("none of the points tried is in its domain, and it has no prox") from None
        return kept


def _constrained(f: Faces) -> bool:
    return "violation" in f.calls and bool((f.ask("violation", f.Z) > 0).any())


def _feasible(f: Faces, p: Matrix, what: str) -> None:
    if "violation" in f.calls:
        out = f.ask("violation", p) / (1 + np.abs(p).max(axis=0))
        k = int(np.argmax(out))
        demand(out[k] <= TOLERANCE, f"{what} = {_at(p, k)} is outside of the domain by {out[k]:.2e}, says violation")


def _word(f: Faces, face: str) -> str:
    return f.words.get(face, face)


def _near(a: float, b: float, size: float) -> bool:
    return bool(abs(a - b) <= TOLERANCE * (1 + abs(size)))


def _at(Z: Matrix, k: Any) -> str:
    """A column, in words."""
    shown = [f"{v:.4g}" for v in Z[:, k]]
    return shown[0] if len(shown) == 1 else f"({', '.join(shown)})"


def _few(Z: Matrix, bad: NDArray[np.bool_]) -> str:
    return _at(Z, int(bad.argmax()))
