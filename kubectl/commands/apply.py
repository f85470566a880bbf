"""`apply`: makes the cluster's objects what the manifests say, leaving alone what others set."""

from __future__ import annotations

import argparse
import copy
import json
from typing import Any

from apimachinery.errors import AlreadyExists, Conflict, NotFound, StatusError
from kubectl.client import MERGE_PATCH, STRATEGIC_MERGE_PATCH
from kubectl.command import Command, Context, UsageError, blaming
from kubectl.commands._arguments import add_dry_run, add_output, add_selector, dry_run_params, dry_run_suffix
from kubectl.discovery import ResourceType
from kubectl.manifests import Manifest, add_file_arguments, raise_all, read_manifests, resolve
from kubectl.parser import choice
from kubectl.printers import object_printer

Dict = dict[str, Any]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
VALIDATE = choice(
    "strict", "warn", "ignore", "true", "false",
    refusal='invalid - validate option "%s"; must be one of: strict (or true), warn, ignore (or false)',
)  # fmt: skip
ATTEMPTS = 5  # at a patch that loses a race, as kubectl's


def configure(parser: argparse.ArgumentParser) -> None:
    add_file_arguments(parser, "apply")
    add_dry_run(parser)
    add_output(parser)
    add_selector(parser)
    parser.add_argument(
        "--validate", nargs="?", const="strict", default="strict",
        metavar="strict|warn|ignore", type=VALIDATE, help="what to do about unknown and duplicate fields",
    )  # fmt: skip
    parser.add_argument("--overwrite", nargs="?", const="true", default="true", help=argparse.SUPPRESS)


def run(context: Context, args: argparse.Namespace) -> None:
    if not args.filename:
        raise UsageError("must specify -f and what to apply: a file, a folder, a URL or -")
    failed: list[Exception] = []
    results: list[Dict] = []
    show = object_printer(args.output) if args.output else None
    manifests = [
        m for m in read_manifests(args.filename, "apply", recursive=args.recursive) if _selected(m, args.selector)
    ]
    if not manifests:
        raise UsageError("no objects passed to apply")
    resolved = []
    for manifest in manifests:
        try:
            resolved.append((manifest, *resolve(context, manifest)))
        except UsageError as error:
            failed.append(error)
    for manifest, kind, namespace in resolved:
        try:
            result, verb = apply_one(context, manifest, kind, namespace, args)
        except (UsageError, StatusError) as error:
            failed.append(error)
            continue
        if show is None:
            context.print(f"{kind.display}/{result['metadata']['name']} {verb}{dry_run_suffix(args.dry_run)}")
        results.append(result)
    if show is not None and results:
        whole = results[0] if len(results) == 1 else {"apiVersion": "v1", "kind": "List", "items": results}
        context.out.write(show(whole))
    raise_all(failed)


def _selected(manifest: Manifest, selector: str) -> bool:
    from apimachinery.selectors import parse_label_selector

    return parse_label_selector(selector).matches(manifest.obj.get("metadata", {}).get("labels") or {})


def apply_one(
    context: Context, manifest: Manifest, kind: ResourceType, namespace: str, args: argparse.Namespace
) -> tuple[Dict, str]:
    """The object as stored and what happened: created, configured or unchanged.

    Raises: StatusError, UsageError.
    """
    if not manifest.name:
        if manifest.obj.get("metadata", {}).get("generateName"):
            raise UsageError(f"from {manifest.obj['metadata']['generateName']}: cannot use generate name with apply")
        raise UsageError(
            f"error when retrieving current configuration of:\n{_subject(kind, '', namespace)}\n"
            f'from server for: "{manifest.source}": resource name may not be empty'
        )
    modified = with_last_applied(manifest.obj, namespace)
    params = {"fieldManager": "kubectl-client-side-apply", **validation(args.validate), **dry_run_params(args.dry_run)}
    path = kind.path(namespace, manifest.name)
    for attempt in range(ATTEMPTS):
        try:
            current: Dict = context.api.request("GET", path)
        except NotFound:
            if args.dry_run == "client":
                return modified, "created"
            try:
                with blaming("creating", manifest.source):
                    return context.api.request("POST", kind.path(namespace), params=params, body=modified), "created"
            except AlreadyExists:
                if attempt + 1 == ATTEMPTS:
                    raise
                continue
        if args.dry_run == "client":
            return modified, "configured"
        patch, content_type = compute_patch(context, current, modified, kind)
        if not patch:
            return current, "unchanged"
        try:
            result = context.api.request("PATCH", path, params=params, body=patch, content_type=content_type)
        except Conflict:
            if attempt + 1 == ATTEMPTS:
                raise
            continue
        except StatusError as error:
            text = json.dumps(patch, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
            error.message = (
                f"error when applying patch:\n{text}\nto:\n{_subject(kind, manifest.name, namespace)}\n"
                f'for: "{manifest.source}": error when patching "{manifest.source}": {error.message}'
            )
            raise
        same = result["metadata"].get("resourceVersion") == current["metadata"].get("resourceVersion")
        return result, "unchanged" if same and args.dry_run == "none" else "configured"
    raise AssertionError("the last attempt returns or raises")


def _subject(kind: ResourceType, name: str, namespace: str) -> str:
    version = f"{kind.group}/{kind.version}"
    return (
        f'Resource: "{version}, Resource={kind.plural}", GroupVersionKind: "{version}, Kind={kind.kind}"\n'
        f'Name: "{name}", Namespace: "{namespace}"'
    )


def compute_patch(context: Context, current: Dict, modified: Dict, kind: ResourceType) -> tuple[Dict, str]:
    """The three-way patch and its content type."""
    # The models take longer to import than most verbs take to run.
    from apimachinery.catalogue import load_catalogue
    from apimachinery.patch import three_way_merge, three_way_strategic

    text = (current["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if text is None:
        context.warn(
            f"resource {kind.plural}/{current['metadata']['name']} is missing the {LAST_APPLIED} annotation which is "
            "required by mini-kubectl apply. mini-kubectl apply should only be used on resources created declaratively "
            "by either mini-kubectl create --save-config or mini-kubectl apply. The missing annotation will be patched "
            "automatically."
        )
    original = json.loads(text) if text else {}
    original = with_last_applied(original, "", annotate=False) if original else {}
    resource = load_catalogue().by_kind(kind.api_version, kind.kind)
    if resource is None:
        return three_way_merge(original, modified, current), MERGE_PATCH
    return three_way_strategic(original, modified, current, resource.model), STRATEGIC_MERGE_PATCH


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
        text = json.dumps(modified, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
        meta["annotations"] = {**annotations, LAST_APPLIED: text}
    return modified


def validation(mode: str) -> dict[str, str]:
    """The query parameter for --validate."""
    return {"fieldValidation": {"true": "Strict", "false": "Ignore"}.get(mode, mode.capitalize())}


COMMAND = Command(
    "apply",
    "Create or change objects so that they are as manifests say",
    configure,
    run,
    examples="""\
  # A file, a folder, standard input
  mini-kubectl apply -f deployment.yaml
  mini-kubectl apply -f manifests/ -R
  generate | mini-kubectl apply -f -
  # Let the server check it without storing anything
  mini-kubectl apply -f deployment.yaml --dry-run=server""",
)
