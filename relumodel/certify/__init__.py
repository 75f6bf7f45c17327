"""Bounds and gaps, built by us from dual-feasible points."""

from .bound import DualPoint, certify, relative_gap
from .pricing import Price, largest_price
from .training_bound import TrainingBound, training_bound

__all__ = ["DualPoint", "Price", "TrainingBound", "certify", "largest_price", "relative_gap", "training_bound"]
