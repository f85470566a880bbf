"""The cases that don't come out as recorded yet, each with its reason: pending/FILE.yaml.

A list of groups, each `{reason: text, cases: [names]}`. The table shrinks by itself: a listed case that comes out as
recorded fails the test, and so does the name of a case that doesn't exist.
"""

from __future__ import annotations

from pathlib import Path

import yaml

FOLDER = Path(__file__).parent / "pending"
UNEXAMINED = "not examined yet"


def read(topic: str) -> dict[str, str]:
    """Returns case name -> reason."""
    file = FOLDER / f"{topic}.yaml"
    groups = yaml.safe_load(file.read_text()) if file.exists() else []
    return {name: group["reason"] for group in groups or [] for name in group["cases"]}


def write(topic: str, reasons: dict[str, str]) -> None:
    """Writes case name -> reason, given in the order of the cases."""
    file = FOLDER / f"{topic}.yaml"
    if not reasons:
        file.unlink(missing_ok=True)
        return
    groups: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        groups.setdefault(reason, []).append(name)
    document = [{"reason": reason, "cases": names} for reason, names in sorted(groups.items())]
    file.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=118))
