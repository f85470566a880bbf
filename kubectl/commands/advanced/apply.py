"""`apply`: makes the cluster's objects what the manifests say, leaving alone what others set."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from functools import partial

from apimachinery.errors import AlreadyExists, Conflict, Invalid, NotFound, StatusError
from apimachinery.patch.merge import create_merge_patch, three_way_merge
from kubectl.api.client import MERGE_PATCH, STRATEGIC_MERGE_PATCH, Dict
from kubectl.api.discovery import ResourceType
from kubectl.changes import serverside, writing
from kubectl.changes.deletion import add_deletion_flags, delete_and_wait
from kubectl.changes.writing import Report
from kubectl.input.manifests import Manifest, add_file_arguments, read_manifests
from kubectl.input.targets import Target, resolve
from kubectl.invocation.command import Command, CommandContext, Failures, UsageError, blaming, refuse, retried
from kubectl.invocation.flags import add_bool, add_selector
from kubectl.output.printers import printer_of

ATTEMPTS = 5  # at a patch that loses a race, as kubectl's


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    add_file_arguments(parser, "apply")
    add_selector(parser)
    writing.add_write_flags(parser, "", validate=True)
    add_bool(parser, "--server-side", default=False, help="let the server merge, and keep account of who set what")
    add_bool(parser, "--force-conflicts", default=False, help="with --server-side: take fields over from others")
    add_bool(parser, "--overwrite", default=True, help="overwrite what others have changed since the last apply")
    add_bool(parser, "--force", default=False, help="delete and create anew what cannot be patched")
    add_bool(parser, "--wait", default=False, help=argparse.SUPPRESS)  # a deletion by --force is always waited for
    add_bool(parser, "--openapi-patch", default=True, help=argparse.SUPPRESS)
    add_deletion_flags(parser)


def run(context: CommandContext, args: argparse.Namespace) -> None:
    _check(args)
    apply = ClientSideApply(context, args) if not args.server_side else None
    report = Report(context, args)
    results: list[Dict] = []
    with Failures() as failed:
        for manifest, target in _resolved(context, args, failed):
            with failed.caught():
                if not manifest.name:
                    raise _nameless(manifest, target, server_side=args.server_side)
                result, done = apply(manifest, target) if apply else _apply_on_server(context, args, manifest, target)
                results.append(result)
                if not args.output:
                    report(f"{target.kind.display}/{result['metadata']['name']}", result, done)
        if args.output and results:
            whole = {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": results}
            context.out.write(printer_of(args)(results[0] if len(results) == 1 else whole))


def _check(args: argparse.Namespace) -> None:
    """Raises: UsageError for words, for no files, and for flags that contradict each other."""
    words = " ".join(args.words)
    refuse((words, f"Unexpected args: [{words}]\nSee 'mini-kubectl apply -h' for help and examples"))
    writing.need_files(args)
    refuse(
        (args.force and args.server_side, "--force cannot be used with --server-side"),
        (args.force_conflicts and not args.server_side, "--force-conflicts only works with --server-side"),
        (
            args.dry_run == "client" and args.server_side,
            "--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)",
        ),
        (args.dry_run == "server" and args.force, "--dry-run=server cannot be used with --force"),
    )


def _resolved(context: CommandContext, args: argparse.Namespace, failed: Failures) -> list[tuple[Manifest, Target]]:
    """Resolves all manifests before the first is applied."""
    pairs = []
    for manifest in read_manifests(args, "apply", selector=args.selector):
        with failed.caught():
            pairs.append((manifest, resolve(context, manifest)))
    return pairs


def _apply_on_server(
    context: CommandContext, args: argparse.Namespace, manifest: Manifest, target: Target
) -> tuple[Dict, str]:
    manager = args.field_manager or serverside.MANAGER
    writer = serverside.ServerSideApply(context, manager, writing.write_params(args), force=args.force_conflicts)
    return writer.apply(manifest, target), "serverside-applied"


@dataclass
class ClientSideApply:
    """Applies one object: called, it gives the object as stored and what happened: created, configured, unchanged.

    Raises: StatusError, UsageError.
    """

    context: CommandContext
    args: argparse.Namespace

    def __call__(self, manifest: Manifest, target: Target) -> tuple[Dict, str]:
        params = {
            **writing.write_params(self.args),
            "fieldManager": self.args.field_manager or "kubectl-client-side-apply",
        }
        modified = writing.with_last_applied(manifest.obj, target.namespace)
        attempt = partial(self._once, manifest, target, modified, params)
        return retried(ATTEMPTS, lambda _: attempt(), AlreadyExists, Conflict)

    def _once(self, manifest: Manifest, target: Target, modified: Dict, params: Dict) -> tuple[Dict, str]:
        dry = self.args.dry_run == "client"
        try:
            current = self.context.api.request("GET", target.path)
        except NotFound:
            return (modified if dry else self._create(manifest, target, modified, params)), "created"
        if writing.last_applied_of(current) is None:
            self._warn_not_applied(target)
        if dry:
            return current, "configured"
        patch, content_type = compute_patch(current, modified, overwrite=self.args.overwrite)
        if not patch:
            return current, "unchanged"
        try:
            result = self.context.api.patch(target.path, patch, content_type, params)
        except StatusError as error:
            if self.args.force and isinstance(error, Conflict | Invalid):
                return self._create_anew(manifest, target, modified, params), "configured"
            if isinstance(error, Conflict):
                raise
            raise _patch_refused(error, patch, manifest, target) from error
        same = result["metadata"].get("resourceVersion") == current["metadata"].get("resourceVersion")
        return result, "unchanged" if same and self.args.dry_run == "none" else "configured"

    def _create(self, manifest: Manifest, target: Target, modified: Dict, params: Dict) -> Dict:
        with blaming("creating", manifest.source):
            return self.context.api.request("POST", target.collection, params=params, body=modified)

    def _create_anew(self, manifest: Manifest, target: Target, modified: Dict, params: Dict) -> Dict:
        delete_and_wait(self.context, [target], self.args)
        return self._create(manifest, target, modified, params)

    def _warn_not_applied(self, target: Target) -> None:
        self.context.warn(
            f"resource {target.kind.plural}/{target.name} is missing the {writing.LAST_APPLIED} annotation which is "
            "required by mini-kubectl apply. mini-kubectl apply should only be used on resources created declaratively "
            "by either mini-kubectl create --save-config or mini-kubectl apply. The missing annotation will be patched "
            "automatically."
        )


def _nameless(manifest: Manifest, target: Target, *, server_side: bool) -> UsageError:
    if generated := manifest.obj.get("metadata", {}).get("generateName"):
        return UsageError(f"from {generated}: cannot use generate name with apply")
    if server_side:
        return UsageError("resource name may not be empty")
    return UsageError(
        f"error when retrieving current configuration of:\n{_subject(target.kind, '', target.namespace)}\n"
        f'from server for: "{manifest.source}": resource name may not be empty'
    )


def _patch_refused(error: StatusError, patch: Dict, manifest: Manifest, target: Target) -> StatusError:
    """The same error, with all that was tried in its message."""
    error.message = (
        f"error when applying patch:\n{writing.compact(patch)}\nto:\n"
        f"{_subject(target.kind, target.name, target.namespace)}\n"
        f'for: "{manifest.source}": error when patching "{manifest.source}": {error.message}'
    )
    return error


def _subject(kind: ResourceType, name: str, namespace: str) -> str:
    version = f"{kind.group}/{kind.version}"
    return (
        f'Resource: "{version}, Resource={kind.plural}", GroupVersionKind: "{version}, Kind={kind.kind}"\n'
        f'Name: "{name}", Namespace: "{namespace}"'
    )


def compute_patch(current: Dict, modified: Dict, *, overwrite: bool = True) -> tuple[Dict, str]:
    """The three-way patch of what was last applied, what shall be and what is, and its content type.

    Raises: UsageError where it would change what others have changed, and must not `overwrite`.
    """
    from apimachinery.patch.strategic import three_way_strategic  # here: pydantic takes 80 ms

    text = writing.last_applied_of(current)
    original = writing.with_last_applied(json.loads(text), "", annotate=False) if text else {}
    model = writing.model_of(str(modified["apiVersion"]), str(modified["kind"]))
    if model is None:
        patch, content_type = three_way_merge(original, modified, current), MERGE_PATCH
    else:
        patch = three_way_strategic(original, modified, current, model)
        content_type = STRATEGIC_MERGE_PATCH
    if not overwrite and (at := _conflict(patch, create_merge_patch(original, current))):
        raise UsageError(f"the patch changes {at}, which has been changed since it was last applied")
    return patch, content_type


def _conflict(patch: Dict, changed: Dict) -> str:
    """The path of the first field that both change, each to something else; "" where there is none."""
    for key, value in patch.items():
        if key not in changed or key == writing.LAST_APPLIED:
            continue
        if isinstance(value, dict) and isinstance(changed[key], dict):
            if inner := _conflict(value, changed[key]):
                return f"{key}.{inner}"
        elif value != changed[key]:
            return key
    return ""


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
  # Let the server merge, and take over fields that others set
  mini-kubectl apply --server-side --force-conflicts -f deployment.yaml
  # Let the server check it without storing anything
  mini-kubectl apply -f deployment.yaml --dry-run=server""",
)
