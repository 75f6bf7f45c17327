"""What a factorisation of a conic form costs, which no solver's clock interrupts: estimated before it starts."""

from __future__ import annotations

import numpy as np

from relumodel.backend import ConicForm, Options, RawSolution, speed

#: Operations of setting up, for a non-zero of A, and how much slower a sparse factorisation is than a product of matrices (Clarabel on a
#: polynomial program of 4601 samples and 57 features: 16 million, 7 s and 9 s).
SETUP, SPARSE = 1.5e4, 8.0

#: A row with this share of all columns is dense: the dense ones meet in a block of the factor.
DENSE = 0.1


def factorisation(form: ConicForm) -> float:
    """Operations of one factorisation, at least: that of the block in which dense rows and columns meet."""
    columns = form.A.shape[1]
    counts = np.bincount(form.A.indices, minlength=form.A.shape[0])
    dense = counts[counts > DENSE * columns]
    order = min(len(dense), columns)
    return SPARSE * (float(order) * float(dense.sum()) + order**3 / 3)


def refused(name: str, form: ConicForm, options: Options) -> RawSolution | None:
    """An answer without a point where setting up and the first factorisation do not fit in the time left."""
    needed = SETUP * form.A.nnz + factorisation(form)
    if options.deadline.fits(needed):
        return None
    seconds = f"{needed / speed():.2g} s of the {options.remaining() or 0.0:.2g} s left"
    return RawSolution("time limit", message=f"{name}: its first step would take about {seconds}")
