"""Whether the worst case of a loss over a perturbation is where relumodel looks for it.

A perturbation moves the argument of phi by up to h to either side. For losses of margins the worst argument is taken to be s - h, which is
right where phi does not increase; for losses of residuals |s| + h, which is right where phi is even (and convex). Neither can be read
off a class, so the one is checked and the other must be declared as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    from .losses import Loss

#: Arguments from tiny to large, none of them round: a convex function that is even, or does not increase, at all of them and nowhere
#: in between would have to have its kinks in pairs between two neighbours.
SIZES = np.geomspace(1.1e-6, 0.9e6, 49)

#: Values that differ by less than this, relative to the larger, are equal up to rounding.
ROUNDING = 1e-9


def uneven(loss: Loss) -> str:
    """Where phi(s) differs from phi(-s), in words; "" where it does not at any of `SIZES`."""
    with np.errstate(all="ignore"):
        right, left = np.asarray(loss.value(SIZES)), np.asarray(loss.value(-SIZES))
    bad = ~_equal(right, left)
    if not bad.any():
        return ""
    k = int(np.argmax(bad & (SIZES >= 1))) if (bad & (SIZES >= 1)).any() else int(bad.argmax())
    return f"phi({SIZES[k]:.3g}) = {right[k]:.6g} and phi({-SIZES[k]:.3g}) = {left[k]:.6g}"


def increasing(loss: Loss) -> str:
    """Where phi increases, in words; "" where it does not between any of `SIZES`, to both sides of zero."""
    s = np.concatenate([-SIZES[::-1], [0.0], SIZES])
    with np.errstate(all="ignore"):
        value = np.asarray(loss.value(s))
    bad = (value[1:] > value[:-1]) & ~_equal(value[1:], value[:-1])
    if not bad.any():
        return ""
    k = int(bad.argmax())
    return f"phi({s[k]:.3g}) = {value[k]:.6g} and phi({s[k + 1]:.3g}) = {value[k + 1]:.6g}"


def refuse_two_sided(loss: Loss) -> None:
    """An `InputError` for a loss whose worst case over a perturbation would be looked for at the wrong argument."""
    name = type(loss).__name__
    if loss.reads == "margin" and (where := increasing(loss)):
        raise InputError(
            f"With a perturbation, a loss of margins must not increase, for its worst case is at the lowest margin; {name} does: {where}. "
            "Train without a perturbation, or use a loss that only falls, such as rm.Hinge()."
        )
    if loss.reads != "residual":
        return
    if loss.even and (where := uneven(loss)):
        raise InputError(
            f"{name} declares even = True, but {where}. With a perturbation its worst case would be looked for at the wrong residual: "
            "train without one, and declare even = False."
        )


def _equal(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a == b) | (np.abs(a - b) <= ROUNDING * np.maximum(np.abs(a), np.abs(b)))
