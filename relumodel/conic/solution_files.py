"""Solution files of other solvers: read strictly, every error with its line.

HiGHS          writeSolution(path, 0): columns and rows by name, with multipliers
MOSEK          .sol: tables of constraints and variables, with multipliers
SCIP           "objective value:", then the variables that are not zero
Gurobi, COPT   .sol: comments (#), then "name value" lines
plain          "name value" lines, or one value a line
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import FileError


@dataclass
class FoundSolution:
    """What a file says. values : by name, or without names in the order of the file's columns.

    multipliers : of rows by name, signed as z in P x + c + A'z = 0.  cone_multipliers : of all rows in their order, for files
    without names.  zeros_left_out : variables that are not mentioned are zero.  objective, name : what the file states of them.
    """

    kind: str
    values: dict[str, float] | list[float]
    multipliers: dict[str, float] = field(default_factory=dict)
    cone_multipliers: list[float] = field(default_factory=list)
    zeros_left_out: bool = False
    objective: float | None = None
    name: str | None = None


@dataclass
class Lines:
    """The lines of a text file, numbered from 1, with an error that names the one at hand."""

    path: Path
    texts: list[str]
    at: int = 0

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
        raise self.error(f"the file ends where {wanted} should follow; was it cut short?")

    def error(self, what: str) -> FileError:
        return FileError(f"{self.path}, line {self.at}: {what}")

    def number(self, word: str) -> float:
        """A finite number."""
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or "_" in word:
            raise self.error(f"{word!r} where a finite number is needed.")
        return value

    def put(self, values: dict[str, float], name: str, word: str) -> None:
        """One more value by name; every name may come once."""
        if name in values:
            raise self.error(f"a second value for {name!r}.")
        values[name] = self.number(word)


def read_solution_file(path: str | Path) -> FoundSolution:
    """What a solution file says. Raises `FileError` for a file that cannot be read, is none of the known kinds, or is cut short."""
    path = Path(path)
    try:
        lines = Lines(path, path.read_bytes().decode("utf-8-sig").splitlines())
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is not a text file; export the solution as text.") from error
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from error
    first = next((text.strip() for text in lines.texts if text.strip()), None)
    if first is None:
        raise FileError(f"{path} is empty.")
    if first.startswith("NAME ") and ":" in first:
        return _mosek(lines)
    if first == "Model status":
        return _highs(lines)
    if first.startswith(("solution status:", "objective value:", "no solution available")):
        return _scip(lines)
    if first.startswith(("<", "{")) or first == "Columns":
        raise FileError(f"{path}, line 1: {KNOWN}")
    return _plain(lines)


KNOWN = (
    "not a solution file that relumodel reads: HiGHS (writeSolution with style 0), MOSEK, SCIP, Gurobi and COPT text, "
    '"name value" lines, or one value a line.'
)


def _highs(lines: Lines) -> FoundSolution:
    found = FoundSolution("HiGHS", {})
    lines.next("the model status")
    status = " ".join(lines.next("the model status"))
    part = "primal"
    for words in lines:
        if words[0] != "#":
            if words == ["None"] and part == "primal":
                raise lines.error(f"there is no solution in the file; HiGHS ended with {status!r}.")
            if words[0] == "Objective" and len(words) == 2:
                found.objective = lines.number(words[1])
        elif words[1:2] == ["Dual"]:
            part = "dual"
        elif words[1:2] == ["Basis"]:
            break
        elif words[1:2] in (["Columns"], ["Rows"]):
            table = _counted(lines, words)
            if words[1] == "Columns" and part == "primal":
                found.values = table
            elif words[1] == "Rows" and part == "dual":
                # the rise of the optimum with the bound of the row; z is minus that
                found.multipliers = {name: -value for name, value in table.items()}
    if not found.values:
        raise lines.error("the file ends before the values of the columns; was it cut short?")
    return found


def _counted(lines: Lines, words: list[str]) -> dict[str, float]:
    """The name-value lines that "# Columns n" announces."""
    values: dict[str, float] = {}
    count = int(words[2]) if len(words) == 3 and words[2].isdigit() else -1
    if count < 0:
        raise lines.error(f"'# {words[1]}' without a count.")
    for k in range(count):
        entry = lines.next(f"line {k + 1} of the {count} {words[1].lower()}")
        if len(entry) != 2 or entry[0] == "#":
            raise lines.error(
                f"{' '.join(entry)!r} where line {k + 1} of the {count} {words[1].lower()} should be: name and value."
            )
        lines.put(values, *entry)
    return values


def _mosek(lines: Lines) -> FoundSolution:
    found = FoundSolution("MOSEK", {})
    values: dict[str, float] = {}
    sections = [""]
    for words in lines:
        text = " ".join(words)
        if sections == [""] and ":" in words:
            key, _, value = (part.strip() for part in text.partition(":"))
            if key == "NAME":
                found.name = value or None
            elif key == "PRIMAL OBJECTIVE":
                found.objective = lines.number(value)
            elif key == "SOLUTION STATUS" and "INFEASIBLE" in value:
                raise lines.error(f"there is no solution in the file; MOSEK ended with {value}.")
        elif words[0].isdigit():
            _mosek_row(lines, words, sections[-1], found, values)
        elif words[0] != "INDEX":
            sections.append(text)
    if "VARIABLES" not in sections:
        raise lines.error("the file ends before its VARIABLES; was it cut short?")
    found.values = values
    return found


def _mosek_row(lines: Lines, words: list[str], section: str, found: FoundSolution, values: dict[str, float]) -> None:
    """One line of a table. Variables and constraints have index, name, status, activity, two limits, two multipliers; rows of
    cones have index, name, position, activity, multiplier."""
    length = {"VARIABLES": 8, "CONSTRAINTS": 8, "AFFINE CONIC CONSTRAINTS": 5}.get(section)
    if length is None:
        raise lines.error(f"a table {section!r}, which no file of relumodel has; the solution belongs to another program.")
    if len(words) < length:
        raise lines.error(f"{len(words)} entries where a line of {section} has {length}; was the file cut short?")
    if section == "VARIABLES":
        lines.put(values, words[1], words[3])
    elif section == "CONSTRAINTS":
        found.multipliers[words[1]] = lines.number(words[7]) - lines.number(words[6])
    else:
        found.cone_multipliers.append(lines.number(words[4]))


def _scip(lines: Lines) -> FoundSolution:
    found = FoundSolution("SCIP", {}, zeros_left_out=True)
    values: dict[str, float] = {}
    for words in lines:
        if words[:2] == ["solution", "status:"]:
            continue
        if words[:2] == ["no", "solution"]:
            raise lines.error("there is no solution in the file.")
        if words[:2] == ["objective", "value:"] and len(words) == 3:
            found.objective = lines.number(words[2])
        elif len(words) in (2, 3):
            if words[0] != "qmatrixvar":  # what SCIP calls a quadratic objective
                lines.put(values, words[0], words[1])
        else:
            raise lines.error(f"{' '.join(words)!r} where a name and a value should be.")
    if found.objective is None:
        raise lines.error("the file ends before its objective value; was it cut short?")
    found.values = values
    return found


def _plain(lines: Lines) -> FoundSolution:
    found = FoundSolution("plain", {})
    named: dict[str, float] = {}
    values: list[float] = []
    for words in lines:
        if words[0].startswith("#"):
            comment = " ".join(words).lstrip("# ")
            if comment.startswith("Objective value"):
                found.kind = "Gurobi or COPT"
                found.objective = lines.number(words[-1])
            elif comment.startswith("Solution for model"):
                found.name = words[-1]
        elif len(words) == 2 and not values:
            lines.put(named, *words)
        elif len(words) == 1 and not named:
            values.append(lines.number(words[0]))
        else:
            wanted = "a name and a value" if named else "one value" if values else "a name and a value, or one value,"
            raise lines.error(f"{' '.join(words)[:60]!r} where {wanted} should be.")
    found.values = named or values
    if not found.values:
        raise lines.error("there is no value in the file.")
    return found
