"""Losses and penalties of users are asked, when a model is declared, whether the faces that bounds rest on agree."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from ..functions.losses import Loss
    from ..functions.penalties import Penalty


def refuse_disagreement(loss: Loss, penalty: Penalty) -> None:
    """An `InputError` that names the faces of a user's loss or penalty that disagree, which would make a bound that is none. What is
    built in is known to agree; a face that is not there says nothing."""
    if not _built_in(loss) and (found := _asked(_of_loss, loss)):
        raise InputError(_message(loss, found, "check_loss"))
    if not _built_in(penalty) and penalty.beta > 0:
        of_one = dataclasses.replace(penalty, beta=1.0)  # the strength scales all faces alike
        if found := _asked(_of_penalty, of_one):
            raise InputError(_message(penalty, found, "check_penalty"))


def _message(owner: Any, found: str, check: str) -> str:
    return (
        f"The faces of {type(owner).__name__} do not belong to one convex function, so a bound could be wrong: {found}. "
        f"relumodel.testing.{check}({owner}) shows all of it."
    )


def _built_in(owner: Any) -> bool:
    return type(owner).__module__.partition(".")[0] == "relumodel"


def _asked(find: Any, owner: Any) -> str:
    try:
        return find(owner)
    except TypeError:  # it cannot be hashed
        return find.__wrapped__(owner)


@lru_cache(maxsize=64)
def _of_loss(loss: Any) -> str:
    from .functions import broken
    from .subject import of_loss

    return broken(of_loss(loss))


@lru_cache(maxsize=64)
def _of_penalty(penalty: Any) -> str:
    from .functions import broken
    from .penalties import of_penalty

    return broken(of_penalty(penalty))
