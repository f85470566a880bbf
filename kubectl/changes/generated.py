"""What the verbs share that make an object out of flags: `run`, `expose`, `autoscale`."""

from __future__ import annotations

import argparse
import json
import re
from typing import Any

from apimachinery.patch.json import json_patch
from apimachinery.patch.merge import merge_patch
from kubectl.api.client import Dict
from kubectl.changes.writing import add_field_manager, model_of, with_last_applied, write_params
from kubectl.invocation.context import CommandContext, UsageError
from kubectl.invocation.flags import add_bool, add_dry_run, add_output
from kubectl.output.printers import Printer, object_printer

PULL_POLICIES = ("", "Always", "IfNotPresent", "Never")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
IMAGE = re.compile(
    rf"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::\d+)?/|\[[0-9a-fA-F:]+\](?::\d+)?/)?{_PART}(?:/{_PART})*"
    r"(?::[\w][\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?"
)


def add_generated(parser: argparse.ArgumentParser, manager: str, *, overrides: bool = True) -> None:
    add_dry_run(parser)
    add_output(parser)
    add_field_manager(parser, manager)
    add_bool(parser, "--save-config", default=False, help="keep the object's text for later applies")
    add_bool(parser, "--show-managed-fields", default=False, help="metadata.managedFields too, in YAML and JSON")
    if overrides:
        parser.add_argument("--overrides", default="", metavar="JSON", help="changes to the object before it is sent")
        parser.add_argument(
            "--override-type", default="merge", metavar="merge|strategic|json", help="what --overrides is: a patch"
        )


def printer(args: argparse.Namespace) -> Printer | None:
    """None where a message is printed instead. Raises: UsageError."""
    if not args.output:
        return None
    return object_printer(args.output, managed_fields=args.show_managed_fields)


def pairs(text: str) -> dict[str, str]:
    """ "a=b,c=d". Raises: UsageError."""
    found = {}
    for item in text.split(",") if text else ():
        key, equals, value = item.partition("=")
        if not key or not equals or "=" in value:
            raise UsageError(f"unexpected label spec: {item}")
        found[key] = value
    return found


def overridden(obj: Dict, args: argparse.Namespace) -> Dict:
    """Raises: UsageError for overrides that cannot be read."""
    if not args.overrides:
        return obj
    try:
        patch = json.loads(args.overrides)
    except ValueError as error:
        raise UsageError("Invalid JSON Patch") from error
    if args.override_type == "json":
        if not isinstance(patch, list):
            raise UsageError("--overrides of type json must be a list of operations")
        return _object(json_patch(obj, patch))
    if not isinstance(patch, dict):
        raise UsageError("--overrides must be an object")
    if args.override_type == "merge":
        return _object(merge_patch(obj, patch))
    if args.override_type != "strategic":
        raise UsageError(f"invalid override type: {args.override_type}")
    from apimachinery.patch.strategic import strategic_merge_patch

    return strategic_merge_patch(obj, patch, model_of(obj["apiVersion"], obj["kind"]))


def _object(value: Any) -> Dict:
    if not isinstance(value, dict) or not isinstance(value.get("metadata"), dict):
        raise UsageError("--overrides leave no object")
    return value


def submit(context: CommandContext, args: argparse.Namespace, obj: Dict, *, with_namespace: bool = True) -> Dict:
    """Creates the object, as --dry-run has it; what came of it. Raises: StatusError, UnknownType."""
    if context.given_namespace and with_namespace:
        obj = {**obj, "metadata": {**obj["metadata"], "namespace": context.given_namespace}}
    if args.dry_run == "client":
        return obj
    if args.save_config:
        obj = with_last_applied(obj, context.given_namespace)
    kind = context.discovery.by_kind(obj["apiVersion"], obj["kind"])
    created: Dict = context.api.request("POST", kind.path(context.namespace), params=write_params(args), body=obj)
    return created
