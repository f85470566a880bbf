"""Makes an object out of flags, for `run` and `expose`."""

from __future__ import annotations

import argparse
import json
import re
from typing import Any

from apimachinery.patch.json import json_patch
from apimachinery.patch.merge import merge_patch
from kubectl.api.client import Dict
from kubectl.changes.writing import add_write_flags, model_of, with_last_applied, with_namespace, write_params
from kubectl.invocation.command import CommandContext, UsageError
from kubectl.invocation.flags import add_bool

PULL_POLICIES = ("", "Always", "IfNotPresent", "Never")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
IMAGE = re.compile(
    rf"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::\d+)?/|\[[0-9a-fA-F:]+\](?::\d+)?/)?{_PART}(?:/{_PART})*"
    r"(?::[\w][\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?"
)


def add_generator_flags(parser: argparse.ArgumentParser, manager: str) -> None:
    add_write_flags(parser, manager)
    add_bool(parser, "--save-config", default=False, help="keep the object's text for later applies")
    add_bool(parser, "--show-managed-fields", default=False, help="metadata.managedFields too, in YAML and JSON")
    parser.add_argument("--overrides", default="", metavar="JSON", help="changes to the object before it is sent")
    parser.add_argument(
        "--override-type", default="merge", metavar="merge|strategic|json", help="the type of patch that --overrides is"
    )


def pairs(text: str) -> dict[str, str]:
    """Reads "a=b,c=d". Raises: UsageError."""
    labels = {}
    for item in text.split(",") if text else ():
        key, equals, value = item.partition("=")
        if not key or not equals or "=" in value:
            raise UsageError(f"unexpected label spec: {item}")
        labels[key] = value
    return labels


def overridden(obj: Dict, args: argparse.Namespace) -> Dict:
    """The object with the changes of --overrides. Raises: UsageError for overrides that cannot be read."""
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
    from apimachinery.patch.strategic import strategic_merge_patch  # here: pydantic takes 80 ms

    return strategic_merge_patch(obj, patch, model_of(obj["apiVersion"], obj["kind"]))


def _object(value: Any) -> Dict:
    if not isinstance(value, dict) or not isinstance(value.get("metadata"), dict):
        raise UsageError("--overrides leave no object")
    return value


def submit(context: CommandContext, args: argparse.Namespace, obj: Dict) -> Dict:
    """Creates the object, as --dry-run has it, and returns it as it is then. Raises: StatusError, UnknownType."""
    obj = with_namespace(obj, context.given_namespace)
    if args.dry_run == "client":
        return obj
    if args.save_config:
        obj = with_last_applied(obj, context.given_namespace)
    kind = context.discovery.by_kind(obj["apiVersion"], obj["kind"])
    return context.api.request("POST", kind.path(context.namespace), params=write_params(args), body=obj)
