"""Ctrl-C and time limits at random moments, over every kind of work.

A process a kind does the cases one after the other and prints a line for each; this side watches that lines come, and ends a process
that hangs. Of Ctrl-C: the work ends soon, with a result "interrupted" or with KeyboardInterrupt, and no signal is lost. Of a time limit:
it is kept to 10 % and a second of the time that the process had a processor (others may run beside it).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

import relumodel as rm

#: CPU seconds that work may go on after Ctrl-C, and wall seconds after which a process is taken to hang.
SOON, HANGS = 5.0, 240.0

#: The longest time limit, which is also how long work is left alone.
LONGEST = 4.0

Found = tuple[str, int, str, str | None]


@cache
def data(n: int = 400, d: int = 12) -> tuple[Any, Any, Any]:
    """X, numbers and labels to learn."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    y = np.abs(X[:, 0]) - np.abs(X[:, 1]) + 0.3 * rng.standard_normal(n)
    return X, y, np.where(y > 0, 1.0, -1.0)


RELU = rm.TwoLayer(rm.ReLU(), bias=True)


def program(loss: Any = None, penalty: Any = None, network: Any = RELU, count: int = 30, n: int = 400, d: int = 12) -> rm.Program:
    X, y, labels = data(n, d)
    model = rm.Model(network, loss or rm.Squared(), penalty or rm.WeightDecay(1e-3))
    patterns = None if isinstance(getattr(network, "activation", None), rm.Polynomial) else rm.SamplePatterns(count, seed=0)
    return model.compile(X, labels if model.loss.reads == "margin" else y, patterns=patterns)


def solving(backend: str, **what: Any) -> Callable[..., Any]:
    """Work: a program through a backend."""
    return lambda **how: program(**what).solve(backend=backend, tol=1e-9, **how)


def fitting(network: Any, loss: Any, n: int = 400, d: int = 12, **more: Any) -> Callable[..., Any]:
    """Work: Model.fit."""

    def fit(**how: Any) -> Any:
        X, y, labels = data(n, d)
        model = rm.Model(network, loss, rm.WeightDecay(1e-4), **more)
        patterns = rm.AdaptivePatterns(gap=1e-7)
        return model.fit(X, labels if loss.reads == "margin" else y, patterns=patterns, **how)

    return fit


def following_a_path(**how: Any) -> Any:
    X, y, _ = data()
    betas = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5]
    return rm.path(rm.Model(RELU, rm.Squared(), rm.WeightDecay(1.0)), X, y, betas, rm.SamplePatterns(30), tol=1e-8, **how)


def by_batches(**how: Any) -> Any:
    X, y, _ = data(2000, 12)
    model = rm.Model(RELU, rm.Squared(), rm.WeightDecay(1e-3))
    return model.compile_batches((X, y), patterns=rm.SamplePatterns(20), batch_size=100).solve(epochs=1000, tol=1e-9, **how)


def polishing(**how: Any) -> Any:
    X, y, _ = data()
    rng = np.random.default_rng(1)
    network = rm.Network(rm.ReLU(), True, rng.standard_normal((13, 30)), rng.standard_normal(30))
    model = rm.Model(RELU, rm.Squared(), rm.WeightDecay(1e-4))
    return rm.polish(network, model, X, y, rm.AdaptivePatterns(gap=1e-7), **how)


#: Work that takes time_limit=, by name.
WORK: dict[str, Callable[..., Any]] = {
    "solve, native": solving("admm"),
    "solve, native first order": solving("admm", n=3000, loss=rm.Logistic(), count=20),
    "solve, Clarabel": solving("clarabel", n=200, count=20),
    "solve, SCS": solving("scs", n=200, count=20),
    "solve, HiGHS": solving("highs", loss=rm.Hinge(), penalty=rm.PathNorm(1e-3), n=200),
    "solve, auto": solving("auto", loss=rm.Logistic()),
    "solve, descent": solving("descent", network=rm.TwoLayer(rm.Polynomial(), bias=True), d=30),
    "solve, three layers": solving("auto", network=rm.ParallelThreeLayer(width=4), count=8),
    "fit, ReLU": fitting(RELU, rm.Squared()),
    "fit, labels": fitting(RELU, rm.Hinge()),
    "fit, several outputs": fitting(RELU, rm.Squared()),
    "fit, robust": fitting(RELU, rm.Hinge(), n=100, d=4, perturbation=rm.LInf(0.05), robust="crossing"),
    "fit, three layers": fitting(rm.ParallelThreeLayer(width=4, bias=True), rm.Squared(), n=200),
    "fit, polynomial": fitting(rm.TwoLayer(rm.Polynomial(), bias=True), rm.Squared(), d=20),
    "polish": polishing,
    "path": following_a_path,
    "batches": by_batches,
}


def several_outputs(**how: Any) -> Any:
    X, y, _ = data()
    model = rm.Model(RELU, rm.Squared(), rm.WeightDecay(1e-4))
    return model.fit(X, np.column_stack([y, y**2, X[:, 2]]), patterns=rm.AdaptivePatterns(gap=1e-7), **how)


WORK["fit, several outputs"] = several_outputs


