"""When a call must end: one object from the public call down to the innermost loop, for the clock and for Ctrl-C.

A public call opens a deadline with `limited`; whatever runs within asks the one that `current` returns, and opens shorter ones for its
parts. So a part never outlives the whole, and protocols that others implement (patterns, backends) need no argument for it.
Ctrl-C ends the outermost deadline, hence all; a second one raises KeyboardInterrupt.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import numpy as np

#: After the end of a call, measuring and proving its result may take so many seconds and this share of the limit more.
SLACK, SHARE = 0.5, 0.05

#: The same after Ctrl-C in a call without a limit.
MOMENT = 1.0


#: What deadlines are kept by: seconds that only grow.
clock = time.perf_counter


class Deadline:
    """The end of a piece of work.

    seconds : from now; None is without limit.  outer : what this is a part of, which ends it too.
    grace : seconds after the end of `outer`, for what makes a result of what was found by then; None for other parts.
    """

    def __init__(self, seconds: float | None = None, outer: Deadline | None = None, grace: float | None = None) -> None:
        self.outer, self.grace = outer, grace
        self._at = math.inf if seconds is None else clock() + seconds
        self._reason: str | None = None
        self._interrupted = self._nothing_yet = False
        self._slack = math.inf if seconds is None else SLACK + SHARE * seconds

    @property
    def ends(self) -> float:
        """On the clock of clock(); inf without a limit, until Ctrl-C."""
        return self._at if self.outer is None else min(self._at, self.outer.ends + (self.grace or 0.0))

    def remaining(self) -> float:
        """Seconds left, never below zero; inf without a limit."""
        return max(self.ends - clock(), 0.0)

    def fits(self, operations: float) -> bool:
        """Whether so many floating-point operations, which nothing can interrupt, are likely to be done in time."""
        left = self.remaining()
        return math.isinf(left) or operations <= left * speed()

    @property
    def heard(self) -> str | None:
        """The reason to end that somebody gave, without a look at the clock."""
        if self._reason is None and self.outer is not None and self.grace is None:
            return self.outer.heard
        return self._reason

    @property
    def stopped(self) -> str | None:
        """Why to end now: "time limit" or "interrupted"; None to go on."""
        if self.heard is not None or clock() < self.ends:
            return self.heard
        return "interrupted" if self.interrupted else "time limit"

    def expired(self) -> bool:
        """Whether to end now."""
        return self.stopped is not None

    def stop(self, reason: str = "interrupted") -> None:
        """End this part, as a callback asks for; its result is made without haste. The first reason stays."""
        self._reason = self._reason or reason

    @property
    def outermost(self) -> Deadline:
        """That of the public call."""
        return self if self.outer is None else self.outer.outermost

    def interrupt(self) -> None:
        """Ctrl-C was heard: the whole call ends now, but for the moment that a result takes."""
        whole = self.outermost
        whole._interrupted, whole._reason, whole._at = True, "interrupted", min(whole._at, clock())

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C was heard, also where time was up before."""
        return self.outermost._interrupted

    @contextmanager
    def with_nothing_yet(self) -> Iterator[None]:
        """Within, Ctrl-C raises KeyboardInterrupt at once: there is nothing that could be returned."""
        whole = self.outermost
        before, whole._nothing_yet = whole._nothing_yet, True
        try:
            yield
        finally:
            whole._nothing_yet = before

    @property
    def slack(self) -> float:
        """Seconds that its result may take after its end."""
        if self.outer is not None:
            return min(self._slack, self.outer.slack)
        return self._slack if math.isfinite(self._slack) else MOMENT


@cache
def speed() -> float:
    """Floating-point operations a second in a product of two matrices, measured once."""
    A = np.ones((256, 256))
    A @ A
    started = clock()
    for _ in range(4):
        A @ A
    return 4 * 2 * 256**3 / max(clock() - started, 1e-6)


_current: ContextVar[Deadline | None] = ContextVar("relumodel_deadline", default=None)


def current() -> Deadline:
    """The deadline of the work that is being done; one that never ends where none was set."""
    return _current.get() or Deadline()


def part(seconds: float | None = None) -> Deadline:
    """A deadline `seconds` from now within the current one, for a part that hands it on itself."""
    return Deadline(seconds, _current.get())


@contextmanager
def limited(seconds: float | None = None) -> Iterator[Deadline]:
    """What runs within ends `seconds` from now, or with what it is a part of. The outermost one hears Ctrl-C."""
    deadline = part(seconds)
    with _within(deadline):
        if deadline.outer is None:
            with hearing_interrupts(deadline):
                yield deadline
        else:
            yield deadline


@contextmanager
def wrapping_up(share: float = 1.0) -> Iterator[Deadline]:
    """What runs within makes a result of what there is: it may go on after the end, for `share` of the slack."""
    outer = node = current()
    while node.outer is not None:  # there is one slack, for all that is done after the end
        outer = node.outer if node.grace is not None else outer
        node = node.outer
    with _within(Deadline(None, outer, share * outer.slack)) as deadline:
        yield deadline


@contextmanager
def _within(deadline: Deadline) -> Iterator[Deadline]:
    token = _current.set(deadline)
    try:
        yield deadline
    finally:
        _current.reset(token)


@contextmanager
def hearing_interrupts(deadline: Deadline) -> Iterator[None]:
    """Ctrl-C interrupts the deadline; the next one does what it did before, as a rule raise KeyboardInterrupt."""
    previous: Any = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or previous in (None, signal.SIG_IGN):
        yield
        return

    def ask(signum: int, frame: Any) -> None:
        deadline.interrupt()
        signal.signal(signal.SIGINT, previous)
        if deadline._nothing_yet:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
