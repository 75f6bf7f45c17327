"""What training by batches returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..resources.progress import Progress

if TYPE_CHECKING:
    from .program import BatchProgram


@dataclass(frozen=True, eq=False)
class BatchSolution:
    """A network and what was measured of it on all of the data, in float64.

    status : "optimal" (gap <= tol), "tolerance not reached", "time limit" or "interrupted".
    objective : the training objective of `network()`.
    bound : a proven lower bound on the optimum of the program on these directions' patterns; not on that of all networks.
    gap : (objective - bound) / |objective|. Negative where the network is better than every point of the program, which a network with
        patterns of its own may be.
    violation : the largest cone violation of `point`; 0.0 where it is a feasible point of the program, or there are no cones.
    unrepaired : the violation of the iterate before.
    point : (n_variables,), the blocks.  epochs : passes with steps, a started one included.  time : seconds, everything included.
    history : a `Progress` an epoch: the objective is an estimate from its last batches.
    message : which candidate was returned, and what else there is to say.
    """

    program: BatchProgram
    status: str
    objective: float
    bound: float
    gap: float
    violation: float
    unrepaired: float
    point: NDArray[np.float64]
    epochs: int
    time: float
    tol: float
    history: list[Progress] = field(default_factory=list)
    message: str = ""

    def network(self) -> Any:
        """The `Network` or `ThreeLayerNetwork` of the blocks, zero ones dropped. Its objective on all of the data equals `objective`."""
        return self.program.network(self.point)

    def __str__(self) -> str:
        lines = [
            ("status", self.status),
            ("objective", f"{self.objective:.8g}"),
            ("bound", f"{self.bound:.8g}"),
            ("gap", f"{self.gap:.2e} (wanted {self.tol:.0e})"),
            ("violation", f"{self.violation:.2e} (before repair {self.unrepaired:.2e})"),
            ("epochs", str(self.epochs)),
            ("time", f"{self.time:.2f} s"),
            ("message", self.message),
        ]
        return "\n".join(f"{label:<10}  {text}" for label, text in lines)

    def __repr__(self) -> str:
        return f"<BatchSolution: {self.status}, objective {self.objective:.8g}, gap {self.gap:.2e}, {self.epochs} epochs>"
