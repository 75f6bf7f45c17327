"""Where activation patterns come from: enumeration, sampling, a network, or the user."""

from ..arrangement.arrangement import pattern_bound
from .adaptive import AdaptivePatterns
from .enumerate import EnumeratePatterns
from .given import GivenPatterns
from .of_network import PatternsOf
from .pattern_set import PatternSet, PatternStrategy
from .robust_sample import GapPatterns, RobustSamplePatterns
from .sample import SamplePatterns
from .sample_size import sample_size

__all__ = [
    "AdaptivePatterns",
    "EnumeratePatterns",
    "GapPatterns",
    "GivenPatterns",
    "PatternSet",
    "PatternStrategy",
    "PatternsOf",
    "RobustSamplePatterns",
    "SamplePatterns",
    "pattern_bound",
    "sample_size",
]
