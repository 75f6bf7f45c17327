"""The old address of `rm.Loss`, `rm.MarginLoss` and `rm.ResidualLoss`; it goes with version 0.3."""

import warnings

from .functions.losses import *  # noqa: F403
from .functions.margin_losses import *  # noqa: F403

warnings.warn("relumodel.losses has moved: use rm.Loss, rm.MarginLoss, rm.ResidualLoss.", DeprecationWarning, stacklevel=2)
