"""The documents name files and buffers that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FILE = re.compile(r"[\w./-]+/[\w.-]+\.(?:py|sh|yml|md)")


@cache
def source_files() -> list[str]:
    """Every file of the tree, from its root: "/apiserver/http/server.py"."""
    folders = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    files = [*ROOT.iterdir(), *(path for folder in folders for path in folder.rglob("*.*"))]
    return [f"/{path.relative_to(ROOT)}" for path in files]


def files_named(name: str) -> list[Path]:
    """The files whose path ends so: documents leave out folders that are plain from what they are about."""
    return [ROOT / file[1:] for file in source_files() if file.endswith(f"/{name}")]


def quoted(line: str) -> list[str]:
    return re.findall(r"`([^`]+)`", line)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_files_that_a_document_names_exist(document: Path) -> None:
    names = {name for line in document.read_text().splitlines() for name in quoted(line) if FILE.fullmatch(name)}
    assert [name for name in sorted(names) if not files_named(name)] == []


def buffers() -> Iterator[tuple[str, str]]:
    """(file, name) of flow.md's table, whose first cells have a file and then the names in it."""
    for line in (ROOT / "docs" / "flow.md").read_text().splitlines():
        file = ""
        for text in quoted(line.split("|")[1]) if line.startswith("|") else ():
            if text.endswith(".py"):
                file = text
            elif file and re.fullmatch(r"[\w.]+", text):
                yield file, text.rpartition(".")[2]


def test_the_buffers_of_the_table_have_these_names() -> None:
    table = list(buffers())
    assert len(table) > 50
    texts = {file: "\n".join(path.read_text() for path in files_named(file)) for file, _ in table}
    assert [f"{file} {name}" for file, name in table if not re.search(rf"\b{name}\b", texts[file])] == []
