"""HiGHS, writeSolution(path, style). Styles 2 and 3 are GLPK's, see glpk.py.

style 0    sections with a count each: primal columns and rows, dual columns and rows, the basis; by name, about 13 digits
style 4    the same with the primal columns that are not zero only: "# Columns -20 sparse", then name, value, index
style 1    tables of columns and rows with six digits, then "Model status" and "Objective value"
style -1   "56 128 : Number of columns and rows ...", then value, multiplier, status of every column and row, without names
"""

from __future__ import annotations

from .found import ALL, NONZERO, Format, FoundSolution, Lines

NO_SOLUTION = "there is no solution in the file; HiGHS ended with {!r}."


def _sections(lines: Lines) -> FoundSolution:
    """Styles 0 and 4."""
    found = FoundSolution("HiGHS, style 0", columns=ALL)
    lines.whole()
    lines.next("the model status")
    status = " ".join(lines.next("the model status"))
    part, seen = "primal", set()
    for words in lines:
        if words[0] != "#":
            if words == ["None"] and part == "primal":
                raise lines.error(NO_SOLUTION.format(status))
            if words[0] == "Objective" and len(words) == 2:
                found.objective = lines.number(words[1])
        elif words[1:2] in (["Dual"], ["Basis"]):
            part = words[1].lower()
        elif words[1:] and words[1] in ("Columns", "Rows"):
            if words[3:] == ["sparse"] and (part, words[1]) == ("primal", "Columns"):
                return _sparse(lines, words, found)
            if part == "basis":
                _statuses(lines, words)
                continue
            table = _counted(lines, words)
            if (part, words[1]) == ("primal", "Columns"):
                found.values = table
            elif (part, words[1]) == ("dual", "Rows"):
                # the rise of the optimum with the bound of the row; z is minus that
                found.multipliers = {name: -value for name, value in table.items()}
            seen.add((part, words[1]))
    if ("primal", "Columns") not in seen:
        raise lines.cut("before the values of the columns")
    if ("primal", "Rows") not in seen or part != "basis":
        raise lines.cut("before its rows, multipliers and basis")
    return found


def _counted(lines: Lines, words: list[str]) -> dict[str, float]:
    """The name-value lines that "# Columns n" announces."""
    values: dict[str, float] = {}
    what, count = words[1].lower(), _count(lines, words)
    for k in range(count):
        entry = lines.next(f"line {k + 1} of the {count} {what}")
        if len(entry) != 2 or entry[0] == "#":
            raise lines.error(f"{' '.join(entry)[:60]!r} where line {k + 1} of the {count} {what} should be: name and value.")
        lines.put(values, *entry)
    return values


def _count(lines: Lines, words: list[str]) -> int:
    """The number in "# Columns n"."""
    if len(words) < 3:
        raise lines.error(f"'# {words[1]}' without a count.")
    return lines.count(words[2].removeprefix("-"), words[1].lower())


def _sparse(lines: Lines, words: list[str], found: FoundSolution) -> FoundSolution:
    """Style 4: the columns that are not zero, and no more after them."""
    found.form, found.columns = "HiGHS, style 4", NONZERO
    values: dict[str, float] = {}
    count = _count(lines, words)
    for k in range(count):
        entry = lines.next(f"line {k + 1} of the {count} columns")
        if len(entry) != 3:
            raise lines.error(f"{' '.join(entry)[:60]!r} where line {k + 1} of the {count} columns should be: name, value, index.")
        lines.put(values, *entry[:2])
    found.values = values
    return found


def _statuses(lines: Lines, words: list[str]) -> None:
    """The basis is not needed, but shows that the file is whole: name and status a line, or in old versions all statuses on one line."""
    count, read = _count(lines, words), 0
    while read < count:
        entry = lines.next(f"the basis, {count} {words[1].lower()},")
        if entry[0] == "#":
            raise lines.cut(f"in its basis, after {read} of {count} {words[1].lower()}")
        read += count if len(entry) == count and count != 2 else 1


def _tables(lines: Lines) -> FoundSolution:
    """Style 1. Its last line states the objective, so a table cannot be cut unseen."""
    found = FoundSolution("HiGHS, style 1", columns=ALL)
    lines.whole()
    tables: dict[str, dict[str, list[str]]] = {}
    status, part = "", {}
    for words in lines:
        if words in (["Columns"], ["Rows"]):
            part = tables.setdefault(words[0], {})
            header = lines.next("the table's header")
            if header[0] != "Index" or "Name" not in header:
                raise lines.error("a table without the names of its rows and columns; use style 0.")
        elif words[:2] == ["Model", "status:"]:
            status = " ".join(words[2:])
        elif words[:2] == ["Objective", "value:"] and len(words) == 3:
            found.objective = lines.number(words[2])
        elif len(words) >= 6 and words[0].isdecimal():
            if words[-1] in part:
                raise lines.error(f"a second value for {words[-1]!r}.")
            part[words[-1]] = words[-3:-1]
            lines.number(words[-3])
            lines.number(words[-2])
        else:
            raise lines.error(f"{' '.join(words)[:60]!r} where a line of a table should be: index, status, bounds, values, name.")
    if found.objective is None or set(tables) != {"Columns", "Rows"}:
        raise lines.cut("before its objective value")
    if not tables["Columns"]:
        raise lines.error(NO_SOLUTION.format(status))
    found.values = {name: float(primal) for name, (primal, _) in tables["Columns"].items()}
    found.multipliers = {name: -float(dual) for name, (_, dual) in tables["Rows"].items()}
    return found


def _raw(lines: Lines) -> FoundSolution:
    """Style -1."""
    found = FoundSolution("HiGHS, style -1", columns=ALL)
    lines.whole()
    head = lines.next("the counts")
    sizes = {"Columns": lines.count(head[0], "columns"), "Rows": lines.count(head[1], "rows")}
    flags = [lines.next("what the file holds")[0] for _ in range(3)]
    if flags[0] != "T":
        raise lines.error(NO_SOLUTION.format("no primal solution"))
    tables: dict[str, list[list[float]]] = {}
    for what, size in sizes.items():
        if lines.next(what) != [what]:
            raise lines.error(f"{lines.texts[lines.at - 1].strip()[:60]!r} where {what!r} should stand.")
        tables[what] = []
        for k in range(size):
            words = lines.next(f"line {k + 1} of the {size} {what.lower()}")
            if len(words) != flags.count("T"):
                raise lines.error(f"{len(words)} entries where {flags.count('T')} should be.")
            tables[what].append([lines.number(word) for word in words])
    found.values = [row[0] for row in tables["Columns"]]
    if flags[1] == "T":
        found.row_multipliers = [-row[1] for row in tables["Rows"]]
    return found


FORMATS = (
    Format("HiGHS", lambda first: first == "Model status", _sections),
    Format("HiGHS", lambda first: first == "Columns", _tables),
    Format("HiGHS", lambda first: first.split(":")[-1].startswith(" Number of columns and rows"), _raw),
)
