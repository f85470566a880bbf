"""Lets the user edit objects in a temporary file until the server takes them."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from apimachinery.errors import Invalid, StatusError
from apimachinery.text.yaml import to_yaml
from kubectl.api.client import Dict
from kubectl.input.manifests import parse_manifests
from kubectl.input.targets import Target, resolve
from kubectl.invocation.command import CommandContext, ExitCode, UsageError
from kubectl.output.printers import to_json, without_managed_fields

Send = Callable[[Target, Dict, Dict], None]  # the target, the object as it was, and as it is edited

_DEFAULT_EDITOR = "vi"
NO_CHANGES = "Edit cancelled, no changes made."
INTRO = """\
# Please edit the object below. Lines beginning with a '#' will be ignored,
# and an empty file will abort the edit. If an error occurs while saving this file will be
# reopened with the relevant failures.
#
"""


def edit_text(text: str, ending: str) -> tuple[str, Path]:
    """The text as the user left it, and the file, which the caller removes.

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


def text_of_objects(objects: Sequence[Dict], form: str) -> str:
    """The text of the objects that are edited: of one alone, or of a List."""
    whole = objects[0]
    if len(objects) > 1:
        whole = {"apiVersion": "v1", "items": [*objects], "kind": "List", "metadata": {}}
    return (to_json if form == "json" else to_yaml)(without_managed_fields(whole))


def header(reasons: Sequence[str], form: str) -> str:
    """The comment above the objects, with the reasons why the file is open again; JSON has no comments."""
    if form == "json":
        return ""
    lines = (line for reason in reasons for line in reason.splitlines() or [""])
    return INTRO + "".join(f"# {line}".rstrip() + "\n" for line in lines)


def content(text: str) -> str:
    """The text without comment lines."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))


class _Refused(Exception):
    """Opens the file again, with `reasons` as lines above the objects."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("refused")
        self.reasons = reasons


@dataclass
class EditSession:
    """Opens one file again and again, until the server takes its objects or the user leaves them as they are."""

    context: CommandContext
    form: str  # yaml or json
    objects: list[tuple[Target, Dict]]
    send: Send
    same_kind: bool = True  # False of a subresource, whose kind is not that of its target

    def run(self) -> None:
        """Raises: UsageError where the last version is not valid; the file is kept then, and its name printed."""
        body = text_of_objects([obj for _, obj in self.objects], self.form)
        reasons: list[str] = []
        while True:
            before = body
            text, file = edit_text(header(reasons, self.form) + before, f".{self.form}")
            body = content(text)
            if body == content(before):
                if reasons:
                    self._keep(file)
                    raise UsageError("Edit cancelled, no valid changes were saved.")
                file.unlink()
                self.context.say(NO_CHANGES)
                return
            try:
                self._take(body, file)
            except _Refused as refused:
                reasons = refused.reasons
                file.unlink()
                continue
            file.unlink()
            return

    def _keep(self, file: Path) -> None:
        self.context.say(f'A copy of your changes has been stored to "{file}"')

    def _read(self, body: str) -> list[Dict]:
        """The edited objects. Raises: _Refused where the text holds none."""
        try:
            edited = parse_manifests(body, "edited-file")
            if not edited:
                raise UsageError("invalid object to validate")
        except UsageError as error:
            name = _name(self.objects[0][0])
            why = str(error).rpartition("error validating data: ")[2].rpartition("error converting YAML to JSON: ")[2]
            self.context.say(f"error: {name} is invalid")
            cause = f'* <nil>: Invalid value: "The edited file failed validation": {why}'
            raise _Refused([f"{name} was not valid:", cause, ""]) from error
        try:
            for manifest in edited if self.same_kind else ():
                resolve(self.context, manifest)
        except UsageError as error:
            raise _Refused([*f"The edited file had a syntax error: {error}".splitlines(), ""]) from error
        return [manifest.obj for manifest in edited]

    def _take(self, body: str, file: Path) -> None:
        """Sends what was changed. Raises: _Refused, UsageError, or ExitCode after printing each failure."""
        edited = self._read(body)
        pairs = [(target, old, _matching(old, edited)) for target, old in self.objects]
        if any(new is None for _, _, new in pairs):
            self._keep(file)
            raise UsageError("At least one of apiVersion, kind and name was changed")
        failed: list[str] = []
        reasons: list[str] = []
        remaining: list[tuple[Target, Dict]] = []
        for target, old, new in pairs:
            if new is None or new == old:
                self.context.print(f"{target.display} skipped")
                remaining.append((target, old))
                continue
            try:
                self.send(target, old, new)
            except Invalid as error:
                self.context.say(f"error: {_name(target)} is invalid")
                causes = [str(cause) for cause in error.causes] or [error.message]
                reasons += [f"{_name(target)} was not valid:", *(f"* {cause}" for cause in causes), ""]
                remaining.append((target, old))
            except StatusError as error:
                failed.append(f"{_name(target)} could not be patched: {error.message}")
        if failed:
            for failure in failed:
                self.context.say(f"error: {failure}")
            self.context.say(f"You can run `mini-kubectl replace -f {file}` to try this update again.")
            raise ExitCode(1)
        if reasons:
            self.objects = remaining
            raise _Refused(reasons)


def _name(target: Target) -> str:
    return f'{target.kind.full_name} "{target.name}"'


def _matching(old: Dict, edited: list[Dict]) -> Dict | None:
    def identity(obj: Dict) -> tuple[object, ...]:
        meta = obj.get("metadata") or {}
        return (obj.get("apiVersion"), obj.get("kind"), meta.get("name"), meta.get("namespace"))

    return next((obj for obj in edited if identity(obj) == identity(old)), None)
