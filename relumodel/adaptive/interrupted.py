"""Ctrl-C in the middle of a descent."""

from __future__ import annotations

from ..certify.neurons import Neurons


class Interrupted(KeyboardInterrupt):
    """neurons : the best met before it."""

    def __init__(self, neurons: Neurons) -> None:
        super().__init__()
        self.neurons = neurons
