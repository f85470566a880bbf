"""The user's editor on a temporary file, and what that file says."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apimachinery.yaml import to_yaml
from kubectl.cli.command import UsageError
from kubectl.output.printers import to_json, without_managed_fields

Dict = dict[str, Any]

_DEFAULT_EDITOR = "vi"
INTRO = """\
# Please edit the object below. Lines beginning with a '#' will be ignored,
# and an empty file will abort the edit. If an error occurs while saving this file will be
# reopened with the relevant failures.
#
"""


def edit_text(text: str, ending: str) -> tuple[str, Path]:
    """What the user made of it, and the file, which is the caller's to remove.

    Raises: UsageError where the editor fails.
    """
    command = os.environ.get("KUBE_EDITOR") or os.environ.get("EDITOR") or _DEFAULT_EDITOR
    descriptor, name = tempfile.mkstemp(prefix="mini-kubectl-edit-", suffix=ending)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    path = Path(name)
    try:
        subprocess.run([*shlex.split(command), name], check=True)
        return path.read_text(), path
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        path.unlink(missing_ok=True)
        raise UsageError(f'there was a problem with the editor "{command}"') from error
    finally:
        sys.stdout.flush()


def written(objects: Sequence[Dict], form: str) -> str:
    """Objects as they are edited: alone, or as a List."""
    whole = objects[0]
    if len(objects) > 1:
        whole = {"apiVersion": "v1", "items": [*objects], "kind": "List", "metadata": {}}
    return (to_json if form == "json" else to_yaml)(without_managed_fields(whole))


def header(intro: str, reasons: Sequence[str], form: str) -> str:
    """The comment above the objects, with the lines that say why the file is open again; JSON has none."""
    if form == "json":
        return ""
    lines = (line for reason in reasons for line in reason.splitlines() or [""])
    return intro + "".join(f"# {line}".rstrip() + "\n" for line in lines)


def content(text: str) -> str:
    """Without comment lines."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
