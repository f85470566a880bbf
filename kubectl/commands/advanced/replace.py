"""`replace`: puts whole objects in the place of those that exist."""

from __future__ import annotations

import argparse

from apimachinery.errors import StatusError
from kubectl.api.client import Dict
from kubectl.changes.deletion import CASCADE, delete_and_wait
from kubectl.changes.writing import (
    Report,
    add_field_manager,
    add_validate,
    need_files,
    send_raw,
    with_last_applied,
    write_params,
)
from kubectl.input.manifests import Manifest, Target, add_file_arguments, raise_all, raw_text, read_manifests, resolve
from kubectl.invocation.command import Command
from kubectl.invocation.context import CommandContext, UsageError, blaming
from kubectl.invocation.flags import add_bool, add_dry_run, add_output, duration


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", help=argparse.SUPPRESS)
    add_file_arguments(parser, "replace")
    add_dry_run(parser)
    add_output(parser)
    add_validate(parser)
    add_field_manager(parser, "kubectl-replace")
    add_bool(parser, "--save-config", default=False, help="keep the manifest for later applies")
    add_bool(parser, "--force", default=False, help="delete the objects, wait, and create them anew")
    parser.add_argument("--grace-period", type=int, default=-1, metavar="SECONDS", help="of the deletion with --force")
    parser.add_argument("--timeout", type=duration, default=0, metavar="TIME", help="of waiting for the deletion")
    parser.add_argument(
        "--cascade", nargs="?", const="background", default="background",
        metavar="background|foreground|orphan", type=CASCADE, help="what becomes of the objects it owns",
    )  # fmt: skip
    add_bool(parser, "--wait", default=False, help=argparse.SUPPRESS)  # with --force it always waits
    parser.add_argument("--subresource", default="", metavar="NAME", help="replace this subresource, e.g. status")
    parser.add_argument("--raw", default="", metavar="PATH", help="a path to PUT the file to as it is")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    need_files(args)
    if args.raw:
        context.out.write(send_raw(context, "PUT", args.raw, raw_text(args.filename)))
        return
    if not args.force and args.grace_period >= 0:
        raise UsageError("--grace-period must have --force specified")
    if not args.force and args.timeout:
        raise UsageError("--timeout must have --force specified")
    if args.force and args.dry_run != "none":
        raise UsageError("--dry-run can not be used when --force is set")
    report = Report(context, args, documents=True)
    failed: list[Exception] = []
    found = []
    for manifest in read_manifests(args.filename, recursive=args.recursive):
        kind, namespace = resolve(context, manifest)
        found.append((manifest, Target(kind, manifest.name, namespace)))
    if args.force:
        if args.grace_period == 0:
            args.grace_period = 1  # only `delete --force` may leave a running pod behind
        present = [target for _, target in found]
        deleted = delete_and_wait(
            context, present, cascade=args.cascade, grace_period=args.grace_period, timeout_seconds=args.timeout or None
        )
        for target in deleted:
            context.print(f'{target.kind.display} "{target.name}" deleted')
    for manifest, target in found:
        try:
            result = _replace(context, args, manifest, target)
        except StatusError as error:
            failed.append(error)
            continue
        report(target.display, result, "replaced")
    raise_all(failed)


def _replace(context: CommandContext, args: argparse.Namespace, manifest: Manifest, target: Target) -> Dict:
    kind, namespace = target.kind, target.namespace
    obj = with_last_applied(manifest.obj, namespace) if args.save_config else dict(manifest.obj)
    meta = obj["metadata"] = {**obj.get("metadata", {}), **({"namespace": namespace} if namespace else {})}
    if args.dry_run == "client":
        return obj
    params = write_params(args)
    with blaming("replacing", manifest.source):
        if args.force:
            created: Dict = context.api.request("POST", kind.path(namespace), params=params, body=obj)
            return created
        path = kind.path(namespace, manifest.name, args.subresource)
        if not meta.get("resourceVersion"):
            # Without a version the server lets the last writer win; asked for first, a missing object is told as such.
            present = context.api.request("GET", path)
            obj["metadata"] = {**meta, "resourceVersion": present["metadata"]["resourceVersion"]}
        result: Dict = context.api.request("PUT", path, params=params, body=obj)
        return result


COMMAND = Command(
    "replace",
    "Put whole objects in the place of those that exist",
    configure,
    run,
    examples="""\
  mini-kubectl replace -f pod.yaml
  mini-kubectl get pod web -o yaml | sed 's/web:1/web:2/' | mini-kubectl replace -f -
  mini-kubectl replace --force -f pod.yaml""",
)
