"""A lower bound on the training problem itself, over all networks of every width, from a price over all directions.

With q in the domain of the loss's conjugate and  |q' sigma(X b)| <= price |b|  for every b, the multiplier
min(1, beta / price) q  is feasible for the dual of the training problem (Pilanci & Ergen 2020).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..certify.scaling import scaled_bound
from ..functions.base import SampleLoss
from ..functions.class_sample_loss import ClassSampleLoss


def global_bound(loss: SampleLoss | ClassSampleLoss, q: NDArray[np.float64], price: float, beta: float) -> float:
    """The largest bound that multiples of q prove. q : (n,), in the domain (`project_dual`).  price : the largest |q' sigma(X b)| over |b| <= 1, or above."""
    gauge = price / beta if beta > 0 else np.inf if price > 0 else 0.0
    return scaled_bound([(loss, q)], gauge)[1]
