"""CBC, `solve solution FILE`: "Optimal - objective value ...", then index, name, value, multiplier with eight digits.

Columns that are zero are left out; with `printingOptions all` there are none left out, and the rows come before the columns, with
their multipliers. "**" marks what is outside its bounds.
"""

from __future__ import annotations

import re

from .found import NONZERO, Format, FoundSolution, Lines

HEAD = re.compile(r"(.*\S)\s+- objective value\s+(\S+)")

#: Names of the rows of our .mps files.
ROW = re.compile(r"[rq]\d+")


def _read(lines: Lines) -> FoundSolution:
    found = FoundSolution("CBC", columns=NONZERO)
    lines.whole()
    head = HEAD.fullmatch(" ".join(lines.next("the objective value")))
    if head is None:
        raise lines.error("the first line does not state the objective value.")
    if "infeasible" in head[1].lower() or "unbounded" in head[1].lower():
        raise lines.error(f"there is no solution in the file; CBC ended with {head[1]!r}.")
    found.objective = lines.number(head[2])
    values: dict[str, float] = {}
    for words in lines:
        entry = words[1:] if words[0] == "**" else words
        if len(entry) != 4 or not entry[0].isdecimal():
            raise lines.error(f"{' '.join(words)[:60]!r} where index, name, value and multiplier should be.")
        if ROW.fullmatch(entry[1]):
            lines.number(entry[2])
            lines.put(found.multipliers, entry[1], entry[3])
            found.multipliers[entry[1]] *= -1
        else:
            lines.put(values, entry[1], entry[2])
            lines.number(entry[3])
    found.values = values
    return found


FORMAT = Format("CBC", lambda first: " - objective value " in first, _read)
