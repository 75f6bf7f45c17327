"""The documents tell the truth: Python blocks run, commands parse and are those of CI, links lead somewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import relumodel as rm
from relumodel import cli

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(document: Path, language: str) -> Iterator[tuple[int, str]]:
    """(line of its first line, text) of the fenced blocks in one language."""
    text = document.read_text()
    for match in BLOCK.finditer(text):
        if match[1] == language:
            yield text[: match.start(2)].count("\n") + 1, match[2]


def name(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_python_blocks_run_in_order(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("relumodel.solve.registry._registered", {})
    namespace: dict[str, Any] = {"__name__": document.stem}
    for line, code in blocks(document, "python"):
        # blank lines in front, so that a traceback points into the document
        exec(compile("\n" * (line - 1) + code, str(document), "exec", dont_inherit=True), namespace)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_command_lines_are_understood(document: Path) -> None:
    for _, text in blocks(document, "bash"):
        for command in re.findall(r"(?:^|/|&& )relumodel (.*?)(?=&&|$)", text, re.MULTILINE):
            cli.parser().parse_args(shlex.split(command, comments=True))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_somewhere(document: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", document.read_text()):
        if "://" not in target:
            page = document.parent / target if target else document
            assert page.exists(), f"{name(document)} links to {target}"
            assert not anchor or anchor in anchors(page), f"{name(document)} links to {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_ci_runs_the_commands_of_the_readme() -> None:
    commands = [text.strip() for _, text in blocks(ROOT / "README.md", "bash")]
    ci = (ROOT / ".ci" / "run").read_text()
    demo, tests = (next(c for c in commands if c.endswith(end)) for end in ("relumodel demo", "-m pytest"))
    assert f"\ndemo='{demo}'\n" in ci
    assert f"\ntests='{tests}'\n" in ci
    assert '\nbash -c "$tests" 2>&1 | tee tests.log || code=$?\n' in ci
    assert ci.endswith('\ntail -n 1 tests.log\nexit "$code"\n')


def test_every_public_name_is_documented() -> None:
    text = "\n".join(document.read_text() for document in DOCUMENTS)
    missing = [public for public in rm.__all__ if not re.search(rf"\b{public}\b", text)]
    assert not missing
