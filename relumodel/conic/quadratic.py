"""A conic form with a quadratic objective -> one without, for solvers that take cones only.

1/2 x'Px  (P diagonal)   ->   w   with   2 w >= |P^(1/2) x|^2,  i.e.  (w + 1/2, w - 1/2, P^(1/2) x) in a second-order cone
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy
from numpy.typing import NDArray

from ..errors import InputError
from .form import Cone, ConicForm

Vector = NDArray[np.float64]
Restore = Callable[[Vector], Vector]


def quadratic_to_cone(form: ConicForm) -> tuple[ConicForm, Restore, Restore]:
    """The conic form with a linear objective, and how its x and its dual become those of `form`."""
    N = form.A.shape[1]
    at = np.flatnonzero(form.P.diagonal())
    if len(at) != form.P.nnz:
        raise InputError("Only a diagonal quadratic objective can become a second-order cone.")
    roots = np.sqrt(form.P.diagonal()[at])
    size = len(at) + 2
    rows = np.concatenate([[0, 1], 2 + np.arange(len(at))])
    cols = np.concatenate([[N, N], at])
    block = scipy.sparse.csr_array((-np.concatenate([[1.0, 1.0], roots]), (rows, cols)), shape=(size, N + 1))
    b_block = np.concatenate([[0.5, -0.5], np.zeros(len(at))])

    split = form.rows("exponential").start
    A = form.A.tocsr()
    A.resize(A.shape[0], N + 1)
    kept = [cone for cone in form.cones if cone.kind != "exponential"]
    after = [cone for cone in form.cones if cone.kind == "exponential"]
    linear = ConicForm(
        P=scipy.sparse.csc_array((N + 1, N + 1)),
        c=np.append(form.c, 1.0),
        A=scipy.sparse.vstack([A[:split], block, A[split:]], format="csc"),
        b=np.concatenate([form.b[:split], b_block, form.b[split:]]),
        cones=(*kept, Cone("second-order", size), *after),
        offset=form.offset,
        names=(*form.names, "quadratic"),
    )
    return linear, lambda x: x[:N], lambda z: np.concatenate([z[:split], z[split + size :]])
