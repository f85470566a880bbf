"""Makes an object out of flags, for `run` and `expose`."""

from __future__ import annotations

import argparse
import json
import re

from kubectl.api.client import Dict
from kubectl.changes.writing import PATCH_TYPES, add_write_flags, apply_patch, prepared, write_params
from kubectl.invocation.command import CommandContext, UsageError, refuse
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
    kind, is_list = args.override_type, isinstance(patch, list)
    refuse(
        (kind not in PATCH_TYPES, f"invalid override type: {kind}"),
        (kind == "json" and not is_list, "--overrides of type json must be a list of operations"),
        (kind != "json" and not isinstance(patch, dict), "--overrides must be an object"),
    )
    result = apply_patch(obj, patch, kind)
    if not isinstance(result.get("metadata"), dict):
        raise UsageError("--overrides leave no object")
    return result


def submit(context: CommandContext, args: argparse.Namespace, obj: Dict) -> Dict:
    """Creates the object, as --dry-run has it, and returns it as it is then. Raises: StatusError, UnknownType."""
    obj = prepared(obj, context.given_namespace, args)
    if args.dry_run == "client":
        return obj
    kind = context.discovery.by_kind(obj["apiVersion"], obj["kind"])
    return context.api.request("POST", kind.path(context.namespace), params=write_params(args), body=obj)
