"""`taint`: marks nodes so that pods keep away from them."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from apimachinery.names import label_value_errors, qualified_name_errors
from kubectl.api.client import MERGE_PATCH, Dict
from kubectl.api.discovery import UnknownType
from kubectl.changes.writing import Report, add_write_flags, for_each_selected, write_params
from kubectl.input import candidates
from kubectl.input.targets import Target, split_changes
from kubectl.invocation.command import Command, CommandContext, UsageError, refuse
from kubectl.invocation.flags import add_bool, add_selector

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_SEE = "\nSee 'mini-kubectl taint -h' for help and examples"


class TaintSpec(NamedTuple):
    """One taint as the command line gives it; in a removal an `effect` "" means all of the key."""

    key: str
    value: str
    effect: str

    @property
    def on_the_wire(self) -> Dict:
        return {"key": self.key, "effect": self.effect, **({"value": self.value} if self.value else {})}


def configure(parser: argparse.ArgumentParser) -> None:
    words = "node NAME ..., then KEY[=VALUE]:EFFECT to add, KEY[:EFFECT]- to remove"
    parser.add_argument("words", nargs="*", metavar="WORD", help=words)
    add_selector(parser)
    add_write_flags(parser, "kubectl-taint", validate=True)
    add_bool(parser, "--all", default=False, help="all nodes")
    add_bool(parser, "--overwrite", default=False, help="allow changing a taint's value")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    targets, adding, removing = parse(args.words)
    _check_type(context, targets[0])
    if args.all and args.selector:
        raise UsageError("setting 'all' parameter with a non empty selector is prohibited")
    if not (args.all or args.selector or targets[1:]):
        raise UsageError("at least one resource name must be specified since 'all' parameter is not set")
    names = targets[:1] if args.all or args.selector else targets
    report = Report(context, args, suffix=False)

    def change(target: Target, node: Dict) -> None:
        done = _check(node, adding, removing, overwrite=args.overwrite)
        taints = changed(node["spec"].get("taints") or [], adding, removing)
        report(target.display, _patch(context, args, target, taints), done)

    for_each_selected(context, args, change, words=names)


def _check_type(context: CommandContext, word: str) -> None:
    try:
        kind = context.discovery.find(word) if "/" not in word else None
    except UnknownType:
        kind = None
    if kind is None:
        raise UsageError(f'the server doesn\'t have a resource type "{word}"')
    if kind.kind != "Node":
        raise UsageError(f"invalid resource type {word}, only node types are supported")


def parse(words: list[str]) -> tuple[list[str], list[TaintSpec], list[TaintSpec]]:
    """Splits words into type and names, taints to add and taints to remove. Raises: UsageError."""
    targets, changes = split_changes(words, _is_change, "taint")
    refuse(
        (not targets, "one or more resources must be specified as <resource> <name>"),
        (not changes, "at least one taint update is required"),
    )
    adding: list[TaintSpec] = []
    removing: list[TaintSpec] = []
    for word in changes:
        taint = _taint(word)
        if word.endswith("-"):
            removing.append(taint)
            continue
        if any((taint.key, taint.effect) == (other.key, other.effect) for other in adding):
            text = "{" + f"{taint.key} {taint.value} {taint.effect} <nil>" + "}"
            raise UsageError(f"duplicated taints with the same key and effect: {text}{_SEE}")
        adding.append(taint)
    both = [t for t in adding if any(t.key == r.key and r.effect in ("", t.effect) for r in removing)]
    if both:
        named = ",".join(f"{taint.key}={taint.effect}" for taint in both)
        raise UsageError(f"can not both modify and remove the following taint(s) in the same command: {named}")
    return targets, adding, removing


def _is_change(word: str) -> bool:
    return "=" in word or ":" in word or word.endswith("-")


def _taint(word: str) -> TaintSpec:
    """Reads "key=value:effect", "key:effect", and for removals also "key". Raises: UsageError."""
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
    return TaintSpec(key, value, effect)


def _meant(taint: Dict, removal: TaintSpec) -> bool:
    return bool(taint["key"] == removal.key and removal.effect in ("", taint["effect"]))


def _check(node: Dict, adding: list[TaintSpec], removing: list[TaintSpec], *, overwrite: bool) -> str:
    """What is being done to the node, in a word. Raises: UsageError where it must not be done."""
    present = node["spec"].get("taints") or []
    taken = [t for t in adding if any((t.key, t.effect) == (other["key"], other["effect"]) for other in present)]
    if taken and not overwrite:
        name, keys = node["metadata"]["name"], ",".join(taint.key for taint in taken)
        raise UsageError(f"node {name} already has {keys} taint(s) with same effect(s) and --overwrite is false")
    missing = [r for r in removing if not any(_meant(taint, r) for taint in present)]
    if missing:
        lines = [f'taint "{r.key}:{r.effect}" not found' if r.effect else f'taint "{r.key}" not found' for r in missing]
        raise UsageError(lines[0] if len(lines) == 1 else "[" + ", ".join(lines) + "]")
    if not adding:
        return "untainted"
    return "modified" if removing or taken else "tainted"


def changed(present: list[Dict], adding: list[TaintSpec], removing: list[TaintSpec]) -> list[Dict]:
    """The taints of a node after the change, new ones first, as kubectl writes them."""
    new = [taint.on_the_wire for taint in adding]
    replaced = {(taint.key, taint.effect) for taint in adding}
    others = [taint for taint in present if (taint["key"], taint["effect"]) not in replaced]
    return new + [taint for taint in others if not any(_meant(taint, removal) for removal in removing)]


def _patch(context: CommandContext, args: argparse.Namespace, target: Target, taints: list[Dict]) -> Dict:
    if args.dry_run == "client":
        node = context.api.request("GET", target.path)
        return {**node, "spec": {**node["spec"], "taints": taints}}
    return context.api.patch(target.path, {"spec": {"taints": taints or None}}, MERGE_PATCH, write_params(args))


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
