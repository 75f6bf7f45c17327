"""A lower bound on the training problem itself, over all networks of every width, from a price over all directions.

With q in the domain of the loss's conjugate and  |q' sigma(X b)| <= price |b|  for every b, the multiplier
min(1, beta / price) q  is feasible for the dual of the training problem (Pilanci & Ergen 2020).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..program.class_loss import ClassSampleLoss
from ..program.functions import SampleLoss
from .bound import best_scale


def global_bound(loss: SampleLoss | ClassSampleLoss, q: NDArray[np.float64], price: float, beta: float) -> float:
    """The largest bound that multiples of q prove. q : (n,), in the domain (`project_dual`).  price : the largest |q' sigma(X b)| over |b| <= 1, or above."""
    limit = 1.0 if price <= beta else (1 - 1e-13) * beta / price

    def value(scale: float) -> float:
        return 0.0 - float(loss.conjugate(scale * q))

    return value(best_scale(value, limit))
