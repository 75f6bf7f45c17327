"""GLPK: `glpsol -w` (all digits, no names) and `glpsol -o` (a printed report, six digits). HiGHS writes the same as styles 2 and 3."""

from __future__ import annotations

from .found import ALL, Format, FoundSolution, Lines

#: Letters of the report's statuses, with bounds the variable stands at; B is basic, where the multiplier is zero and left blank.
STATUSES = ("B", "NL", "NU", "NF", "NS")

NO_SOLUTION = "there is no solution in the file; its status is {!r}."


def _raw(lines: Lines) -> FoundSolution:
    """Comments (c), "s kind rows columns statuses objective", a line a row (i) and a column (j) by number, "e o f"."""
    found = FoundSolution("GLPK, as glpsol -w and HiGHS style 2 write it", columns=ALL)
    values: list[float] = []
    size: tuple[int, int] | None = None
    for words in lines:
        if words[0] == "c":
            if words[1:2] == ["Problem:"]:
                found.name = " ".join(words[2:]) or None
        elif words[0] == "s" and size is None:
            size = _start(lines, words, found)
        elif words[0] in "ij" and size is not None:
            _line(lines, words, found, values)
        elif words == ["e", "o", "f"]:
            break
        else:
            raise lines.error(f"{' '.join(words)[:60]!r} where a line c, s, i, j or 'e o f' should be.")
    else:
        raise lines.cut("before 'e o f'")
    if size is None or size[1] != len(values):
        raise lines.error(f"{len(values)} columns where line 's' has {0 if size is None else size[1]}.")
    if len(found.row_multipliers) != size[0]:
        found.row_multipliers = []
    found.values = values
    return found


def _start(lines: Lines, words: list[str], found: FoundSolution) -> tuple[int, int]:
    """s bas rows columns primal dual objective;  s ipt rows columns status objective;  s mip the same."""
    lengths = {"bas": 7, "ipt": 6, "mip": 6}
    if len(words) != lengths.get(words[1] if len(words) > 1 else ""):
        raise lines.error(f"{' '.join(words)[:60]!r} where 's bas', 's ipt' or 's mip' and its counts should be.")
    if words[4] not in "fo":
        raise lines.error(NO_SOLUTION.format(words[4]))
    found.objective = lines.number(words[-1])
    return lines.count(words[2], "rows"), lines.count(words[3], "columns")


def _line(lines: Lines, words: list[str], found: FoundSolution, values: list[float]) -> None:
    """i or j, number, a status where there is a basis, value, multiplier (none for mip)."""
    numbers = words[3:] if words[2:3] and words[2].isalpha() else words[2:]
    into = values if words[0] == "j" else found.row_multipliers
    expected = len(values) + 1 if words[0] == "j" else None
    if len(numbers) not in (1, 2) or (expected is not None and words[1] != str(expected)):
        raise lines.error(f"{' '.join(words)[:60]!r} where row or column {expected or ''}, its value and multiplier should be.")
    value = lines.number(numbers[0])
    if words[0] == "j":
        into.append(value)
    elif len(numbers) == 2:
        into.append(-lines.number(numbers[1]))


def _report(lines: Lines) -> FoundSolution:
    """Two tables, "No. Row name ..." and "No. Column name ...", then "End of output"."""
    found = FoundSolution("GLPK, as glpsol -o and HiGHS style 3 write it", columns=ALL)
    values: dict[str, float] = {}
    sizes, seen, table, status = {"Row": -1, "Column": -1}, {"Row": 0, "Column": 0}, "", ""
    for words in lines:
        text = " ".join(words)
        if text == "End of output":
            break
        if not table and ":" in words[0]:
            key = words[0].removesuffix(":")
            if key in ("Rows", "Columns"):
                sizes[key.removesuffix("s")] = lines.count(words[-1], key.lower())
            elif key == "Problem":
                found.name = " ".join(words[1:]) or None
            elif key == "Status":
                status = " ".join(words[1:])
            elif key == "Objective" and len(words) >= 5 and "=" in words:
                found.objective = lines.number(words[words.index("=") + 1])
        elif words[0] == "No." and words[1:2] and words[1] in sizes:
            table = words[1]
        elif table and words[0].isdecimal():
            seen[table] += 1
            _row(lines, words, table, found, values)
        elif words[0].startswith("Karush"):
            table = ""
    else:
        raise lines.cut("before 'End of output'")
    if "UNDEFINED" in status or "INFEASIBLE" in status or "EMPTY" in status or not values:
        raise lines.error(NO_SOLUTION.format(status))
    if seen != sizes:
        raise lines.error(
            f"{seen['Column']} columns and {seen['Row']} rows where its head has {sizes['Column']} and {sizes['Row']}."
        )
    found.values = values
    return found


def _row(lines: Lines, words: list[str], table: str, found: FoundSolution, values: dict[str, float]) -> None:
    """Number, name (a long one on a line of its own), status where there is a basis, activity, bounds, multiplier; blanks are left out."""
    entries = words[1:] if len(words) > 2 else [*words[1:2], *lines.next("the values of this name")]
    status = entries[1] if entries[1:2] and entries[1] in STATUSES else None
    numbers = entries[1 if status is None else 2 :]
    if not numbers:
        raise lines.error(f"no value for {entries[0] if entries else words[0]!r}.")
    value = lines.number(numbers[0])
    if table == "Column":
        lines.put(values, entries[0], numbers[0])
    elif status == "B" or numbers[-1] == "eps":  # "< eps"
        found.multipliers[entries[0]] = 0.0
    elif len(numbers) > 1:
        found.multipliers[entries[0]] = -lines.number(numbers[-1]) + 0.0 * value


FORMATS = (
    Format("GLPK", lambda first: first.startswith("c ") or first.split()[:2] in (["s", "bas"], ["s", "ipt"], ["s", "mip"]), _raw),
    Format("GLPK", lambda first: first.startswith("Problem:"), _report),
)
