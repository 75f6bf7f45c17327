"""MIPLIB's solution files: "=obj= value", then "name value" lines of what is not zero."""

from __future__ import annotations

from .found import NONZERO, Format, FoundSolution, Lines


def _read(lines: Lines) -> FoundSolution:
    found = FoundSolution("MIPLIB", columns=NONZERO)
    lines.whole()
    words = lines.next("=obj=")
    if words[0] != "=obj=" or len(words) != 2:
        raise lines.error(f"there is no solution in the file: {' '.join(words)[:60]!r} where '=obj=' and its value should be.")
    found.objective = lines.number(words[1])
    values: dict[str, float] = {}
    for words in lines:
        if len(words) != 2:
            raise lines.error(f"{' '.join(words)[:60]!r} where a name and a value should be.")
        lines.put(values, *words)
    found.values = values
    return found


FORMAT = Format("MIPLIB (=obj=)", lambda first: first.startswith("="), _read)
