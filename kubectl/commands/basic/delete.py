"""`delete`: removes objects, by default waiting until they are gone."""

from __future__ import annotations

import argparse
from contextlib import suppress

from apimachinery.errors import NotFound
from kubectl.changes.deletion import add_deletion_flags, delete_object, wait_gone
from kubectl.input import candidates
from kubectl.input.manifests import read_manifests
from kubectl.input.targets import Target, add_targets, resolve, select
from kubectl.invocation.command import Command, CommandContext, Failures, UsageError, blaming
from kubectl.invocation.flags import add_bool, add_dry_run, dry_run_suffix
from kubectl.invocation.parser import choice

OUTPUT = choice("", "name", refusal="unexpected -o output mode: %s. We only support '-o name'")


def configure(parser: argparse.ArgumentParser) -> None:
    words = "TYPE, TYPE NAME ..., or TYPE/NAME ..."
    add_targets(parser, "delete", words=words, fields=True, namespaces=True, everything=True)
    add_dry_run(parser)
    add_deletion_flags(parser)
    parser.add_argument("--now", action="store_true", help="the same as --grace-period=1")
    parser.add_argument(
        "--force", action="store_true", help="with --grace-period=0: do not wait for the node to confirm"
    )
    parser.add_argument("-o", "--output", default="", type=OUTPUT, metavar="name", help="print names only")
    add_bool(parser, "--wait", default=True, help="wait until the objects are gone")
    add_bool(parser, "--ignore-not-found", default=False, help="a missing object is not a failure")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    _settle(context, args)
    targets = _targets(context, args)
    lenient = args.ignore_not_found or args.selector or args.field_selector or args.all
    deleted = []
    with Failures() as failed:
        for target, source in targets:
            with failed.caught(), suppress(*[NotFound] if lenient else []), blaming("deleting", source):
                deleted.append((target, _delete(context, args, target)))
        if args.wait and args.dry_run == "none":
            wait_gone(context, deleted, args.timeout or None)


def _settle(context: CommandContext, args: argparse.Namespace) -> None:
    """Brings the flags into agreement. Raises: UsageError where they contradict each other."""
    if args.now:
        if args.grace_period != -1:
            raise UsageError("--now and --grace-period cannot be specified together")
        args.grace_period = 1
    if args.force and args.grace_period > 0:
        raise UsageError("--force and --grace-period greater than 0 cannot be specified together")
    if args.grace_period == 0 and not args.force:
        args.grace_period = 1  # only --force may leave a running pod behind, as kubectl has it
    if args.force and args.grace_period < 0:
        args.grace_period = 0
    if args.force and args.grace_period == 0:
        context.warn(
            "Immediate deletion does not wait for confirmation that the running resource has been terminated. "
            "The resource may continue to run on the cluster indefinitely."
        )


def _targets(context: CommandContext, args: argparse.Namespace) -> list[tuple[Target, str]]:
    """The objects to delete, each with the file that names it."""
    targets: list[tuple[Target, str]] = []
    if args.filename:
        if args.targets:
            raise UsageError(
                "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well"
            )
        for manifest in read_manifests(args, selector=args.selector):
            targets.append((resolve(context, manifest), manifest.source))
    else:
        if args.all and args.selector:
            raise UsageError("setting 'all' parameter but found a non empty selector.")
        targets = [(target, "") for target, _ in select(context, args, read=False)]
    if not targets:
        context.print("No resources found")
    return targets


def _delete(context: CommandContext, args: argparse.Namespace, target: Target) -> str:
    """Deletes an object and returns its uid."""
    uid = delete_object(context, target, cascade=args.cascade, grace_period=args.grace_period, dry_run=args.dry_run)
    if args.output == "name":
        context.print(target.display)
    else:
        where = f" from {target.namespace} namespace" if target.namespace else ""
        verb = "force deleted" if args.force and args.grace_period == 0 else "deleted"
        context.print(f'{target.kind.display} "{target.name}" {verb}{where}{dry_run_suffix(args.dry_run)}')
    return uid


COMMAND = Command(
    "delete",
    "Delete objects by name, selector or manifest",
    configure,
    run,
    completes=candidates.types_names_and_all,
    examples="""\
  mini-kubectl delete pod web-1 web-2
  mini-kubectl delete -f deployment.yaml
  mini-kubectl delete pods,services -l app=web
  mini-kubectl delete pod stuck --grace-period=0 --force
  mini-kubectl delete deployment web --cascade=orphan""",
)
