"""`set`: changes images, environment and resources of containers."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from typing import Any

from apimachinery.errors import StatusError
from apimachinery.quantity import QuantityError, parse_quantity
from kubectl.api.client import Dict
from kubectl.changes.podtemplate import containers, spec_of, with_defaults
from kubectl.changes.writing import Report, add_write_flags, for_each_selected, two_way_patch, write_params
from kubectl.commands.basic import _setenv
from kubectl.input import candidates
from kubectl.input.manifests import read_manifests
from kubectl.input.targets import NOTHING_GIVEN, Target, add_targets, split_changes
from kubectl.invocation.command import Command, CommandContext, Failures, UsageError
from kubectl.invocation.flags import add_bool
from kubectl.output.printers import name_of

Change = Callable[[Dict], None]
"""Changes an object in place. Raises: UsageError where it cannot."""

_PARTS = {"image": "image", "env": "env", "resources": "resource requirements"}


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(metavar="WHAT", required=True)
    _add(verbs, "image", _image, ", then CONTAINER=IMAGE ...", "Set images of containers")
    env = _add(verbs, "env", _setenv.plan, ", then KEY=VALUE or KEY- ...", "Set the environment")
    _setenv.add_arguments(env)
    resources = _add(verbs, "resources", _resources, "", "Set requests and limits of containers")
    resources.add_argument("-c", "--containers", default="*", help="a pattern of container names")
    resources.add_argument("--limits", default="", metavar="NAME=QUANTITY,...", help="e.g. cpu=1,memory=1Gi")
    resources.add_argument("--requests", default="", metavar="NAME=QUANTITY,...")


def _add(verbs: Any, name: str, plan: Any, words: str, help_text: str) -> argparse.ArgumentParser:
    sub: argparse.ArgumentParser = verbs.add_parser(name, help=help_text, description=help_text + ".")
    add_targets(sub, "change", words="TYPE NAME or TYPE/NAME" + words, everything=True)
    add_bool(sub, "--local", default=False, help="change the objects of the file, without asking the server")
    add_write_flags(sub, "kubectl-set")
    sub.set_defaults(plan=plan, part=name)
    return sub


def run(context: CommandContext, args: argparse.Namespace) -> None:
    if args.all and args.selector:
        raise UsageError("cannot set --all and --selector at the same time")
    words, change = args.plan(context, args)
    report = Report(context, args)

    def act(target: Target | None, obj: Dict) -> None:
        new = copy.deepcopy(obj)
        change(new)
        if (args.local or obj != new) and not getattr(args, "list", False):
            report(name_of(obj), _send(context, args, target, obj, new), f"{_PARTS[args.part]} updated")

    if not args.local:
        for_each_selected(context, args, act, words=words)
        return
    if not args.filename:
        raise UsageError(NOTHING_GIVEN)
    with Failures() as failed:
        for manifest in read_manifests(args):
            with failed.caught():
                act(None, manifest.obj)


def _send(context: CommandContext, args: argparse.Namespace, target: Target | None, old: Dict, new: Dict) -> Dict:
    if target is None:
        return with_defaults(new) if args.output else new
    if args.dry_run == "client":
        return new
    patch, content_type = two_way_patch(old, new)
    try:
        return context.api.patch(target.path, patch, content_type, write_params(args))
    except StatusError as error:
        colon = ":" if args.part == "image" else ""  # as kubectl has it
        update = f"failed to patch {args.part} update to pod template{colon}"
        raise UsageError(f"{update} {error.message}") from error


def _image(context: CommandContext, args: argparse.Namespace) -> tuple[list[str], Change]:
    words, changes = split_changes(args.targets, lambda word: "=" in word, "image")
    images = dict(change.split("=", 1) for change in changes)
    if not (words or args.filename):
        raise UsageError(NOTHING_GIVEN)
    if not images:
        raise UsageError("at least one image update is required")
    if "*" in images and len(images) > 1:
        raise UsageError(
            "all containers are already specified by *, but saw more than one container_name=container_image pairs"
        )

    def change(obj: Dict) -> None:
        spec = spec_of(obj, args)
        for name, image in images.items():
            chosen = [c for c in containers(spec) if name in ("*", c["name"])]
            if not chosen:
                raise UsageError(f'unable to find container named "{name}"')
            for container in chosen:
                container["image"] = image

    return words, change


def _quantities(text: str) -> Dict:
    """Reads "cpu=1,memory=1Gi". Raises: UsageError."""
    quantities: Dict = {}
    for item in text.split(",") if text else ():
        parts = item.split("=")
        if len(parts) != 2:
            raise UsageError(f"Invalid argument syntax {item}, expected <resource>=<value>")
        try:
            parse_quantity(parts[1])
        except QuantityError as error:
            raise UsageError(
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            ) from error
        quantities[parts[0]] = parts[1]
    return quantities


def _resources(context: CommandContext, args: argparse.Namespace) -> tuple[list[str], Change]:
    limits, requests = _quantities(args.limits), _quantities(args.requests)
    if not (args.targets or args.filename):
        raise UsageError(NOTHING_GIVEN)
    if not limits and not requests:
        raise UsageError("you must specify an update to requests or limits (in the form of --requests/--limits)")

    def change(obj: Dict) -> None:
        spec = spec_of(obj, args)
        chosen = list(containers(spec, args.containers))
        if not chosen:
            raise UsageError(f"unable to find container named {args.containers}")
        for container in chosen:
            resources = container["resources"] = {**(container.get("resources") or {})}
            for field, amounts in (("limits", limits), ("requests", requests)):
                if amounts:
                    resources[field] = {**(resources.get(field) or {}), **amounts}

    return args.targets, change


COMMAND = Command(
    "set",
    "Change images, environment and resources of containers",
    configure,
    run,
    completes=candidates.types_and_names,
    examples="""\
  mini-kubectl set image deployment/web web=nginx:1.27
  mini-kubectl set env deployment/web MODE=fast OLD-
  mini-kubectl set env deployment/web --from=configmap/settings --prefix=APP_
  mini-kubectl set resources deployment/web --limits=cpu=1,memory=512Mi --requests=cpu=100m
  mini-kubectl set image -f deployment.yaml web=web:2 --local -o yaml""",
)
