"""What C libraries print although they were asked not to: HiGHS 1.12 writes a line to the standard output of the process from its
mixed-integer heuristics, whatever its options are (its issue 'transformNewIntegerFeasibleSolution tmpSolver.run()')."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_stdout() -> Iterator[None]:
    """Within, what is written to file descriptor 1 is dropped; Python's own `print` is not used within. Where there is no such file, as
    under some servers, nothing is done."""
    try:
        kept = os.dup(1)
    except OSError:
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
