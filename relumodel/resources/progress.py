"""How far a solve or a file is, on stderr: live on a terminal that has tqdm, otherwise a plain line now and then."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

#: Seconds between two changes of the live line.
LIVE = 0.1

#: Plain lines: seconds to the second one; each later pause is at least this share of the time so far.
PLAIN, SHARE = 1.0, 0.2


@dataclass(frozen=True)
class Progress:
    """One line of progress. Numbers a backend does not know are NaN; before the end they are the backend's own.

    elapsed : seconds since `Program.solve` was called.  time_left : seconds to the time limit; NaN without one.
    phase : what is being done, in a call of several parts.
    """

    iteration: int
    objective: float = float("nan")
    bound: float = float("nan")
    gap: float = float("nan")
    violation: float = float("nan")
    elapsed: float = float("nan")
    time_left: float = float("nan")
    phase: str = ""


@contextmanager
def progress_line(shown: bool = True) -> Iterator[Callable[[Progress], None]]:
    """A callback that shows what it is told, and removes the live line at the end; one that does nothing unless `shown`."""
    if not shown:
        yield lambda progress: None
        return
    bar = live_bar(bar_format="{desc}")
    last, due, phase = -math.inf, -math.inf, ""

    def tell(progress: Progress) -> None:
        nonlocal last, due, phase
        soonest = LIVE if bar is not None else PLAIN
        # what is begun may say nothing more for long
        if progress.elapsed < (due if progress.phase == phase else last + soonest):
            return
        last, phase = progress.elapsed, progress.phase
        due = last + (soonest if bar is not None else max(soonest, SHARE * last))
        with suppress(OSError, ValueError):  # a closed stderr is no reason to lose a solution
            if bar is None:
                print(describe(progress), file=sys.stderr, flush=True)
            else:
                bar.set_description_str(describe(progress)[: shutil.get_terminal_size().columns - 1])

    try:
        yield tell
    finally:
        if bar is not None:
            with suppress(OSError, ValueError):
                bar.close()


def live_bar(**options: Any) -> Any:
    """A tqdm bar that goes away when closed; None where stderr is no terminal or tqdm is not installed."""
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(file=sys.stderr, leave=False, **options)


def describe(progress: Progress) -> str:
    """The known numbers on one line: time left, iteration, gap, objective, bound, violation (a narrow terminal cuts the last)."""
    numbers = [
        ("gap", f"{progress.gap:.1e}"),
        ("objective", f"{progress.objective:.6g}"),
        ("bound", f"{progress.bound:.6g}"),
        ("violation", f"{progress.violation:.1e}"),
    ]
    left = "" if math.isnan(progress.time_left) else f" ({progress.time_left:.0f} s left)"
    parts = [f"{progress.elapsed:.1f} s{left}"]
    if progress.phase:
        parts.append(progress.phase)
    if progress.iteration or not progress.phase:  # a part that has none, or has just begun
        parts.append(f"iteration {progress.iteration}")
    return ", ".join(parts + [f"{name} {text}" for name, text in numbers if text != "nan"])


def line_above(text: str) -> None:
    """A line on stderr that stays, above the live line if there is one."""
    with suppress(OSError, ValueError):
        if sys.stderr is not None and sys.stderr.isatty():
            with suppress(ImportError):
                from tqdm import tqdm

                tqdm.write(text, file=sys.stderr)
                return
        print(text, file=sys.stderr, flush=True)


@contextmanager
def progress_bar(total: int, what: str, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """A callback that is told how much more of `total` is done: a bar on a terminal, elsewhere a plain line now and then."""
    if not shown:
        yield lambda more: None
        return
    bar = live_bar(total=total, desc=what, unit_scale=True)
    started, done, due = time.perf_counter(), 0, PLAIN

    def tell(more: int) -> None:
        nonlocal done, due
        done += more
        elapsed = time.perf_counter() - started
        with suppress(OSError, ValueError):
            if bar is not None:
                bar.update(more)
            elif elapsed >= due:
                due = elapsed + max(PLAIN, SHARE * elapsed)
                print(f"{what}: {elapsed:.1f} s, {done / total:.0%}", file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        if bar is not None:
            with suppress(OSError, ValueError):
                bar.close()
