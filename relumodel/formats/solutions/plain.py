"""Gurobi, COPT: comments (#), then "name value" lines of all columns. Anything else: "name value" lines, or one value a line."""

from __future__ import annotations

from .found import ALL, Format, FoundSolution, Lines

UNENDED = "its last line has no line end, so whether its last number is whole cannot be told"


def _read(lines: Lines) -> FoundSolution:
    found = FoundSolution('plain, "name value" lines')
    named: dict[str, float] = {}
    values: list[float] = []
    for words in lines:
        if words[0].startswith("#"):
            comment = " ".join(words).lstrip("# ")
            if comment.startswith("Objective value"):
                found.form, found.columns = "Gurobi or COPT", ALL
                found.objective = lines.number(words[-1])
            elif comment.startswith("Solution for model"):
                found.form, found.columns = "Gurobi or COPT", ALL
                found.name = words[-1]
        elif len(words) == 2 and not values:
            lines.put(named, *words)
        elif len(words) == 1 and not named:
            found.form = "plain, one value a line" if found.objective is None else found.form
            values.append(lines.number(words[0]))
        else:
            wanted = "a name and a value" if named else "one value" if values else "a name and a value, or one value,"
            raise lines.error(f"{' '.join(words)[:60]!r} where {wanted} should be.")
    found.values = named or values
    if not found.values:
        raise lines.error("there is no value in the file.")
    if found.columns == ALL:
        lines.whole()
    elif not lines.ended:
        found.doubt = UNENDED
    return found


def _plain(first: str) -> bool:
    return not first.startswith(("{", "[", "<"))


FORMAT = Format('Gurobi and COPT text, "name value" lines, or one value a line', _plain, _read)
