"""What one more neuron could gain: prices of directions, and bounds on the training problem over networks of any width."""

from .all_neurons import Price, largest_price
from .training_bound import TrainingBound, training_bound

__all__ = ["Price", "TrainingBound", "largest_price", "training_bound"]
