"""What a solution file says, and the lines that a reader goes through."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import FileError

#: How many columns of the program's file a kind of solution file names: every one, those that are not zero, or what its writer chose.
ALL, NONZERO, CHOSEN = "all", "nonzero", "chosen"


@dataclass
class FoundSolution:
    """What a file says.

    form : the kind of file, e.g. "HiGHS, style 0".
    values : by name, or without names in the order of the file's columns.
    columns : ALL, NONZERO (what is not mentioned is zero) or CHOSEN.
    multipliers : of rows by name, signed as z in P x + c + A'z = 0.  row_multipliers : of all rows of an .mps file in their order.
    cone_multipliers : of all rows of a .cbf file.
    objective, name : what the file states of them.
    doubt : what cannot be told of the file itself, for the message.
    """

    form: str
    values: dict[str, float] | list[float] = field(default_factory=dict)
    columns: str = CHOSEN
    multipliers: dict[str, float] = field(default_factory=dict)
    row_multipliers: list[float] = field(default_factory=list)
    cone_multipliers: list[float] = field(default_factory=list)
    objective: float | None = None
    name: str | None = None
    doubt: str = ""


@dataclass
class Lines:
    """The lines of a text file, numbered from 1, with an error that names the one at hand."""

    path: Path
    texts: list[str]
    ended: bool = True  # whether the last line has a line end
    at: int = 0

    @classmethod
    def of(cls, path: Path, text: str) -> Lines:
        # not splitlines(), for which form feeds and the like end a line too
        texts = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        ended = texts[-1] == ""
        return cls(path, texts[:-1] if ended else texts, ended)

    def __iter__(self) -> Iterator[list[str]]:
        """The words of every further line that is not blank."""
        while self.at < len(self.texts):
            self.at += 1
            if words := self.texts[self.at - 1].split():
                yield words

    def next(self, wanted: str) -> list[str]:
        """The words of the next line that is not blank; an error when the file ends instead."""
        for words in self:
            return words
        raise self.cut(f"where {wanted} should follow")

    def error(self, what: str) -> FileError:
        return FileError(f"{self.path}, line {self.at}: {what}")

    def cut(self, where: str) -> FileError:
        """The error of a file that ends too early."""
        return self.error(f"the file ends {where}; was it cut short?")

    def whole(self) -> None:
        """An error where the last line has no end: the programs that write line by line end every one, so a number may be cut."""
        if not self.ended:
            self.at = len(self.texts)
            raise self.cut("inside its last line")

    def number(self, word: str) -> float:
        """A finite number."""
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or "_" in word:
            raise self.error(f"{word[:60]!r} where a finite number is needed.")
        return value

    def count(self, word: str, of: str) -> int:
        """A whole number that is not negative, and not beyond what the file can hold."""
        value = int(word) if word.isascii() and word.isdecimal() and len(word) < 16 else -1
        if value < 0:
            raise self.error(f"{word[:60]!r} where the number of {of} should be.")
        return value

    def put(self, values: dict[str, float], name: str, word: str) -> None:
        """One more value by name; every name may come once."""
        if name in values:
            raise self.error(f"a second value for {name!r}.")
        values[name] = self.number(word)


@dataclass(frozen=True)
class Format:
    """One kind of solution file. name : for the list of what is read.  recognises : whether its first line, stripped, is one of a
    file of this kind.  read : all the rest; raises `FileError` with the line."""

    name: str
    recognises: Callable[[str], bool]
    read: Callable[[Lines], FoundSolution]
