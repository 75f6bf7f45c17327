"""SCIP, `write solution`: the objective, then name, value and cost of the variables that are not zero. Nothing marks its end, so what the
objective states is all that shows a missing line."""

from __future__ import annotations

from .found import NONZERO, Format, FoundSolution, Lines

#: What SCIP calls the value of a quadratic objective.
QUADRATIC = "qmatrixvar"


def _read(lines: Lines) -> FoundSolution:
    found = FoundSolution("SCIP", columns=NONZERO)
    lines.whole()
    values: dict[str, float] = {}
    for words in lines:
        if words[:2] == ["solution", "status:"]:
            continue
        if words[:2] == ["no", "solution"]:
            raise lines.error("there is no solution in the file.")
        if words[:2] == ["objective", "value:"] and len(words) == 3:
            found.objective = lines.number(words[2])
        elif len(words) == 2 or (len(words) == 3 and words[2].startswith("(obj:") and words[2].endswith(")")):
            if words[0] != QUADRATIC:
                lines.put(values, words[0], words[1])
        else:
            raise lines.error(f"{' '.join(words)[:60]!r} where a name and a value should be.")
    if found.objective is None:
        raise lines.cut("before its objective value")
    found.values = values
    return found


FORMAT = Format("SCIP", lambda first: first.startswith(("solution status:", "objective value:", "no solution available")), _read)
