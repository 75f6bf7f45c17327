"""How much memory this process may still take, and refusing before anything is allocated what would take more.

The least of what four limits leave: the machine (Linux's MemAvailable, which counts file caches that the kernel gives back), the cgroups
the process is in (versions 1 and 2, every level up to the root), and the limits RLIMIT_AS and RLIMIT_DATA of the process itself.
Where a limit cannot be read, as outside of Linux, it does not count; then no estimate is refused, and memory that runs out is an error
of the same kind.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ..errors import MemoryLimitError

#: What to do where data and patterns together are too large.
FEWER = "Use fewer patterns, features or samples; model.compile_batches goes through the data a batch at a time."

CGROUPS = Path("/sys/fs/cgroup")


class Room(NamedTuple):
    """Bytes that may still be taken, infinite where nothing is known, and which limit says so."""

    bytes: float
    limit: str


def available() -> Room:
    """What the tightest limit leaves of memory now."""
    return min((Room(float("inf"), "no known limit"), *_machine(), *_cgroups(), *_process()), key=lambda room: room.bytes)


def require(needed: float, what: str, instead: str) -> None:
    """Raise `MemoryLimitError` when `what` takes more bytes than there are. needed : an estimate that errs on the low side, since it is
    made to refuse what cannot work. instead : what to do, a sentence."""
    room = available()
    if needed > room.bytes:
        raise MemoryLimitError(f"{what} would take at least {shown(needed)} of memory, {left(room)}. {instead}")


def left(room: Room) -> str:
    """In words, for messages."""
    return f"and {shown(room.bytes)} are left of {room.limit}"


def shown(size: float) -> str:
    """Bytes for a message."""
    power = next((power for power in (4, 3, 2, 1) if size >= 1000**power), 0)
    return f"{size / 1000**power:,.3g} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"


@contextmanager
def explained(what: str, instead: str) -> Iterator[None]:
    """What runs out of memory inside all the same is a `MemoryLimitError` that says so. what : as in "while solving"."""
    try:
        yield
    except MemoryLimitError:
        raise
    except MemoryError as error:
        detail = f" ({error})" if str(error) else ""
        raise MemoryLimitError(f"Memory ran out while {what}{detail}; {left(available())}. {instead}") from error


def _machine() -> Iterator[Room]:
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            yield Room(1024.0 * int(line.split()[1]), "the machine's memory")
            return
    try:
        yield Room(float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")), "the machine's memory")
    except (AttributeError, ValueError, OSError):  # no such question, as on Windows
        return


def _cgroups() -> Iterator[Room]:
    """Of every cgroup from that of the process up to the root: its limit less what is used and cannot be given back."""
    for line in _lines(Path("/proc/self/cgroup")):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, most, used, cache = CGROUPS, "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            root, most, used, cache = CGROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
        else:
            continue
        group = root / path.strip("/")
        for at in (group, *group.parents):  # inside a container the path may be that of the host, and the files at the root
            limit, taken = _number(at / most), _number(at / used)
            if limit is not None and taken is not None:
                reclaimable = next((int(row.split()[1]) for row in _lines(at / "memory.stat") if row.startswith(f"{cache} ")), 0)
                yield Room(float(max(limit - taken + reclaimable, 0)), "the limit of its cgroup")
            if at == root:
                break


def _process() -> Iterator[Room]:
    """What RLIMIT_AS leaves of addresses, and RLIMIT_DATA of data."""
    try:
        import resource
    except ImportError:  # Windows
        return
    sizes = dict(line.split(":", 1) for line in _lines(Path("/proc/self/status")) if line.startswith("Vm"))
    for limit, size, name in ((resource.RLIMIT_AS, "VmSize", "RLIMIT_AS"), (resource.RLIMIT_DATA, "VmData", "RLIMIT_DATA")):
        most = resource.getrlimit(limit)[0]
        if most != resource.RLIM_INFINITY and size in sizes:
            yield Room(float(max(most - 1024 * int(sizes[size].split()[0]), 0)), f"the process's limit {name}")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _number(path: Path) -> int | None:
    """The number in a file; None without the file, or where it says "max"."""
    text = _lines(path)
    return int(text[0]) if text and text[0].strip().isdigit() else None
