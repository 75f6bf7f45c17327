"""Calling a torch module of the user: in evaluation mode, so that neither its numbers nor its buffers depend on the call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def evaluation_mode(module: Any) -> Iterator[None]:
    """The module and all its parts in evaluation mode; afterwards each is in the mode it was in."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True
