"""A solved program: the point, what was measured at it, and the network it becomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError, InputError
from ..program.program import Program
from ..resources.progress import Progress

Vector = NDArray[np.float64]

STATUSES = ("optimal", "tolerance not reached", "time limit", "interrupted", "infeasible", "failed")


@dataclass(frozen=True, eq=False)
class Solution:
    """What `Program.solve` returns. Every number is relumodel's own measurement in float64, never the solver's word.

    status : "optimal" (gap <= tol), "tolerance not reached", "time limit", "interrupted", "infeasible" or "failed".
    objective : the program's objective at `point`.  bound : a proven lower bound on the program's optimum.
    gap : (objective - bound) / |objective|.  violation : largest cone violation of `point`.
    point : (n_variables,), repaired to feasibility.  dual : the multipliers behind `bound`, term name -> vector.
    iterations : of the backend, or None.  time : seconds, everything included.  history : the backend's progress.
    message : what the backend said, and what was done about it.  restart : the backend's own; a warm start with this solution
    hands it back.
    """

    program: Program
    status: str
    objective: float
    bound: float
    gap: float
    violation: float
    point: Vector
    dual: dict[str, Vector]
    iterations: int | None
    time: float
    backend: str
    tol: float
    history: list[Progress] = field(default_factory=list)
    message: str = ""
    restart: Any = field(default=None, repr=False)

    def network(self) -> Any:
        """The `Network` of this point, or the `ThreeLayerNetwork`, zero neurons dropped. Its objective equals `objective`."""
        if self.status == "infeasible":
            raise BackendError("There is no network: the program is infeasible.")
        return self.program.inverse.network(self.point)

    def dual_of(self, constraint: Any) -> Any:
        """The multipliers of a constraint of the problem, in its shape: by how much the optimum falls per unit that the constraint gives way.

        For a <= b and a >= b they are >= 0; for a == b the optimum changes by -dual_of(constraint) . db; for norm(...) <= r one number.
        Raises `InputError` for a constraint that the problem does not have.
        """
        read = getattr(self.program.inverse, "read", None)
        if read is None:
            raise InputError(
                "Only programs of an rm.Problem have constraints with multipliers; see solution.dual for those of the terms."
            )
        return read.multipliers(constraint, self.dual["loss"])

    def __str__(self) -> str:
        lines = [
            ("status", self.status),
            ("objective", f"{self.objective:.8g}"),
            ("bound", f"{self.bound:.8g}"),
            ("gap", f"{self.gap:.2e} (wanted {self.tol:.0e})"),
            ("violation", f"{self.violation:.2e}"),
            ("backend", self.backend + (f", {self.iterations} iterations" if self.iterations is not None else "")),
            ("time", f"{self.time:.2f} s"),
        ]
        if self.message:
            lines.append(("message", self.message))
        return "\n".join(f"{label:<10}  {text}" for label, text in lines)

    def __repr__(self) -> str:
        return f"<Solution: {self.status}, objective {self.objective:.8g}, gap {self.gap:.2e}, backend {self.backend}>"
