"""No module imports in a circle, lazy and type-only imports counted: what is declared and compiled knows nothing of what solves it."""

import ast
import graphlib
from pathlib import Path

import relumodel

ROOT = Path(relumodel.__file__).parent


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(file): file for file in sorted(ROOT.rglob("*.py"))}


def imported(name: str, file: Path) -> set[str]:
    """The modules of relumodel that a file names in any import, wherever it stands."""
    out = set()
    here = name.split(".") if name else []
    if file.name != "__init__.py":
        here = here[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            out |= {alias.name.partition(".")[2] for alias in node.names if alias.name.split(".")[0] == "relumodel"}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = here[: len(here) - node.level + 1] + (node.module.split(".") if node.module else [])
            elif (node.module or "").split(".")[0] == "relumodel":
                base = (node.module or "").split(".")[1:]
            else:
                continue
            for alias in node.names:
                inner = ".".join([*base, alias.name])
                out.add(inner if inner in MODULES else ".".join(base))
    return out - {name}


IMPORTS = {name: imported(name, file) for name, file in MODULES.items()}


def test_nothing_imports_in_circles() -> None:
    graphlib.TopologicalSorter(IMPORTS).prepare()  # raises CycleError, which names the circle


def test_only_the_facades_know_all_of_the_library() -> None:
    for name in (
        "declare.model",
        "program.program",
        "functions.losses",
        "functions.penalties",
        "declare.perturbations",
        "declare.networks",
    ):
        for other in IMPORTS[name]:
            assert other.split(".")[0] not in {"api", "solve", "fit", "batches", "lift", "trained", "conic", "certify"}, other
