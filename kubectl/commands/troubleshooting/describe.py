"""`describe`: shows an object in words for people, with what belongs to it and its events."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from apimachinery.errors import NotFound
from kubectl.api.client import Dict
from kubectl.describe.describer import describe
from kubectl.input import candidates
from kubectl.input.targets import Target, add_targets, items_of, list_objects, parse_targets, select
from kubectl.invocation.command import Command, CommandContext

NO_TYPE = (
    "You must specify the type of resource to describe. "
    'Use "mini-kubectl api-resources" for a complete list of supported resources.'
)


def configure(parser: argparse.ArgumentParser) -> None:
    add_targets(parser, "describe", words="TYPE, TYPE NAME_PREFIX, or TYPE/NAME ...", namespaces=True)


def run(context: CommandContext, args: argparse.Namespace) -> None:
    objects = list(select(context, args) if args.filename else _objects(context, args))
    if not objects:
        context.say(f"No resources found in {context.namespace} namespace.")
        return
    context.out.write("\n\n".join(describe(context, target.kind, obj) for target, obj in objects))


def _objects(context: CommandContext, args: argparse.Namespace) -> Iterator[tuple[Target, Dict]]:
    for target in parse_targets(context, args, required=NO_TYPE):
        if target.name:
            yield from _named(context, target)
        else:
            yield from items_of(target, list_objects(context, target, args.selector))


def _named(context: CommandContext, target: Target) -> list[tuple[Target, Dict]]:
    """The object of this name or, as kubectl does, all whose names start with it."""
    try:
        return [(target, context.api.request("GET", target.path))]
    except NotFound:
        collection = context.api.list(target.collection)
        objects = [pair for pair in items_of(target, collection) if pair[0].name.startswith(target.name)]
        if not objects:
            raise
        return objects


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
