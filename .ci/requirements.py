"""Print what the tests need, a requirement a line, without torch and the linters: `oldest` as the lower bounds that pyproject.toml
states, `newest` without upper bounds. Other versions of torch than the pinned one may pull gigabytes.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

LEFT_OUT = {"torch", "ruff", "mypy"}
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[(?P<extras>[^]]*)\])?(>=(?P<lowest>[^,;<\s]+))?$")


def requirements(project: dict, extra: str | None = None) -> dict[str, str]:
    """{distribution: lowest version} of the package, or of one of its extras."""
    lines = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    found: dict[str, str] = {}
    for line in lines:
        parts = REQUIREMENT.match(line)
        if parts is None:
            raise SystemExit(f"{line!r} in pyproject.toml is not of the form name>=version")
        if parts["name"] == project["name"]:
            nested = [requirements(project, each) for each in parts["extras"].split(",")]
        else:
            nested = [{parts["name"]: parts["lowest"]}]
        for each in nested:
            for name, lowest in each.items():
                found[name] = max(found.get(name, lowest), lowest, key=numbers)
    return found


def numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


if __name__ == "__main__":
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    needed = requirements(project) | requirements(project, "test")
    operator = {"oldest": "==", "newest": ">="}[sys.argv[1]]
    print(*(f"{name}{operator}{lowest}" for name, lowest in sorted(needed.items()) if name not in LEFT_OUT), sep="\n")
