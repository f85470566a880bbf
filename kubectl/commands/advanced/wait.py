"""`wait`: blocks until a condition, a JSONPath value, creation or deletion."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from apimachinery.text.jsonpath import relaxed, text_of
from kubectl.api.client import Dict
from kubectl.changes.waiting import TIMED_OUT, TimedOut, read, wait_until
from kubectl.input import candidates
from kubectl.input.targets import Target, add_targets, parse_targets, select
from kubectl.invocation.command import Command, CommandContext, Failures, UsageError
from kubectl.invocation.flags import add_output, duration
from kubectl.output.printers import parsed, printer_of

Test = Callable[[Dict | None], bool]

POLL_SECONDS = 0.3  # between looks for objects that a selector does not find yet


def configure(parser: argparse.ArgumentParser) -> None:
    words = "TYPE, TYPE NAME ..., or TYPE/NAME ..."
    add_targets(parser, "wait for", words=words, fields=True, namespaces=True, everything=True)
    parser.add_argument(
        "--for", dest="condition", default="",
        metavar="WHAT", help="condition=TYPE[=STATUS], delete, create, or jsonpath='{PATH}'[=VALUE]",
    )  # fmt: skip
    add_output(parser)
    parser.add_argument("--timeout", type=duration, default=30.0, metavar="TIME", help="default 30s; negative: a week")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    test = parse_condition(args.condition)
    args.condition = args.condition.lower()
    deadline = time.monotonic() + (args.timeout if args.timeout >= 0 else 7 * 24 * 3600.0)
    printer = printer_of(args) if args.output else None
    targets = _targets(context, args, deadline)
    if not targets and args.condition != "delete":
        raise UsageError("no matching resources found")
    with Failures() as failed:
        for target in targets:
            if args.condition == "delete" and read(context, target) is None:
                continue
            try:
                obj = wait_until(context, target, test, max(deadline - time.monotonic(), 0.0))
            except TimedOut as error:
                failed.append(UsageError(TIMED_OUT) if args.condition == "create" else error)
                continue
            if printer is None:
                context.print(f"{target.display} condition met")
            elif obj is not None:
                context.out.write(printer(obj))


def _targets(context: CommandContext, args: argparse.Namespace, deadline: float) -> list[Target]:
    targets = _selected(context, args)
    while not targets and args.condition == "create":
        if time.monotonic() > deadline:
            raise UsageError(TIMED_OUT)
        time.sleep(POLL_SECONDS)
        targets = _selected(context, args)
    return targets


def _selected(context: CommandContext, args: argparse.Namespace) -> list[Target]:
    if args.condition in ("delete", "create") and not args.filename:
        targets = parse_targets(context, args)
        if all(target.name for target in targets):
            return targets  # which need not exist
    return [target for target, _ in select(context, args)]


def parse_condition(text: str) -> Test:
    """Reads the condition of --for: a test of the object, or of None where it does not exist. Raises: UsageError."""
    kind, _, rest = text.partition("=")
    if text.lower() == "delete":
        return lambda obj: obj is None
    if text.lower() == "create":
        return lambda obj: obj is not None
    if kind.lower() == "condition" and rest:
        name, _, status = rest.partition("=")
        return _condition(name, status or "true")
    if kind.lower() == "jsonpath" and rest:
        return _jsonpath(rest)
    raise UsageError(f'unrecognized condition: "{text}"')


def _condition(name: str, status: str) -> Test:
    def test(obj: Dict | None) -> bool:
        for condition in ((obj or {}).get("status") or {}).get("conditions") or ():
            if condition["type"].lower() == name.lower():
                generation = obj["metadata"].get("generation") if obj else None
                observed = condition.get("observedGeneration")
                if generation is not None and observed is not None and observed < generation:
                    return False
                return bool(condition["status"].lower() == status.lower())
        return False

    return test


def _jsonpath(text: str) -> Test:
    path, value = text, None
    if text.startswith("{"):
        path, equals, value = text.partition("}=")
        path, value = (path + "}", value) if equals else (text, None)
    elif "=" in text:
        path, _, value = text.partition("=")
    if value == "":
        raise UsageError(
            "jsonpath wait has to have a value after equal sign, like --for=jsonpath='{.status.readyReplicas}'=3"
        )
    template = parsed(relaxed(path), f"error parsing jsonpath {path}: ")

    def test(obj: Dict | None) -> bool:
        values = template.find(obj) if obj is not None else []
        if value is None:
            return bool(values)
        if len(values) > 1:
            raise UsageError("given jsonpath expression matches more than one value")
        return bool(values) and text_of(values[0]).lower() == value.strip("'\"").lower()

    return test


COMMAND = Command(
    "wait",
    "Wait until objects are in a state",
    configure,
    run,
    completes=candidates.types_and_names,
    examples="""\
  mini-kubectl wait --for=condition=Ready pod/web --timeout=60s
  mini-kubectl wait --for=condition=Available deployment --all
  mini-kubectl wait --for=jsonpath='{.status.phase}'=Running pod/web
  mini-kubectl wait --for=delete pod/web""",
)
