"""What `label` and `annotate` share: one map in metadata, changed by a merge patch."""

from __future__ import annotations

import argparse
from typing import Any

from kubectl.client import MERGE_PATCH
from kubectl.command import Context, UsageError
from kubectl.commands._arguments import (
    add_all_namespaces,
    add_dry_run,
    add_output,
    add_selector,
    changes,
    dry_run_params,
    dry_run_suffix,
)
from kubectl.manifests import add_file_arguments, select
from kubectl.printers import object_printer

Dict = dict[str, Any]


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
    parser.add_argument("--all", action="store_true", help="all objects of the type in the namespace")
    parser.add_argument("--overwrite", action="store_true", help=f"allow changing an existing {what}")
    parser.add_argument("--list", action="store_true", help=f"show the {what}s")


def run(context: Context, args: argparse.Namespace, what: str, done: str) -> None:
    targets, wanted = ([*args.words], {}) if args.list and not _has_changes(args.words) else changes(args.words, what)
    found = select(
        context, targets, args.filename, selector=args.selector, field_selector=args.field_selector,
        all_namespaces=args.all_namespaces, recursive=args.recursive, all_objects=args.all,
    )  # fmt: skip
    show = object_printer(args.output) if args.output else None
    for target, obj in found:
        have = obj["metadata"].get(what + "s") or {}
        verb = "not " + done
        if wanted:
            _check_overwrite(args, have, wanted, what)
            if any(have.get(key) != value for key, value in wanted.items()):
                verb = done if set(wanted.values()) != {None} else f"un{done}" if what == "label" else done
                patch = {"metadata": {what + "s": wanted}}
                if args.dry_run != "client":
                    obj = context.api.request(
                        "PATCH", target.path, params=dry_run_params(args.dry_run), body=patch, content_type=MERGE_PATCH
                    )
        if args.list:
            for key, value in sorted((obj["metadata"].get(what + "s") or {}).items()):
                context.print(f"{key}={value}")
        elif show is not None:
            context.out.write(show(obj))
        else:
            context.print(f"{target.display} {verb}{dry_run_suffix(args.dry_run)}")


def _has_changes(words: list[str]) -> bool:
    return any("=" in word for word in words)


def _check_overwrite(args: argparse.Namespace, have: Dict, wanted: dict[str, str | None], what: str) -> None:
    if args.overwrite:
        return
    for key, value in wanted.items():
        if value is not None and key in have and have[key] != value:
            raise UsageError(f"'{key}' already has a value ({have[key]}), and --overwrite is false")
