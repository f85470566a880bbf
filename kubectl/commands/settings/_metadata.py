"""What `label` and `annotate` share: one map in metadata, changed by a merge patch."""

from __future__ import annotations

import argparse

from apimachinery.errors import StatusError
from apimachinery.patch.merge import merge_patch
from kubectl.api.client import MERGE_PATCH, Dict
from kubectl.changes.writing import add_field_manager, write_params
from kubectl.input.manifests import Target, add_file_arguments, raise_all, select
from kubectl.invocation.context import CommandContext, UsageError
from kubectl.invocation.flags import (
    add_all_namespaces,
    add_dry_run,
    add_output,
    add_selector,
    changes,
    dry_run_suffix,
)
from kubectl.output.printers import object_printer


def configure(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help=f"TYPE NAME ... or TYPE/NAME ..., then {what}s: KEY=VALUE sets, KEY- removes",
    )
    add_file_arguments(parser, what)
    add_selector(parser, fields=True)
    add_all_namespaces(parser)
    add_dry_run(parser)
    add_output(parser)
    add_field_manager(parser, "kubectl-label" if what == "label" else "kubectl-annotate")
    parser.add_argument("--resource-version", default="", metavar="VERSION", help="only at this resourceVersion")
    parser.add_argument("--all", action="store_true", help="all objects of the type in the namespace")
    parser.add_argument("--overwrite", action="store_true", help=f"allow changing an existing {what}")
    parser.add_argument("--list", action="store_true", help=f"show the {what}s")


def run(context: CommandContext, args: argparse.Namespace, what: str, done: str) -> None:
    targets, wanted = ([*args.words], {}) if args.list and not _has_changes(args.words) else changes(args.words, what)
    failed: list[Exception] = []
    found = list(select(
        context, targets, args.filename, selector=args.selector, field_selector=args.field_selector,
        all_namespaces=args.all_namespaces, recursive=args.recursive, all_objects=args.all, failed=failed,
    ))  # fmt: skip
    show = object_printer(args.output) if args.output else None
    for target, obj in found:
        try:
            result, verb = _change(context, args, target, obj, wanted, what, done)
        except (StatusError, UsageError) as error:
            failed.append(error)
            continue
        if args.list:
            _list(context, target, result, what, several=len(found) > 1 and not args.filename)
        elif show is not None:
            context.out.write(show(result))
        else:
            context.print(f"{target.display} {verb}{dry_run_suffix(args.dry_run)}")
    raise_all(failed)


def _change(
    context: CommandContext,
    args: argparse.Namespace,
    target: Target,
    obj: Dict,
    wanted: dict[str, str | None],
    what: str,
    done: str,
) -> tuple[Dict, str]:
    """The object as it is then, and what has been done."""
    have = obj["metadata"].get(what + "s") or {}
    if not args.overwrite:
        _check_overwrite(have, wanted, what)
    if what == "label":
        for key, value in wanted.items():
            if value is None and key not in have:
                context.print(f'label "{key}" not found.')
        if all(have.get(key) == value for key, value in wanted.items()):
            return obj, "not labeled"
        if set(wanted.values()) == {None}:
            done = "unlabeled"
    meta: Dict = {what + "s": wanted}
    if args.resource_version:
        meta["resourceVersion"] = args.resource_version
    patch = {"metadata": meta}
    if args.dry_run == "client":
        return merge_patch(obj, patch), done
    obj = context.api.request("PATCH", target.path, params=write_params(args), body=patch, content_type=MERGE_PATCH)
    return obj, done


def _list(context: CommandContext, target: Target, obj: Dict, what: str, *, several: bool) -> None:
    if several:
        kind = target.kind
        version = f"{kind.version}.{kind.group}" if kind.group else ""
        context.print(f"Listing {what}s for {kind.kind}.{version}/{target.name}:")
    for key, value in sorted((obj["metadata"].get(what + "s") or {}).items()):
        context.print(f"{' ' if several else ''}{key}={value}")


def _has_changes(words: list[str]) -> bool:
    return any("=" in word for word in words)


def _check_overwrite(have: Dict, wanted: dict[str, str | None], what: str) -> None:
    kept = [key for key, value in wanted.items() if value is not None and have.get(key, value) != value]
    if not kept:
        return
    taken = "; ".join(f"'{key}' already has a value ({have[key]})" for key in kept)
    if what == "label":
        raise UsageError(f"{taken}, and --overwrite is false")
    raise UsageError(f"--overwrite is false but found the following declared annotation(s): {taken}")
