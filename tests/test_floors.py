"""The floors of the house: every folder and file imports from below itself only, lazy and type-only imports counted, and nothing in circles.

What is declared and compiled knows nothing of what solves it; api.py is the only file that sees all of the library.
"""

import ast
import graphlib
from pathlib import Path

import relumodel

ROOT = Path(relumodel.__file__).parent

#: From the ground up. What is on one line may import each other's modules, in no circle.
FLOORS = """
errors
declared evaluation_mode files frames npz maps resources
functions
data
program
conic
faces
declare
arrangement
patterns certify robustness
pricing trained
attacks lift
formats
solve
backend
batches fit
api
__init__ losses penalties
sklearn testing training_files
demo
cli
"""

#: No file is longer: an idea that needs more is two.
LONGEST = 350


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
FLOOR = {part: floor for floor, line in enumerate(FLOORS.strip().splitlines()) for part in line.split()}


def part_of(module: str) -> str:
    return module.split(".")[0] or "__init__"


def test_every_import_resolves() -> None:
    assert not [(name, other) for name, others in IMPORTS.items() for other in others if other not in MODULES]


def test_nothing_imports_in_circles() -> None:
    graphlib.TopologicalSorter(IMPORTS).prepare()  # raises CycleError, which names the circle


def test_folders_do_not_import_in_circles() -> None:
    graph = {part_of(name): set() for name in IMPORTS}
    for name, others in IMPORTS.items():
        graph[part_of(name)] |= {part_of(other) for other in others} - {part_of(name)}
    graphlib.TopologicalSorter(graph).prepare()


def test_nothing_imports_upwards() -> None:
    assert set(FLOOR) == {part_of(name) for name in MODULES}
    upwards = [f"{a} imports {b}" for a, others in IMPORTS.items() for b in others if FLOOR[part_of(b)] > FLOOR[part_of(a)]]
    assert not upwards


def test_every_folder_says_what_it_holds() -> None:
    silent = [str(file) for file in MODULES.values() if not ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))]
    assert not silent


def test_files_are_short() -> None:
    long = {
        name: count for name, file in MODULES.items() if (count := len(file.read_text(encoding="utf-8").splitlines())) > LONGEST
    }
    assert not long
