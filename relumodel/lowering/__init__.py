"""(model, data, patterns) -> Program. One file per kind of network; each registers itself with `lower`."""

from .lower import lower
from .two_layer import lower_two_layer

__all__ = ["lower", "lower_two_layer"]
