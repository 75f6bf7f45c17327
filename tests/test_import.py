"""`import relumodel` loads NumPy and SciPy; everything optional is loaded where it is used."""

from __future__ import annotations

import json
import subprocess
import sys

OPTIONAL = {"cvxpy", "torch", "sklearn", "pandas", "matplotlib", "clarabel", "ecos", "scs", "highspy", "tqdm"}


def loaded(statement: str) -> set[str]:
    """The top-level modules in a fresh process after a statement."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(answer.stdout.splitlines()[-1]))


def test_import_loads_nothing_optional() -> None:
    assert not loaded("import relumodel") & OPTIONAL


def test_import_loads_no_backend() -> None:
    assert not {name for name in loaded("import relumodel") if name.startswith("relumodel_")}


def test_the_command_line_loads_nothing_optional() -> None:
    assert not loaded("import relumodel.cli") & OPTIONAL


def test_declaring_and_compiling_load_nothing_optional() -> None:
    work = (
        "import relumodel as rm\n"
        "model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(1.0))\n"
        "model.compile([[1.0, 2.0], [3.0, -1.0]], [1.0, 2.0], patterns=rm.EnumeratePatterns()).conic()"
    )
    assert not loaded(work) & OPTIONAL


def test_every_public_name_is_there_from_the_start() -> None:
    """In a fresh process: a submodule that something else imports later is missing before."""
    program = "import relumodel as rm\nprint([name for name in rm.__all__ if not hasattr(rm, name)])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
