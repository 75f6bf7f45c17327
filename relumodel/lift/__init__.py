"""(declaration, data, patterns) -> Program and the way back from its points to networks, one file a kind of network."""

from .curved import lower_curved
from .lower import lower, rebuild
from .polynomial import lower_polynomial
from .random_features import lower_random_features
from .three_layer import lower_three_layer
from .two_layer import lower_piecewise_linear

__all__ = [
    "lower",
    "lower_curved",
    "lower_piecewise_linear",
    "lower_polynomial",
    "lower_random_features",
    "lower_three_layer",
    "rebuild",
]
