"""`apply view-last-applied`, `set-last-applied` and `edit-last-applied`: the annotation that apply compares with."""

from __future__ import annotations

import argparse
import json

from apimachinery.errors import StatusError
from apimachinery.yaml import to_yaml
from kubectl.api.client import MERGE_PATCH, Dict
from kubectl.changes.editing import EditSession
from kubectl.changes.writing import (
    LAST_APPLIED,
    Report,
    add_field_manager,
    compact,
    last_applied_of,
    with_last_applied,
)
from kubectl.input.manifests import (
    NOTHING_GIVEN,
    Target,
    add_file_arguments,
    raise_all,
    read_manifests,
    resolve,
    select,
)
from kubectl.invocation.context import CommandContext, UsageError
from kubectl.invocation.flags import add_bool, add_dry_run, add_output, add_selector, dry_run_params
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
    _add_targets(view, "show")
    view.add_argument("-o", "--output", default="yaml", type=_FORMAT, metavar="yaml|json")
    view.set_defaults(action=_view)
    put = verbs.add_parser("set-last-applied", help="Say that the manifests are what was applied last")
    add_file_arguments(put, "say it of")
    add_bool(put, "--create-annotation", default=False, help="also for objects that were never applied")
    add_dry_run(put)
    add_output(put)
    put.set_defaults(action=_set)
    edit = verbs.add_parser("edit-last-applied", help="Edit what was applied last")
    _add_targets(edit, "edit")
    edit.add_argument("-o", "--output", default="yaml", type=_FORMAT, metavar="yaml|json")
    add_field_manager(edit, "kubectl-edit")
    edit.set_defaults(action=_edit)


def _add_targets(parser: argparse.ArgumentParser, verb: str) -> None:
    parser.add_argument("targets", nargs="*", metavar="TYPE", help="TYPE NAME ... or TYPE/NAME ...")
    add_file_arguments(parser, verb)
    add_selector(parser)
    parser.add_argument("--all", action="store_true", help="all objects of the type in the namespace")


def _found(
    context: CommandContext, args: argparse.Namespace, failed: list[Exception] | None
) -> list[tuple[Target, Dict]]:
    return list(select(
        context, args.targets, args.filename, selector=args.selector, recursive=args.recursive, all_objects=args.all,
        failed=failed,
    ))  # fmt: skip


def _view(context: CommandContext, args: argparse.Namespace) -> None:
    failed: list[Exception] = []
    for _, obj in _found(context, args, failed):
        text = last_applied_of(obj)
        if text is None:
            continue
        value = json.loads(text)
        as_json = args.output == "json"
        context.out.write(json.dumps(value, indent=2, sort_keys=True) + "\n" if as_json else to_yaml(value))
    raise_all(failed)


def _set(context: CommandContext, args: argparse.Namespace) -> None:
    if not args.filename:
        raise UsageError(NOTHING_GIVEN)
    report = Report(context, args)
    changes = []
    for manifest in read_manifests(args.filename, "set-last-applied", recursive=args.recursive):
        kind, namespace = resolve(context, manifest)
        target = Target(kind, manifest.name, namespace)
        current = context.api.request("GET", target.path)
        have = last_applied_of(current)
        if have is None and not args.create_annotation:
            raise UsageError(
                f"no last-applied-configuration annotation found on resource: {target.name}, to create the annotation, "
                "run the command with --create-annotation"
            )
        text = compact(manifest.obj if not namespace else _in(manifest.obj, namespace)) + "\n"
        if text.strip() == (have or "").strip():
            context.say(f"set-last-applied {target.name}: no changes required.")
        else:
            changes.append((target, current, text))
    for target, current, text in changes:
        patch = {"metadata": {"annotations": {LAST_APPLIED: text}}}
        if args.dry_run == "client":
            annotations = {**(current["metadata"].get("annotations") or {}), LAST_APPLIED: text}
            current["metadata"]["annotations"] = annotations
        else:
            params = dry_run_params(args.dry_run)
            current = context.api.request("PATCH", target.path, params=params, body=patch, content_type=MERGE_PATCH)
        report(target.display, current, "configured")


def _in(obj: Dict, namespace: str) -> Dict:
    return {**obj, "metadata": {**obj.get("metadata", {}), "namespace": namespace}}


def _edit(context: CommandContext, args: argparse.Namespace) -> None:
    found = []
    for target, obj in _found(context, args, None):
        text = last_applied_of(obj)
        if text is None:
            raise UsageError(
                "no last-applied-configuration annotation found on resources, to create the annotation, use command "
                "`mini-kubectl apply set-last-applied --create-annotation`"
            )
        found.append((target, json.loads(text)))

    def send(target: Target, old: Dict, new: Dict) -> None:
        text = with_last_applied(new, target.namespace)["metadata"]["annotations"][LAST_APPLIED]
        patch = {"metadata": {"annotations": {LAST_APPLIED: text}}}
        params = {"fieldManager": args.field_manager}
        context.api.request("PATCH", target.path, params=params, body=patch, content_type=MERGE_PATCH)
        context.print(f"{target.display} edited")

    try:
        EditSession(context, args.output, found, send, _INTRO).run()
    except StatusError as error:
        raise UsageError(str(error)) from error
