"""`replace`: puts whole objects in the place of those that exist."""

from __future__ import annotations

import argparse

from kubectl.api.client import Dict
from kubectl.changes import writing
from kubectl.changes.deletion import add_deletion_flags, delete_and_wait
from kubectl.changes.writing import Report
from kubectl.input.manifests import Manifest, add_file_arguments, read_manifests
from kubectl.input.targets import Target, resolve
from kubectl.invocation.command import Command, CommandContext, Failures, blaming, refuse
from kubectl.invocation.flags import add_bool


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", help=argparse.SUPPRESS)
    add_file_arguments(parser, "replace")
    writing.add_write_flags(parser, "kubectl-replace", validate=True)
    add_bool(parser, "--save-config", default=False, help="keep the manifest for later applies")
    add_bool(parser, "--force", default=False, help="delete the objects, wait, and create them anew")
    add_deletion_flags(parser)
    add_bool(parser, "--wait", default=False, help=argparse.SUPPRESS)  # with --force it always waits
    parser.add_argument("--subresource", default="", metavar="NAME", help="replace this subresource, e.g. status")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    writing.need_files(args)
    refuse(
        (not args.force and args.grace_period >= 0, "--grace-period must have --force specified"),
        (not args.force and args.timeout, "--timeout must have --force specified"),
        (args.force and args.dry_run != "none", "--dry-run can not be used when --force is set"),
    )
    report = Report(context, args, documents=True)
    pairs = [(manifest, resolve(context, manifest)) for manifest in read_manifests(args)]
    if args.force:
        if args.grace_period == 0:
            args.grace_period = 1  # only `delete --force` may leave a running pod behind
        for target in delete_and_wait(context, [target for _, target in pairs], args):
            context.print(f'{target.kind.display} "{target.name}" deleted')
    with Failures() as failed:
        for manifest, target in pairs:
            with failed.caught():
                report(target.display, _replace(context, args, manifest, target), "replaced")


def _replace(context: CommandContext, args: argparse.Namespace, manifest: Manifest, target: Target) -> Dict:
    obj = writing.prepared(manifest.obj, target.namespace, args)
    if args.dry_run == "client":
        return obj
    params = writing.write_params(args)
    with blaming("replacing", manifest.source):
        if args.force:
            return context.api.request("POST", target.collection, params=params, body=obj)
        path = target.subresource(args.subresource)
        if not obj.get("metadata", {}).get("resourceVersion"):
            # Without a version the server lets the last writer win; a missing object is refused with its own message.
            version = context.api.request("GET", path)["metadata"]["resourceVersion"]
            obj = {**obj, "metadata": {**obj.get("metadata", {}), "resourceVersion": version}}
        return context.api.request("PUT", path, params=params, body=obj)


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
