"""`edit`: opens objects in an editor and sends what was changed."""

from __future__ import annotations

import argparse

from kubectl.api.client import MERGE_PATCH, Dict
from kubectl.changes.editing import EditSession
from kubectl.changes.writing import (
    LAST_APPLIED,
    Report,
    add_field_manager,
    add_validate,
    compact,
    two_way_patch,
    with_last_applied,
    write_params,
)
from kubectl.input import candidates
from kubectl.input.manifests import Manifest, Target, add_file_arguments, resolve, select
from kubectl.invocation.command import Command
from kubectl.invocation.context import CommandContext, UsageError, blaming
from kubectl.invocation.flags import add_bool
from kubectl.invocation.parser import choice
from kubectl.output.printers import without_managed_fields

OUTPUT = choice(
    "", "json", "yaml",
    refusal='unable to match a printer suitable for the output format "%s", allowed formats are: json,yaml',
)  # fmt: skip


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", metavar="TYPE", help="TYPE NAME ... or TYPE/NAME ...")
    add_file_arguments(parser, "edit")
    parser.add_argument("-o", "--output", default="", type=OUTPUT, metavar="yaml|json", help="what is edited")
    parser.add_argument("--subresource", default="", metavar="NAME", help="edit this subresource, e.g. status")
    add_bool(parser, "--output-patch", default=False, help="also print the patch that is sent")
    add_bool(parser, "--save-config", default=False, help="keep the result for later applies")
    add_validate(parser)
    add_field_manager(parser, "kubectl-edit")


def run(context: CommandContext, args: argparse.Namespace) -> None:
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
    EditSession(context, args.output or "yaml", found, send, same_kind=not args.subresource).run()


def _patch(context: CommandContext, args: argparse.Namespace, target: Target, old: Dict, new: Dict) -> Dict:
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


def edit_before_creation(context: CommandContext, args: argparse.Namespace, manifests: list[Manifest]) -> None:
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
            EditSession(context, args.output or "yaml", [(Target(kind, manifest.name, namespace), obj)], create).run()


COMMAND = Command(
    "edit",
    "Edit objects in an editor",
    configure,
    run,
    completes=candidates.types_and_names,
    examples="""\
  mini-kubectl edit deployment web
  KUBE_EDITOR='code --wait' mini-kubectl edit configmap settings -o json""",
)
