"""BLAS on one thread where its matrices are small: several wait for each other longer than they compute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

#: Numbers in the data up to which one thread is used.
SMALL = 100_000


@contextmanager
def threads_for(size: int) -> Iterator[None]:
    """Within, BLAS has one thread when the data have few numbers, and as many as before when they have many."""
    if size > SMALL:
        yield
        return
    import scipy.linalg  # noqa: F401 - its BLAS is limited only once it is loaded
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield
