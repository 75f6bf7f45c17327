"""The old address of `rm.Penalty`; it goes with version 0.3."""

import warnings

from .functions.penalties import *  # noqa: F403

warnings.warn("relumodel.penalties has moved: use rm.Penalty.", DeprecationWarning, stacklevel=2)
