"""`apply view-last-applied`, `set-last-applied` and `edit-last-applied`: the annotation that apply compares with."""

from __future__ import annotations

import argparse
import json

from apimachinery.errors import StatusError
from apimachinery.yaml import to_yaml
from kubectl.api.client import MERGE_PATCH, Dict
from kubectl.changes import writing
from kubectl.changes.editing import EditSession
from kubectl.changes.writing import Report
from kubectl.input.manifests import add_file_arguments, read_manifests
from kubectl.input.targets import NOTHING_GIVEN, Target, add_targets, resolve, select
from kubectl.invocation.command import CommandContext, UsageError
from kubectl.invocation.flags import add_bool, add_dry_run, add_output, dry_run_params
from kubectl.invocation.parser import choice

_FORMAT = choice(
    "yaml", "json",
    refusal="Unexpected -o output mode: %s, the flag 'output' must be one of yaml|json\n"
    "See 'mini-kubectl apply view-last-applied -h' for help and examples",
)  # fmt: skip


_INTRO = """\
# Please edit the 'last-applied-configuration' annotations below.
# Lines beginning with a '#' will be ignored, and an empty file will abort the edit.
#
"""


def add_verbs(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    view = verbs.add_parser("view-last-applied", help="Show what was applied last")
    view.set_defaults(action=_view)
    edit = verbs.add_parser("edit-last-applied", help="Edit what was applied last")
    edit.set_defaults(action=_edit)
    writing.add_field_manager(edit, "kubectl-edit")
    for sub, verb in ((view, "show"), (edit, "edit")):
        add_targets(sub, verb, everything=True)
        sub.add_argument("-o", "--output", default="yaml", type=_FORMAT, metavar="yaml|json")
    put = verbs.add_parser("set-last-applied", help="Record the manifests as what was applied last")
    add_file_arguments(put, "record")
    add_bool(put, "--create-annotation", default=False, help="also for objects that were never applied")
    add_dry_run(put)
    add_output(put)
    put.set_defaults(action=_set)


def _view(context: CommandContext, args: argparse.Namespace) -> None:
    def view(target: Target, obj: Dict) -> None:
        if text := writing.last_applied_of(obj):
            value = json.loads(text)
            as_json = args.output == "json"
            context.out.write(json.dumps(value, indent=2, sort_keys=True) + "\n" if as_json else to_yaml(value))

    writing.for_each_selected(context, args, view)


def _set(context: CommandContext, args: argparse.Namespace) -> None:
    if not args.filename:
        raise UsageError(NOTHING_GIVEN)
    report = Report(context, args)
    changes = []
    for manifest in read_manifests(args, "set-last-applied"):
        target = resolve(context, manifest)
        current = context.api.request("GET", target.path)
        present = writing.last_applied_of(current)
        if present is None and not args.create_annotation:
            raise UsageError(
                f"no last-applied-configuration annotation found on resource: {target.name}, to create the annotation, "
                "run the command with --create-annotation"
            )
        text = writing.compact(writing.with_namespace(manifest.obj, target.namespace)) + "\n"
        if text.strip() == (present or "").strip():
            context.say(f"set-last-applied {target.name}: no changes required.")
        else:
            changes.append((target, current, text))
    for target, current, text in changes:
        if args.dry_run == "client":
            annotations = {**(current["metadata"].get("annotations") or {}), writing.LAST_APPLIED: text}
            current["metadata"]["annotations"] = annotations
        else:
            current = _annotate(context, target, text, dry_run_params(args.dry_run))
        report(target.display, current, "configured")


def _annotate(context: CommandContext, target: Target, text: str, params: Dict) -> Dict:
    patch = {"metadata": {"annotations": {writing.LAST_APPLIED: text}}}
    return context.api.patch(target.path, patch, MERGE_PATCH, params)


def _edit(context: CommandContext, args: argparse.Namespace) -> None:
    objects = []
    for target, obj in select(context, args):
        text = writing.last_applied_of(obj)
        if text is None:
            raise UsageError(
                "no last-applied-configuration annotation found on resources, to create the annotation, use command "
                "`mini-kubectl apply set-last-applied --create-annotation`"
            )
        objects.append((target, json.loads(text)))

    def send(target: Target, old: Dict, new: Dict) -> None:
        text = writing.with_last_applied(new, target.namespace)["metadata"]["annotations"][writing.LAST_APPLIED]
        _annotate(context, target, text, {"fieldManager": args.field_manager})
        context.print(f"{target.display} edited")

    try:
        EditSession(context, args.output, objects, send, _INTRO).run()
    except StatusError as error:
        raise UsageError(str(error)) from error
