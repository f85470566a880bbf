"""`describe`: an object for people, with what belongs to it and its events."""

from __future__ import annotations

import argparse

from apimachinery.errors import NotFound
from kubectl.api.client import Dict
from kubectl.describe.describer import describe
from kubectl.input import candidates
from kubectl.input.manifests import Target, add_file_arguments, list_objects, parse_targets, select
from kubectl.invocation.command import Command
from kubectl.invocation.context import CommandContext, UsageError
from kubectl.invocation.flags import add_all_namespaces, add_selector


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", metavar="TYPE", help="TYPE, TYPE NAME_PREFIX, or TYPE/NAME ...")
    add_file_arguments(parser, "describe")
    add_selector(parser)
    add_all_namespaces(parser)


def run(context: CommandContext, args: argparse.Namespace) -> None:
    found = list(_find(context, args))
    if not found:
        context.say(f"No resources found in {context.namespace} namespace.")
        return
    context.out.write("\n\n".join(describe(context, target.kind, obj) for target, obj in found))


def _find(context: CommandContext, args: argparse.Namespace) -> list[tuple[Target, Dict]]:
    if args.filename:
        return list(select(context, [], args.filename, recursive=args.recursive))
    found: list[tuple[Target, Dict]] = []
    for target in parse_targets(
        context,
        args.targets,
        all_namespaces=args.all_namespaces,
        required="You must specify the type of resource to describe. "
        'Use "mini-kubectl api-resources" for a complete list of supported resources.',
    ):
        if target.name and args.selector:
            raise UsageError("name cannot be provided when a selector is specified")
        if target.name:
            found += _named(context, target)
            continue
        for item in list_objects(context, target, args.selector)["items"]:
            found.append(_with_type(target, item))
    return found


def _named(context: CommandContext, target: Target) -> list[tuple[Target, Dict]]:
    try:
        return [(target, context.api.request("GET", target.path))]
    except NotFound:
        # As kubectl does: where no object has the name, all whose names start with it.
        items = context.api.list(target.kind.path(target.namespace))["items"]
        found = [_with_type(target, item) for item in items if item["metadata"]["name"].startswith(target.name)]
        if not found:
            raise
        return found


def _with_type(target: Target, item: Dict) -> tuple[Target, Dict]:
    meta = item["metadata"]
    obj = {"apiVersion": target.kind.api_version, "kind": target.kind.kind} | item
    return Target(target.kind, meta["name"], meta.get("namespace", "")), obj


COMMAND = Command(
    "describe",
    "Show an object in detail, with its events",
    configure,
    run,
    completes=candidates.types_and_names,
    examples="""\
  mini-kubectl describe pod web
  mini-kubectl describe deployment/web
  mini-kubectl describe nodes""",
)
