"""CPLEX, XML: <CPLEXSolution> with a header, the linear constraints with their multipliers, and all variables."""

from __future__ import annotations

from xml.etree import ElementTree

from ...errors import FileError
from .found import ALL, Format, FoundSolution, Lines


def _read(lines: Lines) -> FoundSolution:
    found = FoundSolution("CPLEX, XML", columns=ALL)
    root = _parsed(lines)
    header = root.find("header")
    if root.tag != "CPLEXSolution" or header is None:
        raise lines.error(f"not a solution file that relumodel reads: XML of <{root.tag[:60]}>, and not of <CPLEXSolution>.")
    if header.get("primalFeasible", "1") != "1":
        raise lines.error(f"there is no solution in the file; CPLEX ended with {header.get('solutionStatusString')!r}.")
    if (stated := header.get("objectiveValue")) is not None:
        found.objective = lines.number(stated)
    values: dict[str, float] = {}
    for variable in root.iterfind("variables/variable"):
        _put(lines, values, variable, "value")
    for constraint in root.iterfind("linearConstraints/constraint"):
        if constraint.get("dual") is not None:
            _put(lines, found.multipliers, constraint, "dual")
    # the rise of the optimum with the right-hand side; z is minus that
    found.multipliers = {name: -value for name, value in found.multipliers.items()}
    found.values = values
    if not values:
        raise lines.error("there is no value in the file.")
    return found


def _put(lines: Lines, values: dict[str, float], element: ElementTree.Element, what: str) -> None:
    name, value = element.get("name"), element.get(what)
    if name is None or value is None:
        raise lines.error(f"a <{element.tag}> without name or {what}.")
    lines.put(values, name, value)


def _parsed(lines: Lines) -> ElementTree.Element:
    """The tree. Entities are refused before the parser sees them: a solution has none, and nested ones fill the memory."""
    text = "\n".join(lines.texts)
    lines.at = 1
    if "<!" in text.replace("<!--", ""):
        raise lines.error("XML with a document type or entities, which no solution has.")
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        lines.at = error.position[0]
        raise lines.error(f"not a solution file that relumodel reads, or one cut short: not XML ({error}).") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise FileError(f"{lines.path} is not XML that can be read: {error}.") from error


FORMAT = Format("CPLEX XML", lambda first: first.startswith("<"), _read)
