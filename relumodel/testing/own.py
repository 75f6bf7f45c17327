"""Checks on what users write: losses, penalties, functions of programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import InputTypeError
from ..faces.functions import FUNCTION_CHECKS
from ..faces.losses import LOSS_CHECKS
from ..faces.penalties import PENALTY_CHECKS, of_penalty
from ..faces.report import Report, run_checks
from ..faces.subject import of_function, of_loss
from ..functions.base import Function
from ..functions.losses import Loss
from ..functions.penalties import Penalty

if TYPE_CHECKING:
    from typing import Any


def check_loss(loss: Loss, *, only: Sequence[str] | None = None, raise_on_failure: bool = True) -> Report:
    """Run the checks on a loss of margins, residuals or classes, on numbers of many sizes. Faces that it lacks are skipped by name.

    only : names of checks out of `LOSS_CHECKS`; all by default.
    Raises `ConformanceError` with every failure in it, unless `raise_on_failure` is False.
    """
    _instance(loss, Loss, "check_loss", "rm.Huber(1.0)")
    return run_checks(LOSS_CHECKS, of_loss(loss), f"loss {loss}", only, raise_on_failure)


def check_penalty(penalty: Penalty, *, only: Sequence[str] | None = None, raise_on_failure: bool = True) -> Report:
    """Run the checks on a penalty: of neurons, of blocks, their function, their smooth factors. As `check_loss`, of `PENALTY_CHECKS`.

    Give it a beta that is not 0, where a penalty has nothing to check.
    """
    _instance(penalty, Penalty, "check_penalty", "rm.WeightDecay(0.5)")
    return run_checks(PENALTY_CHECKS, of_penalty(penalty), f"penalty {penalty}", only, raise_on_failure)


def check_function(
    function: Function, size: int = 6, *, only: Sequence[str] | None = None, raise_on_failure: bool = True
) -> Report:
    """Run the checks on a function of a program, on vectors of `size` numbers. As `check_loss`, of `FUNCTION_CHECKS`."""
    _instance(function, Function, "check_function", "relumodel.functions.base.Nonnegative()")
    subject = of_function(function, size)
    return run_checks(FUNCTION_CHECKS, subject, subject.title, only, raise_on_failure)


def _instance(value: Any, kind: type, who: str, example: str) -> None:
    if not isinstance(value, kind):
        given = f"the class {value.__name__} (add parentheses)" if isinstance(value, type) else repr(value)
        raise InputTypeError(f"{who} takes a {kind.__name__}, for example {example}; got {given}.")
