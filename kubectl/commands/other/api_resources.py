"""`api-resources`: lists the types that the server has."""

from __future__ import annotations

import argparse

from kubectl.api.discovery import ResourceType
from kubectl.invocation.command import Command, CommandContext
from kubectl.invocation.flags import add_bool
from kubectl.invocation.parser import choice
from kubectl.output.printers import table


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", default="", type=choice("", "wide", "name", refusal="--output %s is not available")
    )
    add_bool(parser, "--namespaced", default=None, help="only (not) namespaced types")
    parser.add_argument("--api-group", default=None, help='only this group ("" is the core group)')
    parser.add_argument("--verbs", default="", help="only types with all of these verbs, e.g. list,watch")
    parser.add_argument("--categories", default="", help="only types of these categories, e.g. all")
    parser.add_argument(
        "--sort-by", default="", type=choice("", "name", "kind", refusal="--sort-by accepts only name or kind")
    )
    add_bool(parser, "--no-headers", default=False, help="without the header line")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    types = [kind for kind in context.discovery.preferred_types if _matches(kind, args)]
    if args.sort_by:
        types.sort(key=lambda kind: kind.plural if args.sort_by == "name" else kind.kind)
    else:
        types.sort(key=lambda kind: (kind.group, kind.plural))
    if args.output == "name":
        for kind in types:
            context.print(kind.full_name)
        return
    headers = ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"]
    rows = [
        [kind.plural, ",".join(kind.short_names), kind.api_version, str(kind.namespaced).lower(), kind.kind]
        for kind in types
    ]
    if args.output == "wide":
        headers += ["VERBS", "CATEGORIES"]
        rows = [[*row, ",".join(k.verbs), ",".join(k.categories)] for row, k in zip(rows, types, strict=True)]
    context.out.write(table(headers, rows, show_headers=not args.no_headers))


def _matches(kind: ResourceType, args: argparse.Namespace) -> bool:
    if args.namespaced is not None and kind.namespaced != args.namespaced:
        return False
    if args.api_group is not None and kind.group != args.api_group:
        return False
    verbs = [verb for verb in args.verbs.split(",") if verb]
    categories = [name for name in args.categories.split(",") if name]
    return set(verbs) <= set(kind.verbs) and set(categories) <= set(kind.categories)


COMMAND = Command(
    "api-resources",
    "List the types the server has",
    configure,
    run,
    examples="""\
  # What they are called, in short and in full, and what can be done with them
  mini-kubectl api-resources -o wide
  # What can be listed in a namespace
  mini-kubectl api-resources --namespaced --verbs=list -o name
  # One API group
  mini-kubectl api-resources --api-group=apps""",
)
