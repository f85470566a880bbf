"""What verbs that write share: in whose name, how it is checked, as what patch, and how the outcome is told."""

from __future__ import annotations

import argparse
import copy
import json
from typing import Any

from kubectl.api.client import MERGE_PATCH, STRATEGIC_MERGE_PATCH, Dict
from kubectl.invocation.context import CommandContext, UsageError
from kubectl.invocation.flags import dry_run_params, dry_run_suffix
from kubectl.invocation.parser import choice
from kubectl.output.printers import object_printer

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
NO_FILES = "must specify one of -f and -k"
VALIDATE = choice(
    "strict", "warn", "ignore", "true", "false",
    refusal='invalid - validate option "%s"; must be one of: strict (or true), warn, ignore (or false)',
)  # fmt: skip


def add_field_manager(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--field-manager", default=default, metavar="NAME", help=f"who is said to write, instead of {default}"
    )


def add_validate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--validate", nargs="?", const="strict", default="strict",
        metavar="strict|warn|ignore", type=VALIDATE, help="what to do about unknown and duplicate fields",
    )  # fmt: skip


def validation(mode: str) -> dict[str, str]:
    """The query parameter for --validate."""
    return {"fieldValidation": {"true": "Strict", "false": "Ignore"}.get(mode, mode.capitalize())}


def write_params(args: argparse.Namespace) -> dict[str, str]:
    """The query parameters of a write, from the flags that the verb has."""
    params = {"fieldManager": args.field_manager} if args.field_manager else {}
    if hasattr(args, "validate"):
        params |= validation(args.validate)
    return params | dry_run_params(getattr(args, "dry_run", "none"))


class Report:
    """Tells what became of each object: a line, or the object in the format of `-o`."""

    def __init__(self, context: CommandContext, args: argparse.Namespace, *, documents: bool = False) -> None:
        """`documents`: YAML has a line between objects."""
        self._context, self._args = context, args
        self._show = object_printer(args.output) if args.output else None
        self._separator, self._before = "---\n" if documents and args.output == "yaml" else "", ""

    def __call__(self, display: str, obj: Dict, done: str, *, suffix: bool = True) -> None:
        if self._show is not None:
            self._context.out.write(self._before + self._show(obj))
            self._before = self._separator
        else:
            end = dry_run_suffix(getattr(self._args, "dry_run", "none")) if suffix else ""
            self._context.print(f"{display} {done}{end}")


def model_of(api_version: str, kind: str) -> Any:
    """The model of a kind, None where there is none (a CRD's).

    The models take longer to import than most verbs take to run, so they are imported once one is asked for.
    """
    from apimachinery.catalogue import load_catalogue

    resource = load_catalogue().by_kind(api_version, kind)
    return resource.model if resource is not None else None


def two_way_patch(old: Dict, new: Dict) -> tuple[Dict, str]:
    """The patch that turns `old` into `new`, and its content type."""
    from apimachinery.patch.merge import create_merge_patch
    from apimachinery.patch.strategic import three_way_strategic

    model = model_of(str(old["apiVersion"]), str(old["kind"]))
    if model is None:
        return create_merge_patch(old, new), MERGE_PATCH
    return three_way_strategic(old, new, old, model), STRATEGIC_MERGE_PATCH


def last_applied_of(obj: Dict) -> str | None:
    text: str | None = (obj.get("metadata", {}).get("annotations") or {}).get(LAST_APPLIED)
    return text


def with_last_applied(obj: Dict, namespace: str, *, annotate: bool = True) -> Dict:
    """The manifest with its namespace, and its own text as the last-applied annotation."""
    modified = copy.deepcopy(obj)
    meta = modified.setdefault("metadata", {})
    meta.pop("resourceVersion", None)
    meta.pop("creationTimestamp", None)
    modified.pop("status", None)
    if namespace:
        meta["namespace"] = namespace
    annotations = {k: v for k, v in (meta.get("annotations") or {}).items() if k != LAST_APPLIED}
    meta["annotations"] = annotations
    if annotate:
        meta["annotations"] = {**annotations, LAST_APPLIED: compact(modified) + "\n"}
    return modified


def compact(value: object) -> str:
    """JSON as it stands in annotations and messages."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def send_raw(context: CommandContext, method: str, path: str, body: str = "") -> str:
    """For --raw: the answer as it is. Raises: UsageError for what is no path, StatusError."""
    if not path.startswith("/"):
        raise UsageError(f'--raw must be a valid URL path: parse "{path}": invalid URI for request')
    return context.api.send_raw(method, path, body.encode() or None)


def need_files(args: argparse.Namespace) -> None:
    """Raises: UsageError where neither -f nor -k is given."""
    if not args.filename:
        raise UsageError(NO_FILES)
