"""The real `kubectl`s to compare with: the one on PATH, and those of other versions that stand beside it.

Of those beside it only the oldest and the newest are used, unless ALL_KUBECTLS is set (`make test-clients`).
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path


def find_kubectls(*, every: bool) -> dict[str, Path]:
    """ "1.27" -> its program, oldest first; under "" the one on PATH. Empty where there is none."""
    program = shutil.which("kubectl")
    if program is None:
        return {}
    programs: dict[str, Path] = {}
    for path in Path(program).resolve().parent.glob("kubectl.*"):
        if match := re.fullmatch(r"kubectl\.(\d+\.\d+)", path.name):
            programs[match[1]] = path
    by_age = sorted(programs, key=lambda version: [int(part) for part in version.split(".")])
    versions = by_age if every else dict.fromkeys([*by_age[:1], *by_age[-1:]])
    return {**{version: programs[version] for version in versions}, "": Path(program)}


KUBECTLS = find_kubectls(every=bool(os.environ.get("ALL_KUBECTLS")))
