"""Flags of verbs that write, the parameters of their requests, and the report of the outcome."""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable
from typing import Any

from apimachinery.patch.json import json_patch
from apimachinery.patch.merge import create_merge_patch, merge_patch
from kubectl.api.client import JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, Dict
from kubectl.input.targets import Target, select
from kubectl.invocation.command import CommandContext, Failures, UsageError
from kubectl.invocation.flags import add_dry_run, add_output, dry_run_params, dry_run_suffix
from kubectl.invocation.parser import choice
from kubectl.output.printers import printer_of

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
PATCH_TYPES = {"json": JSON_PATCH, "merge": MERGE_PATCH, "strategic": STRATEGIC_MERGE_PATCH}
NO_FILES = "must specify one of -f and -k"
VALIDATE = choice(
    "strict", "warn", "ignore", "true", "false",
    refusal='invalid - validate option "%s"; must be one of: strict (or true), warn, ignore (or false)',
)  # fmt: skip


def add_write_flags(parser: argparse.ArgumentParser, manager: str, *, validate: bool = False) -> None:
    """Adds --dry-run, -o, --field-manager and, where asked for, --validate."""
    add_dry_run(parser)
    add_output(parser)
    add_field_manager(parser, manager)
    if validate:
        add_validate(parser)


def add_field_manager(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--field-manager", default=default, metavar="NAME", help=f"who is said to write, instead of {default}"
    )


def add_validate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--validate", nargs="?", const="strict", default="strict",
        metavar="strict|warn|ignore", type=VALIDATE, help="what to do about unknown and duplicate fields",
    )  # fmt: skip


def write_params(args: argparse.Namespace) -> dict[str, str]:
    """The query parameters of a write, from the flags that the verb has."""
    options = vars(args)
    params = {"fieldManager": args.field_manager} if options.get("field_manager") else {}
    if mode := options.get("validate"):
        params["fieldValidation"] = {"true": "Strict", "false": "Ignore"}.get(mode, mode.capitalize())
    return params | dry_run_params(options.get("dry_run", "none"))


class Report:
    """Reports the outcome for each object: in a line, or by the object in the format of `-o`."""

    def __init__(
        self, context: CommandContext, args: argparse.Namespace, *, documents: bool = False, suffix: bool = True
    ) -> None:
        """`documents`: YAML has a line between objects. `suffix`: lines say that they are about a dry run."""
        options = vars(args)
        self._context = context
        self._print = printer_of(args) if args.output else None
        self._suffix = dry_run_suffix(options.get("dry_run", "none")) if suffix else ""
        self._separator, self._before = "---\n" if documents and args.output == "yaml" else "", ""

    def __call__(self, display: str, obj: Dict, done: str) -> None:
        if self._print is not None:
            self._context.out.write(self._before + self._print(obj))
            self._before = self._separator
        else:
            self._context.print(f"{display} {done}{self._suffix}")


def for_each_selected(
    context: CommandContext,
    args: argparse.Namespace,
    action: Callable[[Target, Dict], None],
    *,
    words: list[str] | None = None,
    everything: bool | None = None,
) -> None:
    """Does `action` with every object that the arguments mean; what fails is raised at the end, after all others."""
    with Failures() as failed:
        for target, obj in select(context, args, failed, words=words, everything=everything):
            with failed.caught():
                action(target, obj)


def model_of(api_version: str, kind: str) -> Any:
    """The model of a kind; None where there is none (a CRD's)."""
    from apimachinery.catalogue import load_catalogue  # here: the models of all kinds take 300 ms

    resource = load_catalogue().by_kind(api_version, kind)
    return resource.model if resource is not None else None


def apply_patch(obj: Dict, patch: Any, kind: str) -> Dict:
    """The object as the server would store it; `kind` is one of PATCH_TYPES. Raises: StatusError, UsageError."""
    if kind == "json":
        return dict(json_patch(obj, patch))
    if kind == "merge":
        return dict(merge_patch(obj, patch))
    from apimachinery.patch.strategic import strategic_merge_patch  # here: pydantic takes 80 ms

    model = model_of(str(obj["apiVersion"]), str(obj["kind"]))
    if model is None:
        raise UsageError("strategic merge patch is not supported for this kind: try --type merge")
    return strategic_merge_patch(obj, patch, model)


def two_way_patch(old: Dict, new: Dict) -> tuple[Dict, str]:
    """The patch that turns `old` into `new`, and its content type."""
    from apimachinery.patch.strategic import three_way_strategic  # here: pydantic takes 80 ms

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


def prepared(obj: Dict, namespace: str, args: argparse.Namespace) -> Dict:
    """The object as it is sent to `namespace`: with --save-config, its text goes with it."""
    return with_last_applied(obj, namespace) if args.save_config else with_namespace(obj, namespace)


def with_namespace(obj: Dict, namespace: str) -> Dict:
    return {**obj, "metadata": {**obj.get("metadata", {}), "namespace": namespace}} if namespace else obj


def compact(value: object) -> str:
    """JSON as it stands in annotations and messages."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def need_files(args: argparse.Namespace) -> None:
    """Raises: UsageError where neither -f nor -k is given."""
    if not args.filename:
        raise UsageError(NO_FILES)
