"""A strict reader of the CBF files that relumodel writes, for the tests. Every error names its line."""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scipy

SCALAR_CONES = ("F", "L=", "L+", "L-", "Q", "QR", "EXP")
ORDER = ("VER", "OBJSENSE", "VAR", "PSDCON", "CON", "OBJACOORD", "OBJBCOORD", "ACOORD", "BCOORD", "HCOORD", "DCOORD")


class CbfError(ValueError):
    """What is wrong, and in which line."""


@dataclass
class Cbf:
    """minimise c'x + offset subject to A x + b in cones, x in variables: (name, size) each; sum_j x_j H[k, j] + D[k] semidefinite.

    H, D : the dense symmetric matrices, {(k, j): matrix} and {k: matrix}, of the orders given.
    """

    variables: list[tuple[str, int]] = field(default_factory=list)
    cones: list[tuple[str, int]] = field(default_factory=list)
    c: np.ndarray = field(default_factory=lambda: np.zeros(0))
    offset: float = 0.0
    A: scipy.sparse.csr_array = field(default_factory=lambda: scipy.sparse.csr_array((0, 0)))
    b: np.ndarray = field(default_factory=lambda: np.zeros(0))
    orders: list[int] = field(default_factory=list)
    H: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    D: dict[int, np.ndarray] = field(default_factory=dict)


def read_cbf(path: Path) -> Cbf:
    """The file's content, bit for bit."""
    return Reader(path).read()


class Reader:
    def __init__(self, path: Path) -> None:
        raw = path.read_bytes()
        self.lines = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("ascii").splitlines()
        self.at = 0
        self.file = Cbf()
        self.seen: list[str] = []

    def error(self, what: str) -> CbfError:
        return CbfError(f"line {self.at}: {what}")

    def item(self) -> list[str] | None:
        """The words of the next line that is neither blank nor a comment."""
        while self.at < len(self.lines):
            self.at += 1
            words = self.lines[self.at - 1].split()
            if words and not words[0].startswith("#"):
                return words
        return None

    def words(self, count: int, what: str) -> list[str]:
        """Exactly `count` words on the very next line: there are no blank lines inside an item."""
        self.at += 1
        if self.at > len(self.lines):
            raise self.error(f"the file ends where {what} should be")
        words = self.lines[self.at - 1].split()
        if len(words) != count:
            raise self.error(f"{' '.join(words)!r} where {what} should be")
        return words

    def index(self, word: str, below: int, what: str) -> int:
        if not word.isdigit() or int(word) >= below:
            raise self.error(f"{what} {word!r}, not a whole number from 0 to {below - 1}")
        return int(word)

    def number(self, word: str) -> float:
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.error(f"{word!r} where a finite number should be")
        return value

    def read(self) -> Cbf:
        while (words := self.item()) is not None:
            if len(words) != 1 or words[0] not in ORDER:
                raise self.error(f"{' '.join(words)!r} where a keyword should be")
            keyword = words[0]
            if keyword in self.seen:
                raise self.error(f"a second {keyword}")
            if self.seen and ORDER.index(keyword) < ORDER.index(self.seen[-1]):
                raise self.error(f"{keyword} after {self.seen[-1]}")
            if not self.seen and keyword != "VER":
                raise self.error("VER must come first")
            self.seen.append(keyword)
            getattr(self, "read_" + keyword.lower())()
        for needed in ("VER", "OBJSENSE", "VAR"):
            if needed not in self.seen:
                raise self.error(f"the file ends without {needed}")
        return self.file

    def read_ver(self) -> None:
        if self.words(1, "a version") != ["3"]:
            raise self.error("the version is not 3")

    def read_objsense(self) -> None:
        if self.words(1, "MIN or MAX") != ["MIN"]:
            raise self.error("the sense is not MIN")

    def domain(self) -> list[tuple[str, int]]:
        total, count = (self.index(word, 2**62, "size") for word in self.words(2, "a size and a number of cones"))
        cones = []
        for _ in range(count):
            name, size = self.words(2, "a cone and its size")
            if name not in SCALAR_CONES:
                raise self.error(f"unknown cone {name!r}")
            cones.append((name, self.index(size, total + 1, "cone size")))
            if name == "EXP" and size != "3":
                raise self.error(f"an exponential cone of size {size}")
        if sum(size for _, size in cones) != total:
            raise self.error(f"cones of total size {sum(size for _, size in cones)}, announced were {total}")
        return cones

    def read_var(self) -> None:
        self.file.variables = self.domain()
        N = sum(size for _, size in self.file.variables)
        self.file.c, self.file.A = np.zeros(N), scipy.sparse.csr_array((0, N))

    def read_psdcon(self) -> None:
        self.file.orders = [self.index(self.words(1, "an order")[0], 10**6, "order") for _ in range(self.count())]
        if 0 in self.file.orders:
            raise self.error("a matrix of order 0")

    def read_hcoord(self) -> None:
        for _ in range(self.count()):
            *at, row, column, value = self.words(5, "a matrix, a variable, a row, a column and a value")
            k = self.index(at[0], len(self.file.orders), "matrix")
            self.entry(self.file.H, (k, self.index(at[1], len(self.file.c), "variable")), k, row, column, value)

    def read_dcoord(self) -> None:
        for _ in range(self.count()):
            at, row, column, value = self.words(4, "a matrix, a row, a column and a value")
            k = self.index(at, len(self.file.orders), "matrix")
            self.entry(self.file.D, k, k, row, column, value)

    def entry(self, into: dict, key: object, k: int, row: str, column: str, value: str) -> None:
        """One entry of the lower triangle of matrix k, and its mirror image."""
        order = self.file.orders[k]
        matrix = into.setdefault(key, np.zeros((order, order)))
        i, j = self.index(row, order, "row"), self.index(column, order, "column")
        if i < j:
            raise self.error(f"entry {i} {j} of the upper triangle")
        if matrix[i, j] != 0:
            raise self.error(f"a second value at {i} {j}")
        matrix[i, j] = matrix[j, i] = self.number(value)

    def read_con(self) -> None:
        self.file.cones = self.domain()
        M = sum(size for _, size in self.file.cones)
        self.file.b, self.file.A = np.zeros(M), scipy.sparse.csr_array((M, len(self.file.c)))

    def read_objbcoord(self) -> None:
        self.file.offset = self.number(self.words(1, "the constant")[0])

    def vector(self, into: np.ndarray) -> None:
        seen: set[int] = set()
        for _ in range(self.count()):
            i, value = self.words(2, "an index and a value")
            index = self.index(i, len(into), "index")
            if index in seen:
                raise self.error(f"a second value at {index}")
            seen.add(index)
            into[index] = self.number(value)

    def count(self) -> int:
        return self.index(self.words(1, "a count")[0], len(self.lines) + 1, "count")

    def read_objacoord(self) -> None:
        self.vector(self.file.c)

    def read_bcoord(self) -> None:
        self.vector(self.file.b)

    def read_acoord(self) -> None:
        M, N = self.file.A.shape
        count = self.count()
        rows, cols, values = [0] * count, [0] * count, [0.0] * count
        for k in range(count):
            i, j, value = self.words(3, "a row, a column and a value")
            rows[k], cols[k], values[k] = self.index(i, M, "row"), self.index(j, N, "column"), self.number(value)
        A = scipy.sparse.coo_array((values, (rows, cols)), shape=(M, N)).tocsr()
        if A.nnz != count:
            raise self.error("two values for one coordinate")
        self.file.A = A
