"""`get`: shows objects, as the server's own tables or whole."""

from __future__ import annotations

import argparse
from contextlib import suppress

from apimachinery.errors import Expired, NotFound
from kubectl.api.client import PAGE_SIZE, TABLE, Dict
from kubectl.input import candidates
from kubectl.input.manifests import read_manifests
from kubectl.input.targets import Target, add_targets, items_of, list_objects, parse_targets, resolve
from kubectl.invocation.command import Command, CommandContext, Failures, UsageError
from kubectl.invocation.flags import add_bool, add_output
from kubectl.invocation.parser import choice
from kubectl.output.printers import Printer, printer_of
from kubectl.output.tables import TableText, sorted_by

SUBRESOURCE = choice("", "status", "scale", refusal='invalid subresource value: "%s". Must be one of [status scale]')


def configure(parser: argparse.ArgumentParser) -> None:
    add_targets(parser, "get", words="TYPE, TYPE NAME ..., or TYPE/NAME ...", fields=True, namespaces=True)
    add_output(parser)
    parser.add_argument("-w", "--watch", action="store_true", help="after listing, show changes as they come")
    parser.add_argument("--watch-only", action="store_true", help="only show changes")
    parser.add_argument("-L", "--label-columns", action="append", default=[], help="labels to show as columns")
    parser.add_argument("--sort-by", default="", help="JSONPath of the field to sort by, e.g. .metadata.name")
    parser.add_argument(
        "--subresource", default="", type=SUBRESOURCE, metavar="status|scale", help="read this subresource"
    )
    parser.add_argument("--raw", default="", help="a path to read from the server as it is")
    add_bool(parser, "--no-headers", default=False, help="tables without their header line")
    add_bool(parser, "--show-labels", default=False, help="labels as the last column")
    parser.add_argument("--chunk-size", type=int, default=PAGE_SIZE, help="objects that one list request asks for")
    add_bool(parser, "--show-kind", default=False, help="names as kind/name")
    add_bool(parser, "--ignore-not-found", default=False, help="exit 0 where a named object does not exist")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    if args.raw:
        context.out.write(context.api.text(args.raw))
        return
    targets = _targets(context, args)
    if args.field_selector and any(target.name for target in targets):
        raise UsageError("field selectors cannot be used when a name is specified")
    if args.watch or args.watch_only:
        _watch(context, args, targets)
    else:
        show = _tables if args.output in ("", "wide") else _objects
        with Failures() as failed:
            show(context, args, targets, failed)


def _targets(context: CommandContext, args: argparse.Namespace) -> list[Target]:
    if not args.filename:
        if not args.targets:
            raise UsageError(
                "Required resource not specified.\n"
                'Use "mini-kubectl api-resources" for a complete list of supported resources.\n'
                "See 'mini-kubectl get -h' for help and examples"
            )
        return parse_targets(context, args)
    return [resolve(context, manifest) for manifest in read_manifests(args)]


def _fetch(context: CommandContext, args: argparse.Namespace, target: Target, accept: str = "", **params: str) -> Dict:
    """The object, List or Table. Raises: StatusError."""
    if target.name:
        return context.api.request("GET", target.subresource(args.subresource), accept=accept, params=params)
    params["limit"] = str(args.chunk_size)
    return list_objects(context, target, args.selector, args.field_selector, accept, **params)


def _fetch_all(
    context: CommandContext,
    args: argparse.Namespace,
    targets: list[Target],
    failed: Failures,
    accept: str = "",
    **params: str,
) -> list[tuple[Target, Dict]]:
    """The answers for all targets: objects are shown even where others have failed."""
    answers: list[tuple[Target, Dict]] = []
    for target in targets:
        with failed.caught(), suppress(*[NotFound] if args.ignore_not_found and target.name else []):
            answers.append((target, _fetch(context, args, target, accept, **params)))
    return answers


