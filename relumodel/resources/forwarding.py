"""Ctrl-C for solvers in C that install a handler of their own: it is not forgotten by them.

ECOS and SCS put a handler of SIGINT in place of Python's while they work. It sets a flag, which they clear at their start and read once an
iteration: a signal that comes before or after that never reaches anybody. So a thread watches here: as soon as another handler is in
place, it puts Python's back, and when Python hears a signal, it calls the other one until the solver has returned. In the moment before
Python's is back, a tenth of a millisecond on an idle machine, the solver's handler is all that hears. What handlers are in place is asked
from the C library, whose answers are kept as they are.

Blocking the signal in this thread, for another to wait for it, would not do: the system then gives it to any thread that does not block
it, such as those of BLAS, of torch or of a notebook, where the solver's handler runs as before.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

#: Bytes that hold a C library's description of a handler, with room to spare, and those that tell two apart: its address and a part of
#: its mask. Some of the others are never written.
DESCRIPTION, TELLING = 1024, 16

#: Seconds between two looks at the handler: a tenth of the time since it last changed, between these.
QUICK, SLOW = 1e-4, 5e-3


@contextmanager
def forwarding_interrupts() -> Iterator[None]:
    """For the time that such a solver works. The solver must let other threads run (release Python's lock).

    Signals that came are raised once more at the end, two at most, for the handler from before. Nothing is done outside of the main
    thread, where Python hears no signals, where another handler than one of Python's is in place, and on Windows; there the solver's
    own answer is all there is.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler) or os.name != "posix":
        yield
        return
    watch = _Watch()
    thread = threading.Thread(target=watch.run, daemon=True)
    signal.signal(signal.SIGINT, watch.note)
    previous = signal.set_wakeup_fd(watch.write, warn_on_full_buffer=False)
    try:
        thread.start()
        yield
    finally:
        watch.over.set()
        thread.join()
        watch.install(watch.ours)
        signal.set_wakeup_fd(previous)
        heard = watch.close()
        signal.signal(signal.SIGINT, handler)
        if previous != -1 and heard:
            with suppress(OSError):  # full: whoever reads it has enough to wake up for
                os.write(previous, heard)
        # while the solver works Python remembers that there was a signal, not how many
        for _ in range(min(max(heard.count(signal.SIGINT), watch.noted), 2)):
            signal.raise_signal(signal.SIGINT)


class _Watch:
    """Keeps Python's handler in place, and tells the solver's."""

    def __init__(self) -> None:
        self.sigaction: Callable[..., int] = ctypes.CDLL(None).sigaction
        self.ours, self.theirs = self.installed(), b""
        self.read, self.write = os.pipe()
        os.set_blocking(self.read, False)
        os.set_blocking(self.write, False)
        self.over, self.heard, self.noted = threading.Event(), b"", 0

    def note(self, number: int, frame: Any) -> None:
        """Python's handler meanwhile: nothing is raised before everything is put back."""
        self.noted = 1

    def installed(self) -> bytes:
        """The handler in place."""
        found = ctypes.create_string_buffer(DESCRIPTION)
        self.sigaction(int(signal.SIGINT), None, found)
        return found.raw

    def install(self, description: bytes) -> None:
        """Put a handler in place."""
        self.sigaction(int(signal.SIGINT), description, None)

    def run(self) -> None:
        changed = time.perf_counter()
        while not self.over.is_set():
            now = self.installed()
            if now[:TELLING] != self.ours[:TELLING]:
                self.theirs, changed = now, time.perf_counter()
                self.install(self.ours)
            self.listen(min(max(0.1 * (time.perf_counter() - changed), QUICK), SLOW))
            if self.theirs and signal.SIGINT in self.heard:  # again and again: the solver may have cleared its flag since
                self.install(self.theirs)
                signal.raise_signal(signal.SIGINT)  # in this thread
                self.install(self.ours)

    def listen(self, seconds: float) -> None:
        """Wait so long, or until Python hears a signal; its number is a byte."""
        if select.select([self.read], [], [], seconds)[0]:
            self.heard += os.read(self.read, 4096)

    def close(self) -> bytes:
        """The numbers of all signals that Python heard."""
        self.listen(0.0)
        os.close(self.read)
        os.close(self.write)
        return self.heard
