"""`get`: shows objects, as the server's own tables or whole."""

from __future__ import annotations

import argparse
from typing import Any

from apimachinery.errors import Expired, NotFound
from kubectl.client import TABLE
from kubectl.command import Command, Context, UsageError
from kubectl.commands._arguments import add_all_namespaces, add_bool, add_output, add_selector
from kubectl.jsonpath import JSONPathError, Template, relaxed
from kubectl.manifests import Target, add_file_arguments, parse_targets, read_manifests, resolve
from kubectl.printers import cell_text, object_printer, table

Dict = dict[str, Any]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", metavar="TYPE", help="TYPE, TYPE NAME ..., or TYPE/NAME ...")
    add_file_arguments(parser, "get")
    add_output(parser)
    add_selector(parser, fields=True)
    add_all_namespaces(parser)
    parser.add_argument("-w", "--watch", action="store_true", help="after listing, show changes as they come")
    parser.add_argument("--watch-only", action="store_true", help="only show changes")
    parser.add_argument("-L", "--label-columns", action="append", default=[], help="labels to show as columns")
    parser.add_argument("--sort-by", default="", help="JSONPath of the field to sort by, e.g. .metadata.name")
    parser.add_argument("--subresource", default="", choices=("", "status", "scale"), help="read this subresource")
    parser.add_argument("--raw", default="", help="a path to read from the server as it is")
    add_bool(parser, "--no-headers", default=False, help="tables without their header line")
    add_bool(parser, "--show-labels", default=False, help="labels as the last column")
    add_bool(parser, "--show-kind", default=False, help="names as kind/name")
    add_bool(parser, "--ignore-not-found", default=False, help="exit 0 where a named object does not exist")


def run(context: Context, args: argparse.Namespace) -> None:
    if args.raw:
        context.print(context.api.text(args.raw))
        return
    targets = _targets(context, args)
    if (args.selector or args.field_selector) and any(target.name for target in targets):
        raise UsageError("selectors and the all flag cannot be used when a name is specified")
    if args.watch or args.watch_only:
        _watch(context, args, targets)
    elif args.output in ("", "wide"):
        _tables(context, args, targets)
    else:
        _objects(context, args, targets)


def _targets(context: Context, args: argparse.Namespace) -> list[Target]:
    if not args.filename:
        return parse_targets(context, args.targets, all_namespaces=args.all_namespaces)
    found = []
    for manifest in read_manifests(args.filename, recursive=args.recursive):
        kind, namespace = resolve(context, manifest)
        found.append(Target(kind, manifest.name, namespace))
    return found


def _fetch(context: Context, args: argparse.Namespace, target: Target, accept: str = "", **params: str) -> Dict | None:
    """The object, List or Table; None for a missing object with --ignore-not-found."""
    try:
        if target.name:
            path = target.kind.path(target.namespace, target.name, args.subresource)
            found: Dict = context.api.request("GET", path, accept=accept, params=params)
            return found
        selectors = {"labelSelector": args.selector, "fieldSelector": args.field_selector}
        return context.api.list(target.path, {**selectors, **params}, accept)
    except NotFound:
        if args.ignore_not_found and target.name:
            return None
        raise


