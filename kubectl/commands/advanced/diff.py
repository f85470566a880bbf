"""`diff`: shows what `apply` would change, by the server's own reckoning."""

from __future__ import annotations

import argparse
import copy
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from apimachinery.errors import Conflict
from apimachinery.text.yaml import to_yaml
from kubectl.api.client import Dict
from kubectl.changes import serverside
from kubectl.changes.waiting import read
from kubectl.changes.writing import LAST_APPLIED, add_field_manager, need_files, with_last_applied
from kubectl.commands.advanced.apply import ATTEMPTS, compute_patch
from kubectl.input.manifests import Manifest, add_file_arguments, read_manifests
from kubectl.input.targets import Target, resolve
from kubectl.invocation.command import Command, CommandContext, ExitCode, UsageError, retried
from kubectl.invocation.flags import add_bool, add_selector
from kubectl.output.printers import without_managed_fields

DIFFERENCES = 1  # the exit code where there are some


def configure(parser: argparse.ArgumentParser) -> None:
    add_file_arguments(parser, "compare")
    add_selector(parser)
    add_field_manager(parser, "")
    add_bool(parser, "--server-side", default=False, help="as `apply --server-side` would")
    add_bool(parser, "--force-conflicts", default=False, help="with --server-side: take fields over from others")
    add_bool(parser, "--show-managed-fields", default=False, help="compare metadata.managedFields too")
    parser.add_argument("--concurrency", type=int, default=1, help=argparse.SUPPRESS)  # objects come one by one


def run(context: CommandContext, args: argparse.Namespace) -> None:
    need_files(args)
    if args.force_conflicts and not args.server_side:
        raise UsageError("--force-conflicts only works with --server-side")
    with tempfile.TemporaryDirectory(prefix="LIVE-") as live, tempfile.TemporaryDirectory(prefix="MERGED-") as merged:
        for manifest in read_manifests(args, selector=args.selector):
            target = resolve(context, manifest)
            old, new = _versions(context, args, manifest, target)
            _write(args, target, old, new, Path(live), Path(merged))
        code = _compare(context, live, merged)
    if code:
        raise ExitCode(code)


def _versions(
    context: CommandContext, args: argparse.Namespace, manifest: Manifest, target: Target
) -> tuple[Dict | None, Dict]:
    """The object as it is, None where it does not exist, and as it would be. Raises: StatusError, UsageError."""

    def look(number: int) -> tuple[Dict | None, Dict]:
        old = read(context, target)
        return old, _merged(context, args, manifest, target, old, guard=number < ATTEMPTS)

    return retried(1 if args.server_side else ATTEMPTS, look, Conflict)


def _merged(
    context: CommandContext,
    args: argparse.Namespace,
    manifest: Manifest,
    target: Target,
    old: Dict | None,
    *,
    guard: bool,
) -> Dict:
    """The object as `apply` would leave it; `guard`: only if `old` is still what is stored."""
    params = {"dryRun": "All"}
    if args.server_side:
        manager = args.field_manager or serverside.MANAGER
        writer = serverside.ServerSideApply(context, manager, params, force=args.force_conflicts)
        return writer.apply(manifest, target)
    params["fieldManager"] = args.field_manager or "kubectl-client-side-apply"
    modified = with_last_applied(manifest.obj, target.namespace, annotate=False)
    if old is None:
        if not modified["metadata"]["annotations"]:
            del modified["metadata"]["annotations"]
        return context.api.request("POST", target.collection, params=params, body=modified)
    patch, content_type = compute_patch(old, modified)
    _keep_annotation(patch)
    if not patch:
        return old
    if guard:
        version = old["metadata"]["resourceVersion"]
        patch["metadata"] = {**patch.get("metadata", {}), "resourceVersion": version}
    return context.api.patch(target.path, patch, content_type, params)


def _keep_annotation(patch: Dict) -> None:
    """Keeps a patch from taking the annotation away, which is not part of what is compared."""
    meta = patch.get("metadata") or {}
    annotations = {key: value for key, value in (meta.get("annotations") or {}).items() if key != LAST_APPLIED}
    if "annotations" in meta and not annotations:
        meta.pop("annotations")
    elif annotations:
        meta["annotations"] = annotations
    if "metadata" in patch and not meta:
        patch.pop("metadata")


def _write(args: argparse.Namespace, target: Target, old: Dict | None, new: Dict, live: Path, merged: Path) -> None:
    """Writes the versions to files of one name, in the folders that are compared."""
    kind = target.kind
    parts = (kind.group, kind.version, kind.kind, target.namespace, target.name)
    name = ".".join(part for part in parts if part).replace(":", "_")
    versions: tuple[Dict | None, Dict | None] = (old, new)
    if kind.kind == "Secret" and not kind.group:
        versions = masked(old, new)
    for folder, obj in zip((live, merged), versions, strict=True):
        if obj is not None:
            (folder / name).write_text(to_yaml(obj if args.show_managed_fields else without_managed_fields(obj)))


def masked(old: Dict | None, new: Dict | None) -> tuple[Dict | None, Dict | None]:
    """Two versions of a Secret with stars for their data, which mark the differences."""
    old, new = copy.deepcopy(old), copy.deepcopy(new)
    before, after = ((obj or {}).get("data") or {} for obj in (old, new))
    for key in {**before, **after}:
        same = key not in before or key not in after or before[key] == after[key]
        for data, mark in ((before, "*** (before)"), (after, "*** (after)")):
            if key in data:
                data[key] = "***" if same else mark
    return old, new


def _compare(context: CommandContext, live: str, merged: str) -> int:
    """The exit code of the program that compares the folders. Raises: UsageError where it cannot run."""
    words = ["diff", "-u", "-N"]
    if own := os.environ.get("KUBECTL_EXTERNAL_DIFF"):
        program, *rest = own.split()
        # Anything that could be more than a flag's letters is not passed on.
        words = [program, *(word for word in rest if re.fullmatch(r"[a-zA-Z0-9/=-]+", word))]
    if shutil.which(words[0]) is None:
        raise UsageError(f'failed to run "{words[0]}": executable file not found in $PATH')
    done = subprocess.run([*words, live, merged], stdout=subprocess.PIPE, check=False)
    context.out.write(done.stdout.decode(errors="replace"))
    context.out.flush()
    if done.returncode > DIFFERENCES:
        context.say(f'error: failed to run "{words[0]}": exit status {done.returncode}')
    return done.returncode


COMMAND = Command(
    "diff",
    "Show what apply would change",
    configure,
    run,
    failure_code=2,
    examples="""\
  mini-kubectl diff -f deployment.yaml
  KUBECTL_EXTERNAL_DIFF='colordiff -N -u' mini-kubectl diff -f manifests/ -R""",
)