def _objects(context: CommandContext, args: argparse.Namespace, targets: list[Target], failed: Failures) -> None:
    show = printer_of(args)
    items: list[Dict] = []
    for target, answer in _fetch_all(context, args, targets, failed):
        items += _items(target, answer)
    if args.sort_by:
        items = sorted_by(items, items, args.sort_by)
    single = len(targets) == 1 and bool(targets[0].name)
    if items or not (failed or single):
        whole = {"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}
        context.out.write(show(items[0] if single else whole))
        context.out.flush()


def _items(target: Target, answer: Dict) -> list[Dict]:
    """The object, or all objects of a List."""
    return [answer] if target.name else [obj for _, obj in items_of(target, answer)]


def _tables(context: CommandContext, args: argparse.Namespace, targets: list[Target], failed: Failures) -> None:
    params = {"includeObject": "Object"} if args.sort_by else {}
    grouped: dict[str, tuple[Target, Dict]] = {}
    for target, part in _fetch_all(context, args, targets, failed, TABLE, **params):
        _, whole = grouped.setdefault(target.kind.full_name, (target, {**part, "rows": []}))
        whole["rows"] += part.get("rows") or []
    tables = [(target, whole) for target, whole in grouped.values() if whole["rows"]]
    if not tables and not failed and not args.ignore_not_found:
        one_namespace = not args.all_namespaces and (not targets or any(target.kind.namespaced for target in targets))
        context.say("No resources found" + (f" in {context.namespace} namespace." if one_namespace else ""))
    with_kind = args.show_kind or len({target.kind for target in targets}) > 1
    context.out.write("\n".join(TableText(args, t.kind, with_kind=with_kind).text(whole) for t, whole in tables))
    context.out.flush()


def _watch(context: CommandContext, args: argparse.Namespace, targets: list[Target]) -> None:
    if len(targets) != 1:
        raise UsageError("you may only specify a single resource type")
    target = targets[0]
    as_table = args.output in ("", "wide")
    accept = TABLE if as_table else ""
    show = TableText(args, target.kind, with_kind=args.show_kind).text if as_table else _one_by_one(args)
    try:
        first = _fetch(context, args, target, accept)
    except NotFound:
        if args.ignore_not_found:
            return
        raise
    version = _version(first)
    if not args.watch_only:
        for part in [first] if as_table else _items(target, first):
            context.out.write(show(part))
        context.out.flush()
    fields = f"metadata.name={target.name}" if target.name else args.field_selector
    params: Dict = {"labelSelector": args.selector, "fieldSelector": fields, "allowWatchBookmarks": "true"}
    path = target.kind.path(target.namespace)
    while True:
        try:
            for kind, obj in context.api.watch(path, {**params, "resourceVersion": version}, accept):
                version = _version(obj) or version
                if kind != "BOOKMARK":
                    context.out.write(show(obj))
                    context.out.flush()
        except Expired:
            version = _version(context.api.request("GET", path, params={"limit": 1}))


def _one_by_one(args: argparse.Namespace) -> Printer:
    """Prints YAML documents with a line between them."""
    show, separator = printer_of(args), ""

    def show_next(obj: Dict) -> str:
        nonlocal separator
        text = separator + show(obj)
        separator = "---\n" if args.output == "yaml" else ""
        return text

    return show_next


def _version(obj: Dict) -> str:
    rows = obj.get("rows") or []
    own: str = obj.get("metadata", {}).get("resourceVersion", "")
    if own or not rows:
        return own
    return str(rows[-1].get("object", {}).get("metadata", {}).get("resourceVersion", ""))


COMMAND = Command(
    "get",
    "Show objects",
    configure,
    run,
    completes=candidates.types_names_and_all,
    examples="""\
  # All pods of the namespace, with node and IP
  mini-kubectl get pods -o wide
  # One Deployment as YAML
  mini-kubectl get deployment web -o yaml
  # The names of all running pods, in every namespace
  mini-kubectl get pods -A --field-selector status.phase=Running -o custom-columns=NAME:.metadata.name
  # The phase of one pod
  mini-kubectl get pod/web -o jsonpath='{.status.phase}'
  # Follow changes
  mini-kubectl get pods -w""",
)
