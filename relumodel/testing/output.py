"""Hearing everything that is printed, by Python and by compiled code, on both channels."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Captured:
    """What was printed, once the block is left."""

    text: str = ""


@contextlib.contextmanager
def captured_output(into: Captured) -> Iterator[None]:
    """Collect what is written to the streams sys.stdout and sys.stderr and to the file descriptors 1 and 2."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as file:
        _flush()
        saved = [(fd, os.dup(fd)) for fd in (1, 2) if _is_open(fd)]
        for fd, _ in saved:
            os.dup2(file.fileno(), fd)
        try:
            with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
                yield
        finally:
            file.flush()
            _flush()
            for fd, copy in saved:
                os.dup2(copy, fd)
                os.close(copy)
            file.seek(0)
            into.text = file.read()


def _flush() -> None:
    """Python's buffers and those of the C library, which holds back what compiled code prints into a file."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).fflush(None)


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