def statuses(result: Any) -> list[str]:
    """Those of a result, or of the list that a path gives; what must hold of it is checked."""
    results = result if isinstance(result, list) else [result]
    for one in results:
        assert np.isfinite(one.objective), f"the objective is {one.objective}"
        assert one.bound <= one.objective * (1 + 1e-9) + 1e-12, f"bound {one.bound} above the objective {one.objective}"
    return [one.status for one in results]


@dataclasses.dataclass
class Signal:
    """One Ctrl-C to this process, `after` seconds from `start`, unless the work ends before."""

    after: float
    times: int = 1
    sent: float | None = None
    cpu: float = 0.0

    def __post_init__(self) -> None:
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._send, daemon=True)

    def _send(self) -> None:
        if self.over.wait(self.after):
            return
        self.sent, self.cpu = time.perf_counter(), time.process_time()
        for _ in range(self.times):
            os.kill(os.getpid(), signal.SIGINT)
            if self.over.wait(0.05):
                return


def stop_once(work: Callable[..., Any], rng: np.random.Generator) -> tuple[str, str | None]:
    """Ctrl-C at a random moment: (what happened, what was wrong with it)."""
    ctrl_c = Signal(float(rng.uniform(0, 2.0)), times=2 if rng.random() < 0.2 else 1)
    handler = signal.getsignal(signal.SIGINT)
    found, ended = None, "KeyboardInterrupt"
    try:
        ctrl_c.thread.start()
        found = statuses(work(time_limit=20.0))
        ended = ", ".join(sorted(set(found)))
        ctrl_c.over.set()
        ctrl_c.thread.join()
    except KeyboardInterrupt:
        ctrl_c.over.set()
    late = time.process_time() - ctrl_c.cpu if ctrl_c.sent is not None else 0.0
    assert signal.getsignal(signal.SIGINT) is handler, "the handler of Ctrl-C was not put back"
    if ctrl_c.sent is None:
        return "done before", None
    if found is not None and "interrupted" not in found:
        return "FAILED", f"Ctrl-C after {ctrl_c.after:.2f} s was lost: {ended}"
    if late > SOON:
        return "FAILED", f"it went on for {late:.1f} CPU seconds after Ctrl-C at {ctrl_c.after:.2f} s: {ended}"
    return ended if found is None else "interrupted", None


def limit_once(work: Callable[..., Any], rng: np.random.Generator) -> tuple[str, str | None]:
    """A random time limit."""
    limit = float(np.exp(rng.uniform(np.log(0.02), np.log(LONGEST))))
    start, cpu = time.perf_counter(), time.process_time()
    try:
        found = statuses(work(time_limit=limit))
    except rm.RelumodelError as error:  # what cannot end in time is refused before
        return f"refused: {type(error).__name__}", None
    wall, used = time.perf_counter() - start, time.process_time() - cpu
    limit *= len(found)  # of a path, each solve has one
    over = (wall - limit) * min(1.0, used / wall)
    if over > 0.1 * limit + 1:
        return "FAILED", f"{wall:.2f} s ({used:.2f} of a processor) of a limit of {limit:.2f}: {', '.join(found)}"
    return ", ".join(sorted(set(found))), None


def child(command: str, kind: str, seeds: list[int]) -> None:
    """The cases of a kind, a line of JSON for each."""
    once = stop_once if command == "stops" else limit_once
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(rm.RelumodelError):
        WORK[kind](time_limit=0.1)  # what the first call imports is no part of any case
    for seed in seeds:
        rng = np.random.default_rng([seed, crc32(kind.encode())])
        try:
            word, failure = once(WORK[kind], rng)
        except Exception as error:
            word, failure = "FAILED", f"{type(error).__name__}: {str(error)[:300]}"
        print(json.dumps([kind, seed, word, failure]), flush=True)


def run(command: str, kinds: list[str], count: int, seed: int, seconds: float) -> Iterator[Found]:
    """`count` cases over the kinds, a process a kind."""
    end, kinds = time.monotonic() + seconds, kinds or list(WORK)
    for i, kind in enumerate(kinds):
        seeds = list(range(seed, seed + len(range(i, count, len(kinds)))))
        while seeds and time.monotonic() < end:
            done = yield from _watched(command, kind, seeds, end)
            seeds = seeds[done:]


def _watched(command: str, kind: str, seeds: list[int], end: float) -> Iterator[Any]:
    """The lines of a process; a hang is a failure of the case that it is at. Returns how many cases are done."""
    ask = [sys.executable, str(Path(__file__)), command, kind, ",".join(map(str, seeds))]
    done = 0
    with subprocess.Popen(ask, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while done < len(seeds):
                if time.monotonic() > end:
                    done = len(seeds)
                    break
                line = process.stdout.readline() if selector.select(HANGS) else None
                if not line:  # it hangs, or it died
                    why = f"no end after {HANGS:.0f} s" if line is None else f"the process died, exit code {process.wait()}"
                    yield kind, seeds[done], "FAILED", why
                    done += 1
                    break
                if line.startswith("["):
                    yield tuple(json.loads(line))
                    done += 1
        process.kill()
    return done


if __name__ == "__main__":
    child(sys.argv[1], sys.argv[2], [int(seed) for seed in sys.argv[3].split(",")])
