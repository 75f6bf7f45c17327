"""What the conic rows of a function say that its value is."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from ..functions.rows import ConicRows

#: Clarabel's names of our cones.
CONES = {
    "zero": "ZeroConeT",
    "nonnegative": "NonnegativeConeT",
    "second-order": "SecondOrderConeT",
    "exponential": "ExponentialConeT",
    "semidefinite": "PSDTriangleConeT",
}


def epigraph_minimum(rows: ConicRows, z: NDArray[np.float64]) -> float | None:
    """The minimum over the auxiliaries at z (m,) fixed; None where there is no feasible one."""
    import clarabel

    A = scipy.sparse.vstack([piece.on_t for piece in rows.pieces], format="csc")
    b = [p.b - (p.on_z * z if isinstance(p.on_z, float) else p.on_z @ z) for p in rows.pieces]
    if A.shape[1] == 0:  # nothing to choose: the rows hold at z, or they do not
        return 0.0 if _holds(rows, b) else None
    cones = [_cone(clarabel, piece.kind, size) for piece in rows.pieces for size in piece.sizes]
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    P = scipy.sparse.csc_matrix(scipy.sparse.diags(rows.quadratic))
    answer = clarabel.DefaultSolver(P, rows.cost, scipy.sparse.csc_matrix(A), np.concatenate(b), cones, settings).solve()
    return float(answer.obj_val) if str(answer.status) in ("Solved", "AlmostSolved") else None


def _cone(clarabel: object, kind: str, size: int) -> object:
    make = getattr(clarabel, CONES[kind])
    if kind == "exponential":
        return make()
    return make(int((2 * size) ** 0.5) if kind == "semidefinite" else size)


def _holds(rows: ConicRows, b: list[NDArray[np.float64]]) -> bool:
    """Whether slacks are in their cones up to rounding."""
    from ..conic.form import Cone, ConicForm, cone_violation

    for piece, values in zip(rows.pieces, b, strict=True):
        empty = scipy.sparse.csc_array((len(values), 0))
        cones = tuple(Cone(piece.kind, size) for size in piece.sizes)
        form = ConicForm(scipy.sparse.csc_array((0, 0)), np.zeros(0), empty, values, cones, 0.0, ())
        if cone_violation(values, form) > 1e-6 * (1 + np.abs(values).max(initial=0.0)):
            return False
    return True
