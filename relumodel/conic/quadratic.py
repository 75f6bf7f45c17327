"""A conic form with a quadratic objective -> one without, for solvers that take cones only.

1/2 x'Px  (P diagonal)   ->   w   with   2 w >= |P^(1/2) x|^2,  i.e.  (w + 1/2, w - 1/2, P^(1/2) x) in a second-order cone
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy
from numpy.typing import NDArray

from ..errors import InputError
from ..functions.rows import CONE_KINDS, SECOND_ORDER
from .form import Cone, ConicForm

#: The kinds of cone that come after second-order ones.
AFTER = CONE_KINDS[CONE_KINDS.index(SECOND_ORDER) + 1 :]

Vector = NDArray[np.float64]
Restore = Callable[[Vector], Vector]


def quadratic_to_cone(form: ConicForm) -> tuple[ConicForm, Restore, Restore]:
    """The conic form with a linear objective, and how its x and its dual become those of `form`."""
    N = form.A.shape[1]
    at, squares = diagonal_of(form.P)
    roots = np.sqrt(squares)
    size = len(at) + 2
    rows = np.concatenate([[0, 1], 2 + np.arange(len(at))])
    cols = np.concatenate([[N, N], at])
    block = scipy.sparse.csr_array((-np.concatenate([[1.0, 1.0], roots]), (rows, cols)), shape=(size, N + 1))
    b_block = np.concatenate([[0.5, -0.5], np.zeros(len(at))])

    split = form.rows("exponential").start  # second-order cones end here
    A = form.A.tocsr()
    A.resize(A.shape[0], N + 1)
    kept = [cone for cone in form.cones if cone.kind not in AFTER]
    after = [cone for cone in form.cones if cone.kind in AFTER]
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


def diagonal_of(P: scipy.sparse.csc_array) -> tuple[NDArray[np.intp], Vector]:
    """Where the diagonal of P is not zero and its values there; an error when P has anything beside it."""
    values = P.diagonal()
    at = np.flatnonzero(values)
    if len(at) != P.count_nonzero():
        raise InputError("Only a diagonal quadratic objective can become a second-order cone or a sum of squares.")
    return at, values[at]
