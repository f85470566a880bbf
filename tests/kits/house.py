"""A copy of the source tree that a test adds files to, and the recipes of CONTRIBUTING.md to add."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


def recipe(heading: str) -> str:
    """The Python file that the section of CONTRIBUTING.md with this heading (its beginning) shows."""
    section = (ROOT / "CONTRIBUTING.md").read_text().partition(f"\n## {heading}")[2]
    code = section.partition("\n## ")[0].partition("```python\n")[2].partition("```")[0]
    assert code, f"CONTRIBUTING.md has no recipe under {heading!r}"
    return code


def build_house(folder: Path, files: Mapping[str, str]) -> Path:
    """A folder with a copy of every package and with `files`: `python -m apiserver` there runs the copy."""
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    for package in packages:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in files.items():
        assert not (folder / path).exists(), path
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    return folder
