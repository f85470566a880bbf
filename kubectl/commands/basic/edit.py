"""`edit`: opens objects in an editor and sends what was changed."""

from __future__ import annotations

import argparse

from kubectl.api.client import MERGE_PATCH, Dict
from kubectl.changes import writing
from kubectl.changes.editing import EditSession
from kubectl.changes.writing import Report
from kubectl.input import candidates
from kubectl.input.targets import Target, add_targets, select
from kubectl.invocation.command import Command, CommandContext, UsageError
from kubectl.invocation.flags import add_bool
from kubectl.invocation.parser import choice
from kubectl.output.printers import without_managed_fields

OUTPUT = choice(
    "", "json", "yaml",
    refusal='unable to match a printer suitable for the output format "%s", allowed formats are: json,yaml',
)  # fmt: skip


def configure(parser: argparse.ArgumentParser) -> None:
    add_targets(parser, "edit", selector=False)
    parser.add_argument("-o", "--output", default="", type=OUTPUT, metavar="yaml|json", help="the form to edit")
    parser.add_argument("--subresource", default="", metavar="NAME", help="edit this subresource, e.g. status")
    add_bool(parser, "--save-config", default=False, help="keep the result for later applies")
    writing.add_validate(parser)
    writing.add_field_manager(parser, "kubectl-edit")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    objects = []
    for target, obj in select(context, args, everything=True):
        if args.subresource:
            obj = context.api.request("GET", target.subresource(args.subresource))
        objects.append((target, without_managed_fields(obj)))
    report = Report(context, args)

    def send(target: Target, old: Dict, new: Dict) -> None:
        report(target.display, _patch(context, args, target, old, new), "edited")

    if not objects:
        raise UsageError("edit cancelled, no objects found")
    EditSession(context, args.output or "yaml", objects, send, same_kind=not args.subresource).run()


def _patch(context: CommandContext, args: argparse.Namespace, target: Target, old: Dict, new: Dict) -> Dict:
    if args.save_config:
        annotations = writing.with_last_applied(new, "")["metadata"]["annotations"]
        new = {**new, "metadata": {**new["metadata"], "annotations": annotations}}
    patch, content_type = writing.two_way_patch(old, new)
    if args.subresource:
        content_type = MERGE_PATCH  # a Scale has no model that says which lists merge
    return context.api.patch(target.subresource(args.subresource), patch, content_type, writing.write_params(args))


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
