"""MOSEK, text .sol: a head, then tables of constraints, conic rows and variables, with multipliers."""

from __future__ import annotations

from .found import ALL, Format, FoundSolution, Lines

#: Entries of a line. Variables and constraints have index, name, status, activity, two limits, two multipliers; rows of cones have
#: index, name, position, activity, multiplier.
LENGTHS = {"VARIABLES": 8, "CONSTRAINTS": 8, "AFFINE CONIC CONSTRAINTS": 5}


def _read(lines: Lines) -> FoundSolution:
    found = FoundSolution("MOSEK", columns=ALL)
    lines.whole()
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
        elif words[0].isdecimal():
            _row(lines, words, sections[-1], found, values)
        elif words[0] != "INDEX":
            sections.append(text)
    if "VARIABLES" not in sections:
        raise lines.cut("before its VARIABLES")
    found.values = values
    return found


def _row(lines: Lines, words: list[str], section: str, found: FoundSolution, values: dict[str, float]) -> None:
    """One line of a table."""
    length = LENGTHS.get(section)
    if length is None:
        raise lines.error(f"a table {section[:60]!r}, which no file of relumodel has; the solution belongs to another program.")
    if len(words) < length:
        raise lines.error(f"{len(words)} entries where a line of {section} has {length}; was the file cut short?")
    if section == "VARIABLES":
        lines.put(values, words[1], words[3])
    elif section == "CONSTRAINTS":
        found.multipliers[words[1]] = lines.number(words[7]) - lines.number(words[6])
    else:
        found.cone_multipliers.append(lines.number(words[4]))


FORMAT = Format("MOSEK", lambda first: first.startswith("NAME ") and ":" in first, _read)
