"""`events`: shows what happened, oldest first."""

from __future__ import annotations

import argparse
import time

from kubectl.api.client import PAGE_SIZE, Dict
from kubectl.input.targets import named
from kubectl.invocation.command import Command, CommandContext, UsageError
from kubectl.invocation.flags import add_all_namespaces, add_bool, add_output
from kubectl.output.ages import event_age, last_seen
from kubectl.output.printers import printer_of, table


def configure(parser: argparse.ArgumentParser) -> None:
    add_all_namespaces(parser)
    parser.add_argument("--for", dest="subject", default="", metavar="TYPE/NAME", help="only about this object")
    parser.add_argument("--types", default="", help="only these types: Normal,Warning")
    parser.add_argument("-w", "--watch", action="store_true", help="go on showing events as they come")
    add_output(parser)
    parser.add_argument("--chunk-size", type=int, default=PAGE_SIZE, help="events that one list request asks for")
    add_bool(parser, "--no-headers", default=False, help="without the header line")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    kind = context.discovery.find("events")
    types = {name.capitalize() for name in args.types.split(",") if name}
    if types - {"Normal", "Warning"}:
        raise UsageError("valid --types are Normal or Warning")
    path = kind.path("" if args.all_namespaces else context.namespace)
    params = {"fieldSelector": _subject(context, args)}
    listing = context.api.list(path, {**params, "limit": args.chunk_size})
    items = [item for item in listing["items"] if not types or item.get("type") in types]
    items.sort(key=last_seen)
    if args.output:
        context.out.write(printer_of(args)({**listing, "items": items}))
        return
    if not items and not args.watch:
        context.say("No events found" + ("." if args.all_namespaces else f" in {context.namespace} namespace."))
        return
    _show(context, args, items, headers=not args.no_headers)
    if args.watch:
        params["resourceVersion"] = listing["metadata"]["resourceVersion"]
        for change, event in context.api.watch(path, params):
            if change != "DELETED" and (not types or event.get("type") in types):
                _show(context, args, [event], headers=False)


def _subject(context: CommandContext, args: argparse.Namespace) -> str:
    if not args.subject:
        return ""
    if "/" not in args.subject:
        raise UsageError("--for must be in resource/name form")
    target = named(context, [args.subject])[0]
    return f"involvedObject.kind={target.kind.kind},involvedObject.name={target.name}"


def _show(context: CommandContext, args: argparse.Namespace, items: list[Dict], *, headers: bool) -> None:
    now = time.time()
    rows = []
    for event in items:
        subject = event.get("involvedObject") or {}
        row = [
            event_age(event, now),
            event.get("type", ""),
            event.get("reason", ""),
            f"{subject.get('kind', '')}/{subject.get('name', '')}",
            (event.get("message") or "").strip(),
        ]
        rows.append([event["metadata"].get("namespace", ""), *row] if args.all_namespaces else row)
    names = ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    context.out.write(table((["NAMESPACE"] if args.all_namespaces else []) + names, rows, show_headers=headers))
    context.out.flush()


COMMAND = Command(
    "events",
    "Show what happened",
    configure,
    run,
    examples="""\
  mini-kubectl events
  mini-kubectl events --for pod/web --watch
  mini-kubectl events -A --types=Warning""",
)
