"""Every real `kubectl` on the machine: the one on PATH, and those of other versions that stand beside it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path


def find_kubectls() -> dict[str, Path]:
    """ "1.27" -> its program, oldest first; under "" the one on PATH. Empty where there is none."""
    program = shutil.which("kubectl")
    if program is None:
        return {}
    found: dict[str, Path] = {}
    for path in Path(program).resolve().parent.glob("kubectl.*"):
        if match := re.fullmatch(r"kubectl\.(\d+\.\d+)", path.name):
            found[match[1]] = path
    by_age = sorted(found.items(), key=lambda item: [int(part) for part in item[0].split(".")])
    return {**dict(by_age), "": Path(program)}


KUBECTLS = find_kubectls()
