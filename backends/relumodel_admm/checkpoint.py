"""What an iteration needs to go on, written now and then, so that a solve that was cut off goes on where it was.

A folder holds one file a rank and iteration. The older ones go when all ranks have written theirs, so there is a complete set at any
time, whenever a process ends. Every file tells what program it is of: another one is refused, not overwritten.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relumodel.backend import BackendError, FileError, Program, RelumodelError, replace_file

#: Seconds of work at least between two checkpoints.
PAUSE = 5.0

NAME = re.compile(r"output(\d+)-iteration(\d+)-rank(\d+)of(\d+)\.npz")

#: One that is being written (`replace_file`).
UNFINISHED = re.compile(rf"\.{NAME.pattern}\.\w+")


class Checkpoint:
    """Those of a program in a folder. part : which of the program's parts it is; they share the folder."""

    def __init__(self, folder: Any, program: Program, part: int) -> None:
        self.ranks, self.part = program.ranks, part
        with self.ranks.together():
            self.folder = _folder(folder)
            self.mark = fingerprint(program)
        #: the iteration of the last complete set
        self.iteration: int | None = None
        self.last = time.perf_counter()

    def __str__(self) -> str:
        which = "none was written yet" if self.iteration is None else f"the last one is of iteration {self.iteration}"
        return f"checkpoints in {str(self.folder)!r}: {which}"

    def read(self) -> dict[str, NDArray[Any]] | None:
        """The arrays of this rank in the last complete set, or None where there is none."""
        with self.ranks.together():
            own = self._own()
            for path in own.values():
                self._check(path)
        held = [set(json.loads(part)) for part in self.ranks.gather(json.dumps(sorted(own)).encode())]
        complete = set.intersection(*held)
        if not complete:
            return None
        self.iteration = max(complete)
        with self.ranks.together(), _reading(own[self.iteration]) as file:
            return dict(file)

    def write(self, iteration: int, arrays: dict[str, Any], now: bool) -> None:
        """Write a set; unless `now`, only when it is time for one."""
        if not self.ranks.any(now or time.perf_counter() - self.last > PAUSE):
            return
        path = self.folder / f"output{self.part}-iteration{iteration}-rank{self.ranks.rank}of{self.ranks.size}.npz"
        with self.ranks.together():
            older = self._own()
            replace_file(path, lambda file: np.savez(file, fingerprint=self.mark, **arrays))
        self.iteration, self.last = iteration, time.perf_counter()
        for other in set(older.values()) - {path}:  # all ranks have written by now
            other.unlink(missing_ok=True)

    def _own(self) -> dict[int, Path]:
        """The files of this rank, by iteration. What a write that broke off has left is removed."""
        out = {}
        try:
            paths = list(self.folder.iterdir())
        except OSError as error:
            raise FileError(f"The folder {self.folder} for checkpoints cannot be read: {error.strerror or error}.") from error
        for path in paths:
            match = NAME.fullmatch(path.name) or UNFINISHED.fullmatch(path.name)
            if match is None or int(match[1]) != self.part:
                continue
            if int(match[4]) != self.ranks.size:
                raise BackendError(
                    f"The checkpoint {path} is one of {match[4]} ranks, and this is a solve on {self.ranks.size}. Start as many ranks as then, "
                    "with the rows they had, or choose another folder."
                )
            if int(match[3]) == self.ranks.rank:
                if match.re is NAME:
                    out[int(match[2])] = path
                else:
                    path.unlink(missing_ok=True)
        return out

    def _check(self, path: Path) -> None:
        with _reading(path) as file:
            mark = str(file["fingerprint"])
        if mark != self.mark:
            raise BackendError(
                f"The checkpoint {path} is of another program: the model, the rows of this rank or the patterns were others. Remove the folder "
                "to begin anew, or choose another one."
            )


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    """The arrays of a file, or an error that says that it has none."""
    try:
        with path.open("rb") as file:
            yield np.load(file, allow_pickle=False)
    except RelumodelError:
        raise
    except Exception as error:  # whatever the zip and npy readers make of a broken file
        raise FileError(f"{path} is not a checkpoint, or damaged ({error}). Remove it, or choose another folder.") from error


def _folder(asked: Any) -> Path:
    """The folder, made if need be, or an error before the work starts."""
    if not isinstance(asked, str | os.PathLike) or asked == "":
        raise BackendError(f"checkpoint must be the path of a folder; got {asked!r}.")
    folder = Path(asked)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"The folder {folder} for checkpoints cannot be made: {error.strerror or error}.") from error
    if not os.access(folder, os.W_OK):
        raise FileError(f"The folder {folder} for checkpoints cannot be written to.")
    return folder


def fingerprint(program: Program) -> str:
    """A digest of all that the terms of a program are made of, as this rank has them."""
    digest = hashlib.blake2b(f"{program.ranks.rank} of {program.ranks.size} {program.model!r}".encode(), digest_size=16)
    seen: dict[int, Any] = {}

    def take(thing: Any) -> None:
        if isinstance(thing, np.ndarray):
            if id(thing) not in seen:  # X is in every map
                seen[id(thing)] = thing
                digest.update(f"{thing.dtype}{thing.shape}".encode())
                digest.update(np.ascontiguousarray(thing).data)
        elif isinstance(thing, tuple):
            for part in thing:
                take(part)
        elif dataclasses.is_dataclass(thing):
            digest.update(type(thing).__name__.encode())
            for field in dataclasses.fields(thing):
                take(getattr(thing, field.name))
        elif isinstance(thing, bool | int | float | str | np.generic | None):
            digest.update(repr(thing).encode())

    take(program.terms)
    return digest.hexdigest()
