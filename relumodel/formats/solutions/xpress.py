"""Xpress, writeSlxSol: NAME, "C name value" for every column, ENDATA. It states no objective and has no multipliers."""

from __future__ import annotations

from .found import ALL, Format, FoundSolution, Lines


def _read(lines: Lines) -> FoundSolution:
    found = FoundSolution("Xpress, .slx", columns=ALL)
    values: dict[str, float] = {}
    name = lines.next("the name of the program")
    found.name = " ".join(name[1:]) or None
    for words in lines:
        if words == ["ENDATA"]:
            found.values = values
            return found
        if words[0] == "NAME":
            raise lines.error("a second solution; write one solution a file.")
        if words[0] != "C" or len(words) != 3:
            raise lines.error(f"{' '.join(words)[:60]!r} where 'C', a name and a value should be.")
        lines.put(values, *words[1:])
    raise lines.cut("before ENDATA")


FORMAT = Format("Xpress .slx", lambda first: first.split()[0] == "NAME", _read)
