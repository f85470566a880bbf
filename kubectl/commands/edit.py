"""`edit`: opens objects in an editor and sends what was changed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apimachinery.errors import Invalid, StatusError
from kubectl.api.client import MERGE_PATCH
from kubectl.cli.command import Command, Context, ExitCode, UsageError, blaming
from kubectl.cli.parser import choice
from kubectl.commands._arguments import add_bool
from kubectl.commands._editor import INTRO, content, edit_text, header, written
from kubectl.commands._writing import (
    LAST_APPLIED,
    Report,
    add_field_manager,
    add_validate,
    compact,
    two_way_patch,
    with_last_applied,
    write_params,
)
from kubectl.input.manifests import Manifest, Target, add_file_arguments, parse_manifests, resolve, select
from kubectl.output.printers import without_managed_fields

Dict = dict[str, Any]
Send = Callable[[Target, Dict, Dict], None]

OUTPUT = choice(
    "", "json", "yaml",
    refusal='unable to match a printer suitable for the output format "%s", allowed formats are: json,yaml',
)  # fmt: skip
NO_CHANGES = "Edit cancelled, no changes made."


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", metavar="TYPE", help="TYPE NAME ... or TYPE/NAME ...")
    add_file_arguments(parser, "edit")
    parser.add_argument("-o", "--output", default="", type=OUTPUT, metavar="yaml|json", help="what is edited")
    parser.add_argument("--subresource", default="", metavar="NAME", help="edit this subresource, e.g. status")
    add_bool(parser, "--output-patch", default=False, help="also print the patch that is sent")
    add_bool(parser, "--save-config", default=False, help="keep the result for later applies")
    add_validate(parser)
    add_field_manager(parser, "kubectl-edit")


def run(context: Context, args: argparse.Namespace) -> None:
    found = []
    for target, obj in select(context, args.targets, args.filename, recursive=args.recursive, all_objects=True):
        if args.subresource:
            path = target.kind.path(target.namespace, target.name, args.subresource)
            obj = context.api.request("GET", path)
        found.append((target, without_managed_fields(obj)))
    report = Report(context, args)

    def send(target: Target, old: Dict, new: Dict) -> None:
        report(target.display, _patch(context, args, target, old, new), "edited")

    if not found:
        raise UsageError("edit cancelled, no objects found")
    Session(context, args.output or "yaml", found, send, same_kind=not args.subresource).run()


def _patch(context: Context, args: argparse.Namespace, target: Target, old: Dict, new: Dict) -> Dict:
    if args.save_config:
        annotations = {k: v for k, v in (new["metadata"].get("annotations") or {}).items() if k != LAST_APPLIED}
        text = compact({**new, "metadata": {**new["metadata"], "annotations": annotations}}) + "\n"
        new = {**new, "metadata": {**new["metadata"], "annotations": {**annotations, LAST_APPLIED: text}}}
    patch, content_type = two_way_patch(old, new)
    if args.output_patch:
        context.print(f"Patch: {compact(patch)}")
    path = target.kind.path(target.namespace, target.name, args.subresource)
    if args.subresource:
        content_type = MERGE_PATCH  # a Scale has no model that says which lists merge
    result: Dict = context.api.request("PATCH", path, params=write_params(args), body=patch, content_type=content_type)
    return result


def edit_before_creation(context: Context, args: argparse.Namespace, manifests: list[Manifest]) -> None:
    """`create --edit`: one object after the other."""

    def create(target: Target, old: Dict, new: Dict) -> None:
        obj = with_last_applied(new, target.namespace) if args.save_config else new
        made = context.api.request("POST", target.kind.path(target.namespace), params=write_params(args), body=obj)
        context.print(f"{target.kind.display}/{made['metadata']['name']} created")

    for manifest in manifests:
        kind, namespace = resolve(context, manifest)
        obj = manifest.obj
        if namespace:
            obj = {**obj, "metadata": {**obj.get("metadata", {}), "namespace": namespace}}
        with blaming("creating", manifest.source):
            Session(context, args.output or "yaml", [(Target(kind, manifest.name, namespace), obj)], create).run()


class _Refused(Exception):
    """The file is opened again; `reasons` are the lines above it that say why."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("refused")
        self.reasons = reasons


@dataclass
class Session:
    """One file, opened until it holds what the server takes, or is left as it is."""

    context: Context
    form: str  # yaml or json
    found: list[tuple[Target, Dict]]
    send: Send
    intro: str = INTRO
    same_kind: bool = True  # whether what is edited is of the kind that its target is of

    def run(self) -> None:
        """Raises: UsageError where the last version is not valid; it is kept then, and its name said."""
        body = written([obj for _, obj in self.found], self.form)
        reasons: list[str] = []
        while True:
            before = body
            text, file = edit_text(header(self.intro, reasons, self.form) + before, f".{self.form}")
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
        """Raises: _Refused where that are no objects."""
        try:
            edited = parse_manifests(body, "edited-file")
            if not edited:
                raise UsageError("invalid object to validate")
        except UsageError as error:
            name = _name(self.found[0][0])
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
        """Sends what was changed. Raises: _Refused, UsageError, ExitCode where all has been said."""
        edited = self._read(body)
        pairs = [(target, old, _matching(old, edited)) for target, old in self.found]
        if any(new is None for _, _, new in pairs):
            self._keep(file)
            raise UsageError("At least one of apiVersion, kind and name was changed")
        failed: list[str] = []
        reasons: list[str] = []
        left: list[tuple[Target, Dict]] = []
        for target, old, new in pairs:
            if new is None or new == old:
                self.context.print(f"{target.display} skipped")
                left.append((target, old))
                continue
            try:
                self.send(target, old, new)
            except Invalid as error:
                self.context.say(f"error: {_name(target)} is invalid")
                causes = [str(cause) for cause in error.causes] or [error.message]
                reasons += [f"{_name(target)} was not valid:", *(f"* {cause}" for cause in causes), ""]
                left.append((target, old))
            except StatusError as error:
                failed.append(f"{_name(target)} could not be patched: {error.message}")
        if failed:
            for failure in failed:
                self.context.say(f"error: {failure}")
            self.context.say(f"You can run `mini-kubectl replace -f {file}` to try this update again.")
            raise ExitCode(1)
        if reasons:
            self.found = left
            raise _Refused(reasons)


def _name(target: Target) -> str:
    return f'{target.kind.full_name} "{target.name}"'


def _matching(old: Dict, edited: list[Dict]) -> Dict | None:
    def identity(obj: Dict) -> tuple[object, ...]:
        meta = obj.get("metadata") or {}
        return (obj.get("apiVersion"), obj.get("kind"), meta.get("name"), meta.get("namespace"))

    return next((obj for obj in edited if identity(obj) == identity(old)), None)


COMMAND = Command(
    "edit",
    "Edit objects in an editor",
    configure,
    run,
    examples="""\
  mini-kubectl edit deployment web
  KUBE_EDITOR='code --wait' mini-kubectl edit configmap settings -o json""",
)
