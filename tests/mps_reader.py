"""A strict reader of the free-format MPS files that relumodel writes, for the tests. Every error names its line."""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass, field
from pathlib import Path

SECTIONS = ("NAME", "ROWS", "COLUMNS", "RHS", "BOUNDS", "QUADOBJ", "QCMATRIX", "CSECTION", "ENDATA")
MANY = ("QCMATRIX", "CSECTION")


class MpsError(ValueError):
    """What is wrong, and in which line."""


@dataclass
class Mps:
    """rows : name -> N, E or L.  columns : name -> {row: value}, in the order of the file.  bounds : name -> [lower, upper].
    quadobj : (name, name) -> value.  qcmatrix : row -> {(name, name): value}.  csections : members, head first."""

    name: str = ""
    rows: dict[str, str] = field(default_factory=dict)
    columns: dict[str, dict[str, float]] = field(default_factory=dict)
    rhs: dict[str, float] = field(default_factory=dict)
    bounds: dict[str, list[float]] = field(default_factory=dict)
    quadobj: dict[tuple[str, str], float] = field(default_factory=dict)
    qcmatrix: dict[str, dict[tuple[str, str], float]] = field(default_factory=dict)
    csections: dict[str, list[str]] = field(default_factory=dict)


def read_mps(path: Path) -> Mps:
    """The file's content, bit for bit."""
    return Reader(path).read()


class Reader:
    def __init__(self, path: Path) -> None:
        raw = path.read_bytes()
        self.lines = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("ascii").splitlines()
        self.at = 0
        self.file = Mps()
        self.section = ""
        self.header: list[str] = []
        self.last = ""

    def error(self, what: str) -> MpsError:
        return MpsError(f"line {self.at}: {what}")

    def number(self, word: str) -> float:
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.error(f"{word!r} where a finite number should be")
        return value

    def words(self, words: list[str], count: int, what: str) -> list[str]:
        if len(words) != count:
            raise self.error(f"{' '.join(words)!r} where {what} should be")
        return words

    def known(self, name: str, where: dict, what: str) -> str:
        if name not in where:
            raise self.error(f"unknown {what} {name!r}")
        return name

    def put(self, where: dict, key: object, value: object) -> None:
        if key in where:
            raise self.error(f"a second value for {key!r}")
        where[key] = value

    def read(self) -> Mps:
        for line in self.lines:
            self.at += 1
            words = line.split()
            if not words or line.startswith("*"):
                continue
            if self.section == "ENDATA":
                raise self.error("something after ENDATA")
            if line.startswith(" "):
                if not self.section:
                    raise self.error("data before the first section")
                getattr(self, "read_" + self.section.lower())(words)
            else:
                self.enter(words)
        if self.section != "ENDATA":
            raise self.error("the file ends without ENDATA")
        unbounded = self.file.columns.keys() - self.file.bounds.keys()
        if unbounded:
            raise self.error(f"no bounds for {min(unbounded)!r}")
        return self.file

    def enter(self, words: list[str]) -> None:
        if words[0] not in SECTIONS:
            raise self.error(f"unknown section {words[0]!r}")
        before, now = (SECTIONS.index(s) if s else -1 for s in (self.section, words[0]))
        if now < before or (now == before and words[0] not in MANY):
            raise self.error(f"{words[0]} after {self.section}")
        self.section, self.header = words[0], words
        if words[0] == "NAME":
            self.file.name = self.words(words, 2, "NAME and a name")[1]
        elif words[0] == "QCMATRIX":
            row = self.known(self.words(words, 2, "QCMATRIX and a row")[1], self.file.rows, "row")
            self.put(self.file.qcmatrix, row, {})
        elif words[0] == "CSECTION":
            if self.words(words, 4, "CSECTION, a name, 0.0 and QUAD")[2:] != ["0.0", "QUAD"]:
                raise self.error("a cone that is not 0.0 QUAD")
            self.put(self.file.csections, words[1], [])
        else:
            self.words(words, 1, f"{words[0]} alone")

    def read_rows(self, words: list[str]) -> None:
        kind, name = self.words(words, 2, "a kind and a row")
        if kind not in ("N", "E", "L"):
            raise self.error(f"unknown kind of row {kind!r}")
        self.put(self.file.rows, name, kind)

    def read_columns(self, words: list[str]) -> None:
        name, row, value = self.words(words, 3, "a column, a row and a value")
        if name != self.last:
            self.put(self.file.columns, name, {})  # a column that comes back is an error
            self.last = name
        self.put(self.file.columns[name], self.known(row, self.file.rows, "row"), self.number(value))

    def read_rhs(self, words: list[str]) -> None:
        _, row, value = self.words(words, 3, "RHS, a row and a value")
        self.put(self.file.rhs, self.known(row, self.file.rows, "row"), self.number(value))

    def read_bounds(self, words: list[str]) -> None:
        kind, _, name = words[:3] if len(words) >= 3 else self.words(words, 3, "a kind, BND and a column")
        self.known(name, self.file.columns, "column")
        if kind == "FR":
            self.put(self.file.bounds, name, [-math.inf, math.inf])
        elif kind == "LO":
            self.put(self.file.bounds, name, [self.number(self.words(words, 4, "LO, BND, a column and a value")[3]), math.nan])
        elif kind == "PL" and name in self.file.bounds and math.isnan(self.file.bounds[name][1]):
            self.file.bounds[name][1] = math.inf
        else:
            raise self.error(f"bound {kind!r} is unknown, or not in its place")

    def pair(self, words: list[str]) -> tuple[tuple[str, str], float]:
        first, second, value = self.words(words, 3, "two columns and a value")
        return (
            (self.known(first, self.file.columns, "column"), self.known(second, self.file.columns, "column")),
            self.number(value),
        )

    def read_quadobj(self, words: list[str]) -> None:
        self.put(self.file.quadobj, *self.pair(words))

    def read_qcmatrix(self, words: list[str]) -> None:
        self.put(self.file.qcmatrix[self.header[1]], *self.pair(words))

    def read_csection(self, words: list[str]) -> None:
        members = self.file.csections[self.header[1]]
        members.append(self.known(self.words(words, 1, "a column")[0], self.file.columns, "column"))
