"""Changes labels and annotations, both of which are a map in metadata, by a merge patch."""

from __future__ import annotations

import argparse

from apimachinery.names import label_value_errors
from apimachinery.patch.merge import merge_patch
from kubectl.api.client import MERGE_PATCH, Dict
from kubectl.changes.writing import Report, add_write_flags, write_params
from kubectl.input.targets import Target, add_targets, select, split_changes
from kubectl.invocation.command import CommandContext, Failures, UsageError

Changes = dict[str, str | None]  # None removes


def configure(parser: argparse.ArgumentParser, noun: str) -> None:
    words = f"TYPE NAME ... or TYPE/NAME ..., then {noun}s: KEY=VALUE sets, KEY- removes"
    add_targets(parser, noun, words=words, fields=True, namespaces=True, everything=True)
    add_write_flags(parser, "kubectl-label" if noun == "label" else "kubectl-annotate")
    parser.add_argument("--resource-version", default="", metavar="VERSION", help="only at this resourceVersion")
    parser.add_argument("--overwrite", action="store_true", help=f"allow changing an existing {noun}")
    parser.add_argument("--list", action="store_true", help=f"show the {noun}s")


def run(context: CommandContext, args: argparse.Namespace, noun: str, done: str) -> None:
    words, changes = args.targets, Changes()
    if not args.list or any("=" in word for word in words):
        words, changes = parse_changes(words, noun)
    report = Report(context, args)
    with Failures() as failed:
        objects = list(select(context, args, failed, words=words))
        for target, obj in objects:
            with failed.caught():
                result, outcome = _change(context, args, target, obj, changes, noun, done)
                if args.list:
                    _list(context, target, result, noun, several=len(objects) > 1 and not args.filename)
                else:
                    report(target.display, result, outcome)


def parse_changes(words: list[str], noun: str) -> tuple[list[str], Changes]:
    """Splits `TYPE NAME … key=value key-` into targets and changes.

    Raises: UsageError where there is no change, one key is both set and removed, or a label cannot have the value.
    """
    article = "an" if noun[0] in "aeiou" else "a"
    targets, spec = split_changes(words, lambda word: "=" in word or word.endswith("-"), noun)
    changes: Changes = {}
    for word in spec:
        key, equals, text = word.partition("=")
        key, value = (key, text) if equals else (word[:-1], None)
        if not key:
            raise UsageError(f"invalid {noun} spec: {word}")
        if key in changes and (changes[key] is None) != (value is None):
            raise UsageError(f"can not both modify and remove {article} {noun} in the same command")
        if noun == "label" and value is not None and (problems := label_value_errors(value)):
            raise UsageError(f'invalid label value: "{word}": {"; ".join(problems)}')
        changes[key] = value
    if not changes:
        raise UsageError(f"at least one {noun} update is required")
    return targets, changes


def _change(
    context: CommandContext,
    args: argparse.Namespace,
    target: Target,
    obj: Dict,
    changes: Changes,
    noun: str,
    done: str,
) -> tuple[Dict, str]:
    """The object as it is then, and what has been done."""
    present = obj["metadata"].get(noun + "s") or {}
    if not args.overwrite:
        _check_overwrite(present, changes, noun)
    if noun == "label":
        for key, value in changes.items():
            if value is None and key not in present:
                context.print(f'label "{key}" not found.')
        if all(present.get(key) == value for key, value in changes.items()):
            return obj, "not labeled"
        if set(changes.values()) == {None}:
            done = "unlabeled"
    meta: Dict = {noun + "s": changes}
    if args.resource_version:
        meta["resourceVersion"] = args.resource_version
    if args.dry_run == "client":
        return dict(merge_patch(obj, {"metadata": meta})), done
    return context.api.patch(target.path, {"metadata": meta}, MERGE_PATCH, write_params(args)), done


def _list(context: CommandContext, target: Target, obj: Dict, noun: str, *, several: bool) -> None:
    if several:
        kind = target.kind
        version = f"{kind.version}.{kind.group}" if kind.group else ""
        context.print(f"Listing {noun}s for {kind.kind}.{version}/{target.name}:")
    for key, value in sorted((obj["metadata"].get(noun + "s") or {}).items()):
        context.print(f"{' ' if several else ''}{key}={value}")


def _check_overwrite(present: Dict, changes: Changes, noun: str) -> None:
    keys = [key for key, value in changes.items() if value is not None and present.get(key, value) != value]
    if not keys:
        return
    conflicts = "; ".join(f"'{key}' already has a value ({present[key]})" for key in keys)
    if noun == "label":
        raise UsageError(f"{conflicts}, and --overwrite is false")
    raise UsageError(f"--overwrite is false but found the following declared annotation(s): {conflicts}")