def _objects(context: Context, args: argparse.Namespace, targets: list[Target]) -> None:
    show = object_printer(args.output)
    items: list[Dict] = []
    for target in targets:
        found = _fetch(context, args, target)
        if found is None:
            continue
        if target.name:
            items.append(found)
        else:
            defaults = {"apiVersion": target.kind.api_version, "kind": target.kind.kind}
            items += [defaults | item for item in found.get("items") or ()]
    if args.sort_by:
        items = _sorted(items, items, args.sort_by)
    single = len(targets) == 1 and bool(targets[0].name)
    if single and not items:
        return
    whole = (
        items[0]
        if single
        else {"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}
    )
    try:
        context.out.write(show(whole))
    except JSONPathError as error:
        raise UsageError(f"error executing jsonpath: {error}") from error
    context.out.flush()


def _tables(context: Context, args: argparse.Namespace, targets: list[Target]) -> None:
    grouped: dict[str, Dict] = {}
    for target in targets:
        params = {"includeObject": "Object"} if args.sort_by else {}
        found = _fetch(context, args, target, TABLE, **params)
        if found is None:
            continue
        whole = grouped.setdefault(target.kind.full_name, {**found, "rows": [], "target": target})
        whole["rows"] += found.get("rows") or []
    shown = [found for found in grouped.values() if found["rows"]]
    if not shown and not args.ignore_not_found and not any(target.name for target in targets):
        where = f" in {context.namespace} namespace" if _in_namespace(args, targets) else ""
        context.say(f"No resources found{where}" + ("." if where else ""))
        return
    for index, found in enumerate(shown):
        if index:
            context.print()
        with_kind = args.show_kind or len({target.kind for target in targets}) > 1
        context.out.write(_table_text(args, found, found["target"], with_kind=with_kind))
    context.out.flush()


def _in_namespace(args: argparse.Namespace, targets: list[Target]) -> bool:
    return not args.all_namespaces and any(target.kind.namespaced for target in targets)


def _table_text(args: argparse.Namespace, found: Dict, target: Target, *, with_kind: bool, headers: bool = True) -> str:
    rows = found.get("rows") or []
    if args.sort_by:
        rows = _sorted(rows, [row["object"] for row in rows], args.sort_by)
    columns = found["columnDefinitions"]
    wide = args.output == "wide"
    kept = [i for i, column in enumerate(columns) if wide or not column.get("priority")]
    prefix = f"{target.kind.display}/" if with_kind else ""
    labels = [name for item in args.label_columns for name in item.split(",")]
    namespaced = args.all_namespaces and target.kind.namespaced
    head = (["NAMESPACE"] if namespaced else []) + [columns[i]["name"].upper() for i in kept]
    head += [name.rpartition("/")[2].upper() for name in labels] + (["LABELS"] if args.show_labels else [])
    lines = []
    for row in rows:
        meta = row.get("object", {}).get("metadata", {})
        cells = [cell_text(row["cells"][i]) for i in kept]
        cells[0] = prefix + cells[0]
        own = meta.get("labels") or {}
        line = ([meta.get("namespace", "")] if namespaced else []) + cells + [own.get(name, "") for name in labels]
        if args.show_labels:
            line.append(",".join(f"{k}={v}" for k, v in sorted(own.items())) or "<none>")
        lines.append(line)
    return table(head, lines, show_headers=headers and not args.no_headers)


def _sorted(rows: list[Dict], objects: list[Dict], sort_by: str) -> list[Dict]:
    try:
        template = Template(relaxed(sort_by))
    except JSONPathError as error:
        raise UsageError(f"error parsing --sort-by: {error}") from error
    found = [template.find(obj) for obj in objects]
    if rows and not any(found):
        raise UsageError(f"couldn't find any field with path {relaxed(sort_by)!r} in the list of objects")

    def rank(values: list[Any]) -> tuple[int, float, str]:
        if not values:
            return (0, 0, "")
        value = values[0]
        return (1, float(value), "") if isinstance(value, int | float) else (2, 0, str(value))

    order = sorted(range(len(rows)), key=lambda i: rank(found[i]))
    return [rows[i] for i in order]


def _watch(context: Context, args: argparse.Namespace, targets: list[Target]) -> None:
    if len(targets) != 1:
        raise UsageError("you may only specify a single resource type")
    target = targets[0]
    as_table = args.output in ("", "wide")
    accept = TABLE if as_table else ""
    show = None if as_table else object_printer(args.output)
    first = _fetch(context, args, target, accept)
    if first is None:
        return
    if not args.watch_only:
        text = _table_text(args, first, target, with_kind=args.show_kind) if show is None else show(first)
        context.out.write(text if first.get("rows") or show else "")
        context.out.flush()
    headers = args.watch_only or not first.get("rows")
    version = _version(first)
    fields = f"metadata.name={target.name}" if target.name else args.field_selector
    params: Dict = {"labelSelector": args.selector, "fieldSelector": fields, "allowWatchBookmarks": "true"}
    path = target.kind.path(target.namespace)
    definitions = first.get("columnDefinitions")
    while True:
        try:
            for kind, obj in context.api.watch(path, {**params, "resourceVersion": version}, accept):
                version = _version(obj) or version
                if kind == "BOOKMARK":
                    continue
                if show is not None:
                    context.out.write(("---\n" if args.output == "yaml" else "") + show(obj))
                else:
                    definitions = obj.get("columnDefinitions") or definitions
                    obj["columnDefinitions"] = definitions
                    context.out.write(_table_text(args, obj, target, with_kind=args.show_kind, headers=headers))
                    headers = False
                context.out.flush()
        except Expired:
            version = _version(context.api.request("GET", path, params={"limit": 1}))


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
