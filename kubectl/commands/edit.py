"""`edit`: opens objects in an editor and sends what was changed."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apimachinery.errors import Invalid, StatusError
from kubectl.client import MERGE_PATCH
from kubectl.command import Command, Context, ExitCode, UsageError, blaming
from kubectl.commands._arguments import add_bool
from kubectl.commands._editor import content, edit_text, header, written
from kubectl.commands._writing import (
    LAST_APPLIED,
    add_field_manager,
    add_validate,
    compact,
    two_way_patch,
    with_last_applied,
    write_params,
)
from kubectl.manifests import Manifest, Target, add_file_arguments, parse_manifests, resolve, select
from kubectl.parser import choice
from kubectl.printers import without_managed_fields

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
    parser.add_argument("-o", "--output", default="yaml", type=OUTPUT, metavar="yaml|json", help="what is edited")
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
    if found:
        Session(context, args.output, found, lambda t, old, new: _patch(context, args, t, old, new)).run()


def _patch(context: Context, args: argparse.Namespace, target: Target, old: Dict, new: Dict) -> None:
    if args.save_config:
        text = compact(with_last_applied(new, target.namespace, annotate=False)) + "\n"
        annotations = {**(new["metadata"].get("annotations") or {}), LAST_APPLIED: text}
        new = {**new, "metadata": {**new["metadata"], "annotations": annotations}}
    patch, content_type = two_way_patch(old, new)
    if args.output_patch:
        context.print(f"Patch: {compact(patch)}")
    path = target.kind.path(target.namespace, target.name, args.subresource)
    if args.subresource:
        content_type = MERGE_PATCH  # a Scale has no model that says which lists merge
    context.api.request("PATCH", path, params=write_params(args), body=patch, content_type=content_type)
    context.print(f"{target.display} edited")


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
    """Some of the objects; `reasons` are (object, what was wrong with it)."""

    def __init__(self, reasons: list[tuple[str, list[str]]], objects: list[Dict]) -> None:
        super().__init__("refused")
        self.reasons, self.objects = reasons, objects


@dataclass
class Session:
    """One file, opened until it holds what the server takes, or is left as it is."""

    context: Context
    output: str
    found: list[tuple[Target, Dict]]
    send: Send

    def run(self) -> None:
        """Raises: UsageError where the last version is not valid; it is kept then, and its name said."""
        body = written([obj for _, obj in self.found], self.output)
        reasons: Sequence[tuple[str, Sequence[str]]] = ()
        while True:
            before = body
            body, file = edit_text(header(reasons, self.output) + before, f".{self.output}")
            body = content(body)
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
                if refused.objects:
                    body = written(refused.objects, self.output)
                file.unlink()
                continue
            file.unlink()
            return

    def _keep(self, file: Path) -> None:
        self.context.say(f'A copy of your changes has been stored to "{file}"')

    def _take(self, body: str, file: Path) -> None:
        """Sends what was changed. Raises: _Refused, UsageError, or all that went wrong for good."""
        try:
            edited = [manifest.obj for manifest in parse_manifests(body, "edited-file")]
            if not edited:
                raise UsageError("invalid object to validate")
        except UsageError as error:
            why = str(error).rpartition("error validating data: ")[2].rpartition("error converting YAML to JSON: ")[2]
            raise self._refusal(f'<nil>: Invalid value: "The edited file failed validation": {why}') from error
        pairs = [(target, old, _matching(old, edited)) for target, old in self.found]
        if any(new is None for _, _, new in pairs):
            self._keep(file)
            raise UsageError("At least one of apiVersion, kind and name was changed")
        failed: list[Exception] = []
        reasons: list[tuple[str, list[str]]] = []
        again: list[Dict] = []
        for target, old, new in pairs:
            if new is None or new == old:
                continue
            name = f'{target.kind.full_name} "{target.name}"'
            try:
                self.send(target, old, new)
            except Invalid as error:
                self.context.say(f"error: {name} is invalid")
                reasons.append((name, [str(cause) for cause in error.causes] or [error.message]))
                again.append(new)
            except StatusError as error:
                failed.append(UsageError(f"{name} could not be patched: {error.message}"))
        if failed:
            for failure in failed:
                self.context.say(f"error: {failure}")
            self.context.say(f"You can run `mini-kubectl replace -f {file}` to try this update again.")
            raise ExitCode(1)
        if reasons:
            raise _Refused(reasons, again)

    def _refusal(self, why: str) -> _Refused:
        target = self.found[0][0]
        name = f'{target.kind.full_name} "{target.name}"'
        self.context.say(f"error: {name} is invalid")
        return _Refused([(name, [why])], [])


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
