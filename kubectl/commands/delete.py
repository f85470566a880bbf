"""`delete`: removes objects, by default waiting until they are gone."""

from __future__ import annotations

import argparse
import time
from contextlib import nullcontext
from typing import Any

from apimachinery.errors import NotFound, StatusError
from kubectl.command import Command, Context, UsageError, blaming
from kubectl.commands._arguments import (
    add_all_namespaces,
    add_bool,
    add_dry_run,
    add_selector,
    dry_run_params,
    dry_run_suffix,
    duration,
)
from kubectl.manifests import (
    Target,
    add_file_arguments,
    list_objects,
    parse_targets,
    raise_all,
    read_manifests,
    resolve,
)
from kubectl.parser import choice
from kubectl.waiting import TimedOut, wait_until

Dict = dict[str, Any]

CASCADE = choice(
    "background", "foreground", "orphan", "true", "false",
    refusal='invalid cascade value (%s). Must be "background", "foreground", or "orphan"',
)  # fmt: skip
_OLD_CASCADES = {"true": "background", "false": "orphan"}
OUTPUT = choice("", "name", refusal="unexpected -o output mode: %s. We only support '-o name'")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", metavar="TYPE", help="TYPE, TYPE NAME ..., or TYPE/NAME ...")
    add_file_arguments(parser, "delete")
    add_selector(parser, fields=True)
    add_all_namespaces(parser)
    add_dry_run(parser)
    parser.add_argument("--all", action="store_true", help="all objects of the type in the namespace")
    parser.add_argument("--grace-period", type=int, default=-1, metavar="SECONDS", help="instead of the object's own")
    parser.add_argument("--now", action="store_true", help="the same as --grace-period=1")
    parser.add_argument(
        "--force", action="store_true", help="with --grace-period=0: do not wait for the node to confirm"
    )
    parser.add_argument(
        "--cascade", nargs="?", const="background", default="background",
        metavar="background|foreground|orphan", type=CASCADE, help="what becomes of the objects it owns",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=duration, default=None, metavar="TIME", help="give up waiting after this time"
    )
    parser.add_argument("-o", "--output", default="", type=OUTPUT, metavar="name", help="print names only")
    add_bool(parser, "--wait", default=True, help="wait until the objects are gone")
    add_bool(parser, "--ignore-not-found", default=False, help="a missing object is no failure")


def run(context: Context, args: argparse.Namespace) -> None:
    if args.cascade in _OLD_CASCADES:
        new = _OLD_CASCADES[args.cascade]
        context.say(
            f"warning: --cascade={args.cascade} is deprecated (boolean value) and can be replaced with --cascade={new}."
        )
        args.cascade = new
    if args.now:
        args.grace_period = 1
    if args.grace_period == 0 and not args.force:
        args.grace_period = 1  # only --force may leave a running pod behind, as kubectl has it
    if args.force and args.grace_period < 0:
        args.grace_period = 0
    if args.force and args.grace_period == 0:
        context.warn(
            "Immediate deletion does not wait for confirmation that the running resource has been terminated. "
            "The resource may continue to run on the cluster indefinitely."
        )
    failed: list[Exception] = []
    deleted = []
    for target, source in _targets(context, args):
        try:
            with blaming("deleting", source) if source else nullcontext():
                deleted.append((target, _delete(context, args, target)))
        except NotFound as error:
            if not (args.ignore_not_found or args.selector or args.field_selector or args.all):
                failed.append(error)
        except StatusError as error:
            failed.append(error)
    if args.wait and args.dry_run == "none":
        _wait(context, args, deleted)
    raise_all(failed)


def _targets(context: Context, args: argparse.Namespace) -> list[tuple[Target, str]]:
    """What to delete, and which file says so."""
    if args.filename:
        found = []
        for manifest in read_manifests(args.filename, "delete", recursive=args.recursive):
            kind, namespace = resolve(context, manifest)
            found.append((Target(kind, manifest.name, namespace), manifest.source))
        return found
    if args.all and args.selector:
        raise UsageError("setting 'all' parameter but found a non empty selector.")
    expanded: list[Target] = []
    for target in parse_targets(context, args.targets, all_namespaces=args.all_namespaces):
        if target.name:
            if args.all or args.selector:
                raise UsageError("name cannot be provided when a selector is specified")
            expanded.append(target)
            continue
        if not (args.all or args.selector or args.field_selector):
            raise UsageError("resource(s) were provided, but no name was specified")
        for item in list_objects(context, target, args.selector, args.field_selector)["items"]:
            meta = item["metadata"]
            expanded.append(Target(target.kind, meta["name"], meta.get("namespace", "")))
    if not expanded:
        context.print("No resources found")
    return [(target, "") for target in expanded]


def _delete(context: Context, args: argparse.Namespace, target: Target) -> str:
    """The uid of what is going away."""
    options: Dict = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": args.cascade.capitalize()}
    if args.grace_period >= 0:
        options["gracePeriodSeconds"] = args.grace_period
    uid = ""
    if args.dry_run == "client":
        context.api.request("GET", target.path)
    else:
        params = dry_run_params(args.dry_run)
        answer = context.api.request("DELETE", target.path, params=params, body=options)
        uid = (answer.get("details") or {}).get("uid") or (answer.get("metadata") or {}).get("uid") or ""
    if args.output == "name":
        context.print(target.display)
    else:
        where = f" from {target.namespace} namespace" if target.namespace else ""
        verb = "force deleted" if args.force and args.grace_period == 0 else "deleted"
        context.print(f'{target.kind.display} "{target.name}" {verb}{where}{dry_run_suffix(args.dry_run)}')
    return uid or "?"


def _wait(context: Context, args: argparse.Namespace, deleted: list[tuple[Target, str]]) -> None:
    deadline = None if not args.timeout else time.monotonic() + args.timeout
    for target, uid in deleted:
        left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
        try:
            wait_until(context, target, lambda obj, uid=uid: _gone(obj, uid), left)  # type: ignore[misc]
        except TimedOut as error:
            raise UsageError(str(error)) from error


def _gone(obj: Dict | None, uid: str) -> bool:
    return obj is None or (uid != "?" and obj["metadata"].get("uid") != uid)


COMMAND = Command(
    "delete",
    "Delete objects by name, selector or manifest",
    configure,
    run,
    examples="""\
  mini-kubectl delete pod web-1 web-2
  mini-kubectl delete -f deployment.yaml
  mini-kubectl delete pods,services -l app=web
  mini-kubectl delete pod stuck --grace-period=0 --force
  mini-kubectl delete deployment web --cascade=orphan""",
)
