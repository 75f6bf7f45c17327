"""torch tensors as the arrays of an iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import Arrays


@dataclass(frozen=True)
class Tensors(Arrays):
    """Tensors of one precision on one device. dtype : "float64" or "float32".  device : as torch names it."""

    device: str = "cpu"

    def give(self, values: NDArray[Any]) -> Any:
        import torch

        kind = getattr(torch, self.dtype) if values.dtype.kind == "f" else torch.int64
        return torch.tensor(values, dtype=kind, device=self.device)

    def take(self, values: Any) -> NDArray[np.float64]:
        return np.asarray(values.cpu().numpy(), dtype=np.float64)
