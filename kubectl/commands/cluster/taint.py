"""`taint`: marks that keep pods away from nodes."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from apimachinery.errors import StatusError
from apimachinery.names import label_value_errors, qualified_name_errors
from kubectl.api.client import MERGE_PATCH, Dict
from kubectl.api.discovery import UnknownType
from kubectl.changes.writing import add_field_manager, add_validate, write_params
from kubectl.input import candidates
from kubectl.input.manifests import Target, raise_all, select
from kubectl.invocation.command import Command
from kubectl.invocation.context import CommandContext, UsageError
from kubectl.invocation.flags import add_bool, add_dry_run, add_output, add_selector
from kubectl.output.printers import object_printer

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_SEE = "\nSee 'mini-kubectl taint -h' for help and examples"


class Taint(NamedTuple):
    """`effect` may be "" in a removal: all of the key."""

    key: str
    value: str
    effect: str

    @property
    def on_the_wire(self) -> Dict:
        return {"key": self.key, "effect": self.effect, **({"value": self.value} if self.value else {})}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="node NAME ..., then KEY[=VALUE]:EFFECT to add, KEY[:EFFECT]- to remove",
    )
    add_selector(parser)
    add_dry_run(parser)
    add_output(parser)
    add_bool(parser, "--all", default=False, help="all nodes")
    add_bool(parser, "--overwrite", default=False, help="allow changing a taint's value")
    add_bool(parser, "--show-managed-fields", default=False, help="metadata.managedFields too, in YAML and JSON")
    add_field_manager(parser, "kubectl-taint")
    add_validate(parser)


def run(context: CommandContext, args: argparse.Namespace) -> None:
    targets, adding, removing = parse(args.words)
    _check_type(context, targets[0])
    if args.all and args.selector:
        raise UsageError("setting 'all' parameter with a non empty selector is prohibited")
    if not (args.all or args.selector or targets[1:]):
        raise UsageError("at least one resource name must be specified since 'all' parameter is not set")
    names = targets[:1] if args.all or args.selector else targets
    show = object_printer(args.output, managed_fields=args.show_managed_fields) if args.output else None
    failed: list[Exception] = []
    for target, node in select(context, names, [], selector=args.selector, all_objects=args.all, failed=failed):
        try:
            verb = _check(node, adding, removing, overwrite=args.overwrite)
            node = _patch(context, args, target, changed(node["spec"].get("taints") or [], adding, removing))
        except (StatusError, UsageError) as error:
            failed.append(error)
            continue
        if show is not None:
            context.out.write(show(node))
        else:
            context.print(f"{target.display} {verb}")
    raise_all(failed)


def _check_type(context: CommandContext, word: str) -> None:
    try:
        kind = context.discovery.find(word) if "/" not in word else None
    except UnknownType:
        kind = None
    if kind is None:
        raise UsageError(f'the server doesn\'t have a resource type "{word}"')
    if kind.kind != "Node":
        raise UsageError(f"invalid resource type {word}, only node types are supported")


def parse(words: list[str]) -> tuple[list[str], list[Taint], list[Taint]]:
    """Type and names, what to add and what to remove. Raises: UsageError."""
    targets = [word for word in words if not _is_change(word)]
    changes = words[next((i for i, word in enumerate(words) if _is_change(word)), len(words)) :]
    if not targets:
        raise UsageError("one or more resources must be specified as <resource> <name>")
    if len(targets) + len(changes) > len(words):
        stray = next(word for word in changes if not _is_change(word))
        raise UsageError(f"all resources must be specified before taint changes: {stray}")
    if not changes:
        raise UsageError("at least one taint update is required")
    adding: list[Taint] = []
    removing: list[Taint] = []
    for word in changes:
        taint = _taint(word)
        if word.endswith("-"):
            removing.append(taint)
            continue
        if any((taint.key, taint.effect) == (other.key, other.effect) for other in adding):
            shown = "{" + f"{taint.key} {taint.value} {taint.effect} <nil>" + "}"
            raise UsageError(f"duplicated taints with the same key and effect: {shown}{_SEE}")
        adding.append(taint)
    both = [t for t in adding if any(t.key == r.key and r.effect in ("", t.effect) for r in removing)]
    if both:
        named = ",".join(f"{taint.key}={taint.effect}" for taint in both)
        raise UsageError(f"can not both modify and remove the following taint(s) in the same command: {named}")
    return targets, adding, removing


def _is_change(word: str) -> bool:
    return "=" in word or ":" in word or word.endswith("-")


def _taint(word: str) -> Taint:
    """ "key=value:effect", "key:effect", and for removals also "key". Raises: UsageError."""
    spec = word.removesuffix("-")
    parts = spec.split(":")
    head, effect = parts[0], parts[1] if len(parts) > 1 else ""
    key, equals, value = head.partition("=")
    if len(parts) > 2 or "=" in value:
        raise UsageError(f"invalid taint spec: {spec}{_SEE}")
    if len(parts) == 1:
        key, value = spec, ""
    elif effect not in EFFECTS:
        raise UsageError(f"invalid taint effect: {effect}, unsupported taint effect{_SEE}")
    problems = qualified_name_errors(key) or (label_value_errors(value) if equals else [])
    if problems:
        raise UsageError(f"invalid taint spec: {spec}, {'; '.join(problems)}{_SEE}")
    return Taint(key, value, effect)


def _meant(taint: Dict, removal: Taint) -> bool:
    return bool(taint["key"] == removal.key and removal.effect in ("", taint["effect"]))


def _check(node: Dict, adding: list[Taint], removing: list[Taint], *, overwrite: bool) -> str:
    """What is being done to the node. Raises: UsageError where it must not be."""
    have = node["spec"].get("taints") or []
    taken = [t for t in adding if any((t.key, t.effect) == (other["key"], other["effect"]) for other in have)]
    if taken and not overwrite:
        name, keys = node["metadata"]["name"], ",".join(taint.key for taint in taken)
        raise UsageError(f"node {name} already has {keys} taint(s) with same effect(s) and --overwrite is false")
    missing = [r for r in removing if not any(_meant(taint, r) for taint in have)]
    if missing:
        lines = [f'taint "{r.key}:{r.effect}" not found' if r.effect else f'taint "{r.key}" not found' for r in missing]
        raise UsageError(lines[0] if len(lines) == 1 else "[" + ", ".join(lines) + "]")
    if not adding:
        return "untainted"
    return "modified" if removing or taken else "tainted"


def changed(have: list[Dict], adding: list[Taint], removing: list[Taint]) -> list[Dict]:
    """New ones first, as kubectl writes them."""
    new = [taint.on_the_wire for taint in adding]
    replaced = {(taint.key, taint.effect) for taint in adding}
    kept = [taint for taint in have if (taint["key"], taint["effect"]) not in replaced]
    return new + [taint for taint in kept if not any(_meant(taint, removal) for removal in removing)]


def _patch(context: CommandContext, args: argparse.Namespace, target: Target, taints: list[Dict]) -> Dict:
    if args.dry_run == "client":
        node: Dict = context.api.request("GET", target.path)
        node["spec"] = {**node["spec"], "taints": taints}
        return node
    body = {"spec": {"taints": taints or None}}
    answer: Dict = context.api.request(
        "PATCH", target.path, params=write_params(args), body=body, content_type=MERGE_PATCH
    )
    return answer


COMMAND = Command(
    "taint",
    "Mark nodes so that pods keep away from them",
    configure,
    run,
    completes=candidates.types_and_names,
    examples="""\
  # Only pods that tolerate it are scheduled to worker-1 from now on
  mini-kubectl taint node worker-1 dedicated=batch:NoSchedule
  # Take away one effect of the key, then all of it
  mini-kubectl taint node worker-1 dedicated:NoSchedule-
  mini-kubectl taint node worker-1 dedicated-
  # All nodes with a label
  mini-kubectl taint node -l disk=hdd slow=true:PreferNoSchedule""",
)
