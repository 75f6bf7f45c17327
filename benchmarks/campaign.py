"""A campaign against the library: thousands of random cases, each checked against what the library promises.

    OMP_NUM_THREADS=1 nice python benchmarks/campaign.py programs --count 2000
    OMP_NUM_THREADS=1 nice python benchmarks/campaign.py files --count 2000
    OMP_NUM_THREADS=1 nice python benchmarks/campaign.py stops --count 200
    OMP_NUM_THREADS=1 nice python benchmarks/campaign.py limits --count 100

programs : random declarations and data, against the identities of the library (campaign_programs.py).
files : hostile files and inputs, of which nothing but a RelumodelError may come (campaign_files.py).
stops, limits : Ctrl-C and time limits at random moments (campaign_stops.py).

Each failure is printed with the line that repeats it, and the exit code is then 1. docs/reliability.md says what came out.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import argparse
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

import relumodel as rm

#: CPU seconds after which a case is taken to hang.
PATIENCE = 60

#: A check of one case. Raises where a promise does not hold; returns in a word what happened.
Check = Callable[[np.random.Generator], str]


@dataclass
class Outcome:
    """What came of one case. failure : why it failed, else None."""

    kind: str
    seed: int
    word: str
    failure: str | None = None


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """TimeoutError in the main thread after so many CPU seconds of this process."""

    def hang(number: int, frame: Any) -> None:
        raise TimeoutError(f"no end after {seconds} CPU seconds")

    before = signal.signal(signal.SIGPROF, hang)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def run_case(kind: str, check: Check, seed: int) -> Outcome:
    """One case: the same for the same kind and seed, whatever ran before."""
    rng = np.random.default_rng([seed, crc32(kind.encode())])
    try:
        with warnings.catch_warnings(), patience(PATIENCE):
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", RuntimeWarning)  # numbers that went wrong inside
            return Outcome(kind, seed, check(rng))
    except rm.RelumodelError as error:  # nothing was trained: allowed, and counted
        return Outcome(kind, seed, f"refused: {type(error).__name__}")
    except Exception as error:
        at = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
        where = f"{os.path.basename(at[-1].filename)}:{at[-1].lineno}" if at else "?"
        return Outcome(kind, seed, "FAILED", f"{type(error).__name__} at {where}: {str(error)[:500]}")


def run(checks: dict[str, Check], count: int, seed: int, seconds: float) -> Iterator[Outcome]:
    """`count` cases, the kinds in turn, until the time is over."""
    end = time.monotonic() + seconds
    for i in range(count):
        if time.monotonic() > end:
            return
        kind = list(checks)[i % len(checks)]
        yield run_case(kind, checks[kind], seed + i // len(checks))


def table(outcomes: list[Outcome]) -> str:
    """A line a kind: cases, failures, and what happened to the others."""
    words: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        words[outcome.kind][outcome.word] += 1
    lines = ["| kind | cases | failed | of the others |", "|---|---|---|---|"]
    for kind, counts in sorted(words.items()):
        others = ", ".join(f"{n} {word}" for word, n in counts.most_common() if word != "FAILED")
        lines.append(f"| {kind} | {counts.total()} | {counts['FAILED']} | {others} |")
    failed = sum(outcome.failure is not None for outcome in outcomes)
    return "\n".join([*lines, f"| all | {len(outcomes)} | {failed} | |"])


def outcomes_of(command: str, kinds: list[str], count: int, seed: int, seconds: float) -> Iterator[Outcome]:
    """The outcomes of a subcommand. kinds : those wanted; all where empty."""
    if command in ("stops", "limits"):
        import campaign_stops

        yield from (Outcome(*found) for found in campaign_stops.run(command, kinds, count, seed, seconds))
        return
    if command == "programs":
        from campaign_programs import CHECKS
    else:
        from campaign_files import CHECKS
    yield from run({kind: CHECKS[kind] for kind in kinds or CHECKS}, count, seed, seconds)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("programs", "files", "stops", "limits"))
    parser.add_argument("--kind", action="append", default=[], help="only this kind; may be repeated")
    parser.add_argument("--count", type=int, default=200, help="cases in all, the kinds in turn (default 200)")
    parser.add_argument("--seed", type=int, default=0, help="of the first case of each kind (default 0)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no case after so long")
    asked = parser.parse_args(argv)
    outcomes, enough = [], threading.Event()
    # a campaign that is ended says what it found; an exception would be taken for Ctrl-C by what is being solved
    signal.signal(signal.SIGTERM, lambda *_: enough.set())
    try:
        for outcome in outcomes_of(asked.command, asked.kind, asked.count, asked.seed, asked.seconds):
            outcomes.append(outcome)
            if enough.is_set():
                break
            if outcome.failure is not None:
                again = f"python benchmarks/campaign.py {asked.command} --kind {outcome.kind!r} --seed {outcome.seed} --count 1"
                print(f"FAILED {outcome.kind}: {outcome.failure}\n    {again}", flush=True)
    except KeyboardInterrupt:
        print("stopped; what was found so far:")
    print(table(outcomes))
    return int(any(outcome.failure is not None for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
