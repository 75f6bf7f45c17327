"""Ctrl-C while solvers in C have handlers of their own: they are not forgotten."""

import ast
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from relumodel.resources.forwarding import forwarding_interrupts

posix = pytest.mark.skipif(os.name != "posix", reason="handlers of signals are those of POSIX")


@contextlib.contextmanager
def handled_by(handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def forgetful(times):
    """A solver in C whose handler does nothing; so many Ctrl-C come while it works."""
    libc = ctypes.CDLL(None)
    deaf = libc.abs
    libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
    for _ in range(times):
        libc.signal(signal.SIGINT, ctypes.cast(deaf, ctypes.c_void_p))
        time.sleep(0.2)  # until it is found out
        os.kill(os.getpid(), signal.SIGINT)


@posix
@pytest.mark.parametrize("times", [0, 1, 2])
def test_what_a_solver_forgets_is_heard_at_its_end(times):
    heard, fd = [], signal.set_wakeup_fd(-1)
    with handled_by(lambda number, frame: heard.append(number)):
        handler = signal.getsignal(signal.SIGINT)
        with forwarding_interrupts():
            forgetful(times)
            assert not heard
        assert heard == [signal.SIGINT] * times
        assert signal.getsignal(signal.SIGINT) is handler
        assert signal.set_wakeup_fd(fd) == -1
        signal.raise_signal(signal.SIGINT)  # the handler is really in place
    assert len(heard) == times + 1


@posix
def test_it_is_heard_also_where_the_solver_fails():
    def fail():
        with forwarding_interrupts():
            forgetful(1)
            raise ValueError("the solver failed")

    with handled_by(signal.default_int_handler), pytest.raises(KeyboardInterrupt):
        fail()


@posix
def test_whoever_else_waits_for_signals_is_told():
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = signal.set_wakeup_fd(write)
    try:
        with handled_by(lambda *_: None), forwarding_interrupts():
            forgetful(1)
        assert signal.SIGINT in os.read(read, 10)
    finally:
        signal.set_wakeup_fd(before)
        os.close(read)
        os.close(write)


def test_other_threads_are_left_alone():
    seen = []

    def work():
        with forwarding_interrupts():
            seen.append(threading.active_count())

    before = threading.active_count()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before + 1]


MOMENTS = """
import collections, os, signal, threading, time
import numpy as np
import relumodel as rm

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 4))
model = rm.Model(rm.TwoLayer(rm.ReLU(), True), rm.Hinge(), rm.WeightDecay(1e-2))
program = model.compile(X, np.sign(X[:, 0] * X[:, 1]), patterns=rm.SamplePatterns(8, seed=0))
available = [info.name for info in rm.backends() if info.available]
signal.signal(signal.SIGINT, signal.default_int_handler)
words, moments = collections.Counter(), 10

def once(solve, after):
    over, sent = threading.Event(), []
    def send():
        if not over.wait(after):
            sent.append(os.kill(os.getpid(), signal.SIGINT))
    thread = threading.Thread(target=send)
    try:
        thread.start()
        word = solve().status
        over.set()
        thread.join()
    except KeyboardInterrupt:  # before it began, or after it was done
        word = "KeyboardInterrupt"
        over.set()
        thread.join()
    return word if sent else "none was sent"

for name, options in [("ecos", {}), ("scs", {}), ("cvxpy", {"solver": "ECOS"}), ("cvxpy", {"solver": "SCS"})]:
    if name in available:
        solve = lambda: program.solve(name, tol=1e-6, **options)
        solve()
        started = time.perf_counter()
        solve()
        whole = time.perf_counter() - started
        for k in range(moments):  # the last ones may come when the result is being made, or is there
            words[once(solve, 0.8 * whole * k / moments)] += 1
print(dict(words))
"""


@posix
def test_no_moment_is_deaf():
    done = subprocess.run([sys.executable, "-c", MOMENTS], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    words = ast.literal_eval(done.stdout.splitlines()[-1])
    missed = sum(count for word, count in words.items() if word not in ("interrupted", "KeyboardInterrupt", "none was sent"))
    # one that comes just as a solver installs its handler is left to it; without help 7 of 100 are forgotten
    assert missed <= 3, words
    assert words.get("interrupted", 0) >= 5, words
